# SPDX-License-Identifier: Apache-2.0
"""`make gpu-check` rehearsed on the CPU, against the stand-in for CUDA: every step runs, and leaves what it found.

(The check itself needs a GPU, and there may be minutes of one only. Nothing of it is to run there for the first time.)
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.gpu import kernels
from tests.stand_in_build import ROOT, environment, needs_a_build

from rmbg_trt import _core

CHECK = ROOT / "tests" / "gpu" / "check"
Rehearse = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = needs_a_build


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def rehearse(stand_in_package: Path, out: Path) -> Rehearse:
    def run(*parts: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(CHECK), *parts],
            env={
                **environment(),
                "PYTHON": sys.executable,
                "RMBG_GPU_REHEARSAL": str(stand_in_package),
                "OUT": str(out),
                "RMBG_GPU_FRAMES": "20",
                **more,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=480,
        )

    return run


def outcomes(out: Path, part: str) -> dict[str, str]:
    """The results of the steps that do more than set up."""
    steps = json.loads((out / f"{part}.json").read_text())["steps"]
    return {step["name"]: step["result"] for step in steps if step["name"] != "the extension loads"}


def fits_what_may_come_back(out: Path) -> bool:
    files = list(out.rglob("*"))
    return len(files) <= 8 and all(file.is_file() and file.stat().st_size < 16 << 20 for file in files)


def test_the_part_tests(rehearse: Rehearse, out: Path) -> None:
    done = rehearse("tests", RMBG_GPU_PYTEST="-k 'nv12 or tiles or many_frames'")
    assert done.returncode == 0, done.stdout
    assert outcomes(out, "tests") == {"ops": "passed", "all": "passed"}
    assert "tests, ops: 1 passed" in done.stdout
    noted = [json.loads(line)["test"] for line in (out / "all.jsonl").read_text().splitlines()]
    assert "tests/gpu/test_pipeline.py::test_many_frames_of_changing_sizes" in noted
    assert fits_what_may_come_back(out)


def test_the_part_latency(rehearse: Rehearse, out: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    done = rehearse("latency")
    assert done.returncode == 0, done.stdout
    assert set(outcomes(out, "latency").values()) == {"passed"}
    assert "preprocess" in json.dumps(json.loads((out / "gpu_latency_copy.json").read_text())["figures"])
    probed = [json.loads(line) for line in (out / "rtx.jsonl").read_text().splitlines()]
    assert {each["target"] for each in probed} == {"none", "CURRENT", "SM80", "SM89", "SM120"}
    assert [each["plan bytes"] for each in probed if each["target"] == "SM80"][-1] > 10_000
    assert "REQUIRE_USER_ALLOCATION" in done.stdout[-12_000:]
    assert fits_what_may_come_back(out)


def test_the_part_sanitizer_launches_every_kernel(rehearse: Rehearse, out: Path) -> None:
    done = rehearse("sanitizer")
    assert done.returncode == 0, done.stdout
    tools = {f"compute-sanitizer {tool}" for tool in ("memcheck", "racecheck", "initcheck", "synccheck")}
    assert tools | {"every kernel is launched"} <= outcomes(out, "sanitizer").keys()
    assert re.search(r"^(\d\d) kernels, \1 launched$", done.stdout, re.MULTILINE)
    assert fits_what_may_come_back(out)


def test_a_kernel_that_is_never_launched_is_found(stand_in_package: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu.sanitizer_run", "--count", "NV12"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(stand_in_package), "RMBG_STAND_IN_OPEN": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.search(r"never launched: \[.*'rows_direct_kernel<1, 1>'.*launched, but not found.*: \[\]", done.stderr)


def test_what_fails_or_takes_too_long_does_not_end_the_check(rehearse: Rehearse, out: Path, tmp_path: Path) -> None:
    """A test hangs, so that pytest is ended at its limit; what is known until then is told."""
    plugin = tmp_path / "hang.py"
    plugin.write_text("import time\ndef pytest_runtest_call(item):\n    if 'nv12' in item.name: time.sleep(600)\n")
    options = "-p hang -k 'tiles or nv12'"
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    done = rehearse("tests", RMBG_GPU_PYTEST=options, RMBG_GPU_SECONDS="40", PYTHONPATH=path)
    assert done.returncode == 1
    assert outcomes(out, "tests") == {"ops": "passed", "all": "TIME LIMIT"}
    assert "tests, ops: 1 passed" in done.stdout
    assert "TIME LIMIT" in done.stdout[-2000:]


def test_an_unknown_part_is_refused(rehearse: Rehearse) -> None:
    done = rehearse("test")
    assert done.returncode == 2
    assert "got test; expected tests, latency, sanitizer" in done.stderr


@pytest.mark.skipif(not _core.build_info()["cuda"], reason="this build of rmbg-trt has no CUDA code")
def test_the_stand_in_has_the_kernels_of_the_real_build(stand_in_package: Path) -> None:
    """So a kernel that the rehearsal launches is one that the GPU has, and none is left out."""
    (core,) = (stand_in_package / "rmbg_trt").glob("_core.c*")
    of_stand_in = kernels.kernels_among(kernels.symbols_of(core).values())
    assert len(of_stand_in) >= 50
    assert kernels.registered_in(Path(_core.__file__)) == of_stand_in
