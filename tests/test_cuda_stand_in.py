# SPDX-License-Identifier: Apache-2.0
"""Runs tests/gpu on a machine without a GPU: the CUDA code is built against a stand-in for the CUDA runtime.

The stand-in (tests/cuda_stand_in) runs the kernels themselves on the CPU, streams as late as they may, and device
memory out of the host's reach. What it cannot show are the speed, and races that only true parallelism brings out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.stand_in_build import Build, call, needs_a_build

pytestmark = needs_a_build


def test_the_stand_in_itself(built: Build) -> None:
    printed = call(str(built("rmbg_stand_in_test") / "stand_in" / "rmbg_stand_in_test"))
    assert printed.count("ok  ") >= 10, printed


# Of each run: the tests, and what the stand-in is asked for.
RUNS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "late": (("tests/gpu",), {"RMBG_STAND_IN_OPEN": "1", "RMBG_STAND_IN_ORDER": "shuffled"}),
    "random": (
        ("tests/gpu",),
        {
            "RMBG_STAND_IN_OPEN": "1",
            "RMBG_STAND_IN_ORDER": "backward",
            "RMBG_STAND_IN_SCHEDULE": "random",
            "RMBG_STAND_IN_SEED": os.environ.get("RMBG_STAND_IN_SEED") or str(int.from_bytes(os.urandom(4), "little")),
        },
    ),
    "protected": (("tests/gpu/test_device_frames.py", "tests/gpu/test_engine.py"), {"RMBG_STAND_IN_OPEN": "0"}),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in RUNS])
def test_the_tests_of_the_gpu(stand_in_package: Path, name: str) -> None:
    """All of them, with work done late and in random order; those of whole frames with memory closed to the host, too.

    (That is slow, for each piece of work opens the memory and closes it again.) The seed of the random order is another
    one each time; RMBG_STAND_IN_SEED repeats one.
    """
    tests, settings = RUNS[name]
    try:
        printed = call(
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests),
            *("--deselect", "tests/gpu/test_devices.py"),
            PYTHONPATH=str(stand_in_package),
            RMBG_FAIL_WITHOUT_CUDA="1",
            RMBG_STAND_IN_DEVICES="2",
            **settings,
        )
    except AssertionError as error:
        raise AssertionError(f"settings, the seed among them: {settings}\n{error}") from None
    assert " failed" not in printed
    assert " passed" in printed


def test_without_a_driver_the_core_says_so(stand_in_package: Path) -> None:
    script = "from rmbg_trt import _core; print(_core.build_info()['cuda_problem'], _core.cuda_devices())"
    printed = call(sys.executable, "-c", script, PYTHONPATH=str(stand_in_package), RMBG_STAND_IN_DEVICES="0")
    assert printed.strip() == "no NVIDIA driver on this machine []"


def test_threads_of_the_host_do_not_race(built: Build) -> None:
    """The pipeline on several threads under ThreadSanitizer, which finds a race that is put there."""
    program = str(built("rmbg_pipeline_threads") / "stand_in" / "rmbg_pipeline_threads")
    planted = subprocess.run([program, "race"], capture_output=True, text=True, check=False, timeout=60)
    if "unexpected memory mapping" in planted.stderr:
        pytest.skip("ThreadSanitizer cannot run here (vm.mmap_rnd_bits): THREADS OF THE HOST ARE UNCHECKED")
    assert planted.returncode != 0
    assert "WARNING: ThreadSanitizer: data race" in planted.stderr
    assert "pipeline_threads.cpp" in planted.stderr
    assert call(program, RMBG_STAND_IN_OPEN="1").count("ok  ") == 2
