# SPDX-License-Identifier: Apache-2.0
"""Jobs with little memory, few threads or cores, a clock that runs backwards, or no place for what is temporary."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from tests.soak.faults.conftest import COMMAND, Place, assert_says

from rmbg_trt.folder_job import default_jobs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the faults are made as Linux makes them"),
]

MakePlace = Callable[[str], Place]


LIMITED = """
import resource, sys
import rmbg_trt.cli.video, rmbg_trt.cli.image, rmbg_trt.video, onnx
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + {mib} * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from rmbg_trt.cli import main
main()
"""


@pytest.mark.parametrize(("job", "mib"), [("video", 60), ("video", 200), ("sequence", 100)])
def test_a_limit_of_memory(place: MakePlace, job: str, mib: int) -> None:
    """Whether the job fits into so little memory depends on the machine; what it says if not does not."""
    there = place(job)

    done = there.run(code=LIMITED.format(mib=mib))

    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert "Error: " in done.stderr or "failed: " in done.stderr, done.stderr
        assert not any(".part" in name for name in there.files())
        there.assert_completes()


def test_an_image_that_does_not_fit_into_memory(place: MakePlace) -> None:
    there = place("image")
    Image.new("RGB", (8_000, 8_000)).save(there.folder / "in" / "large.png")

    done = there.run("--jobs", "2", code=LIMITED.format(mib=150))

    assert_says(done, "large.png: there is not enough memory for this image")
    assert len(there.files()) == 12


def test_one_core(place: MakePlace) -> None:
    there = place("video")
    core = min(os.sched_getaffinity(0))
    done = there.run(preexec=lambda: os.sched_setaffinity(0, {core}))
    assert done.returncode == 0, done.stderr


def test_a_system_that_knows_no_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert default_jobs() == 3


@pytest.mark.parametrize("threads", ["0", "many"])
def test_a_wrong_number_of_threads_is_said_once(place: MakePlace, threads: str) -> None:
    there = place("image")
    done = there.run(RMBG_NUM_THREADS=threads)
    assert_says(done, f"RMBG_NUM_THREADS is '{threads}'; expected a whole number from 1 to 1024")
    assert done.stderr.count("RMBG_NUM_THREADS") == 1


# Clock, home and temporary folder


@pytest.mark.parametrize("job", ["image", "video"])
def test_a_clock_that_runs_backwards(place: MakePlace, with_fault: Any, job: str) -> None:
    there = place(job)
    done = there.run(**with_fault(clock=1))
    assert done.returncode == 0, done.stderr
    assert len(there.files()) == there.job.results


def test_the_library_of_faults_turns_the_clock_back(with_fault: Any) -> None:
    code = "import time; a = time.time(); time.sleep(1.1); print(time.time() < a - 500)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **with_fault(clock=1)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "True"


NO_TEMPORARY_FOLDER = f"import tempfile; tempfile._candidate_tempdir_list = lambda: ['/nowhere']; {COMMAND}"


@pytest.mark.parametrize("job", ["image", "video", "prepare"])
def test_no_home_and_no_temporary_folder(place: MakePlace, job: str) -> None:
    there = place(job)
    (there.folder / "drawing").mkdir()
    done = there.run(
        code=NO_TEMPORARY_FOLDER,
        HOME="/proc/nowhere",
        XDG_CACHE_HOME="",
        RMBG_TRT_HOME="",
        TMPDIR="/nowhere",
        MPLCONFIGDIR=str(there.folder / "drawing"),  # Matplotlib cannot do without one of the three
    )
    assert done.returncode == 0, done.stderr
    assert len(there.files()) == there.job.results
