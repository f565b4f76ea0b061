# SPDX-License-Identifier: Apache-2.0
"""Runs commands on a machine with a fault: a library that makes the system's calls fail, and rights taken away."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests import small_models
from tests.soak import kills

COMMAND = "from rmbg_trt.cli import main; main()"
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2


class Job(NamedTuple):
    """``prepare`` makes the input in a folder; ``arguments`` run the job from there into ``out``."""

    prepare: Callable[[Path], None]
    arguments: list[str]
    results: int
    """Files of a whole result."""


_SMALL = ["--model", "small.onnx", "--device", "cpu", "--runtime", "native", "--precision", "fp32"]
JOBS = {
    "image": Job(kills.images, ["image", "in", "-o", "out", *_SMALL], 12),
    "video": Job(kills.clip, ["video", "in.mp4", "-o", "out/out.mov", *_SMALL], 1),
    "sequence": Job(kills.clip, ["video", "in.mp4", "-o", "out/frames/%06d.png", *_SMALL], 41),
    "prepare": Job(kills.pairs, ["prepare", "--pairs", "in/images", "in/masks", "-o", "out/set"], 44),
    "export": Job(
        lambda folder: None,
        ["export", "small.onnx", "-o", "out/new.onnx", "--onnx-only", "--precision", "fp32"],
        2,
    ),
}


class Place:
    """A folder in which one job runs, with its input and the folder ``out``."""

    def __init__(self, folder: Path, job: Job) -> None:
        self.folder, self.job, self.out = folder, job, folder / "out"
        small_models.matte(folder / "small.onnx", 48, 64)
        job.prepare(folder)
        self.out.mkdir()

    def run(
        self,
        *more: str,
        before: list[str] | None = None,
        code: str = COMMAND,
        preexec: Callable[[], None] | None = None,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Runs the job's command; ``before`` is a command that runs it, ``preexec`` runs in its process first."""
        return subprocess.run(
            [*(before or []), sys.executable, "-c", code, *self.job.arguments, *more],
            cwd=self.folder,
            env={**os.environ, "RMBG_TRT_HOME": str(self.folder / "cache"), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            preexec_fn=preexec,
        )

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.out)) for path in self.out.rglob("*") if path.is_file())

    def assert_completes(self) -> None:
        """Another run, without the fault, does what is left."""
        done = self.run()
        assert done.returncode == 0, done.stderr
        assert len(self.files()) == self.job.results


def assert_says(done: subprocess.CompletedProcess[str], what: str, code: int = 1) -> None:
    """Checks that a command failed with a one-line error message and no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith(("Error: ", "failed: "))]
    assert lines, done.stderr
    assert all(what in line for line in lines), done.stderr


def as_plain_user() -> None:
    """For a process to be started: permissions count for it even if it is root's."""
    with contextlib.suppress(OSError, AttributeError):
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str], Place]:
    def make(job: str) -> Place:
        folder = tmp_path / job
        folder.mkdir()
        return Place(folder, JOBS[job])

    return make


@pytest.fixture(scope="session")
def fault_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("needs Linux and a C compiler: NO CALL OF THE SYSTEM FAILS HERE")
    library = tmp_path_factory.mktemp("fault") / "fault.so"
    source = Path(__file__).with_name("fault.c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@pytest.fixture
def with_fault(fault_library: Path) -> Callable[..., dict[str, str]]:
    """The environment of a process with a fault: ``with_fault(folder=..., bytes=..., errno=...)``."""

    def make(**settings: Any) -> dict[str, str]:
        preload = " ".join(filter(None, (os.environ.get("LD_PRELOAD"), str(fault_library))))
        return {"LD_PRELOAD": preload, **{f"FAULT_{name.upper()}": str(value) for name, value in settings.items()}}

    return make
