# SPDX-License-Identifier: Apache-2.0
"""Runs tests/gpu on a machine without a GPU: the CUDA code is built against a stand-in for the CUDA runtime.

The stand-in (tests/cuda_stand_in) runs the kernels themselves on the CPU, streams as late as they may, and device
memory out of the host's reach. What it cannot show are the speed, and races that only true parallelism brings out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.stand_in_build import CMAKE, ROOT, call, needs_a_build

pytestmark = needs_a_build


def test_the_stand_in_itself(stand_in_build: Path) -> None:
    printed = call(str(stand_in_build / "tests" / "cuda_stand_in" / "rmbg_cuda_stand_in_test"))
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


def run_tests_of_the_gpu(package: Path, name: str) -> str:
    tests, settings = RUNS[name]
    try:
        return call(
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests),
            *("--deselect", "tests/gpu/test_devices.py"),
            PYTHONPATH=str(package),
            RMBG_FAIL_WITHOUT_CUDA="1",
            RMBG_STAND_IN_DEVICES="2",
            **settings,
        )
    except AssertionError as error:
        raise AssertionError(f"settings, the seed among them: {settings}\n{error}") from None


def build_with_thread_sanitizer(folder: Path) -> Path:
    """The program pipeline_threads.cpp: the core without Python and without the checks of kernels."""
    options = {
        "RMBG_CUDA_STAND_IN": "ON",
        "RMBG_STAND_IN_CHECKS": "OFF",
        "RMBG_PYTHON": "OFF",
        "CMAKE_CXX_FLAGS": "-fsanitize=thread -g1",
        "CMAKE_CXX_FLAGS_RELEASE": "-O1",
        "CMAKE_INTERPROCEDURAL_OPTIMIZATION": "OFF",
    }
    assert CMAKE is not None
    call(CMAKE, "-G", "Ninja", "-S", str(ROOT), "-B", str(folder), *(f"-D{k}={v}" for k, v in options.items()))
    call(CMAKE, "--build", str(folder), "--parallel", "1", "--target", "rmbg_pipeline_threads")
    return folder / "tests" / "cuda_stand_in" / "rmbg_pipeline_threads"


@pytest.fixture(scope="module")
def runs(stand_in_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Any]]]:
    """Two at once: each keeps one core busy."""
    folder = tmp_path_factory.mktemp("thread_sanitizer")
    with ThreadPoolExecutor(2) as pool:
        runs: dict[str, Future[Any]] = {
            name: pool.submit(run_tests_of_the_gpu, stand_in_package, name) for name in RUNS
        }
        yield {**runs, "threads": pool.submit(build_with_thread_sanitizer, folder)}


@pytest.mark.parametrize("name", RUNS)
def test_the_tests_of_the_gpu(runs: dict[str, Future[Any]], name: str) -> None:
    """All of them, with work done late and in random order; those of whole frames with memory closed to the host, too.

    (That is slow, for each piece of work opens the memory and closes it again.) The seed of the random order is another
    one each time; RMBG_STAND_IN_SEED repeats one.
    """
    printed = runs[name].result()
    assert " failed" not in printed
    assert " passed" in printed


def test_threads_of_the_host_do_not_race(runs: dict[str, Future[Any]]) -> None:
    """The pipeline on several threads under ThreadSanitizer, which finds a race that is put there."""
    program = str(runs["threads"].result())
    planted = subprocess.run([program, "race"], capture_output=True, text=True, check=False, timeout=60)
    if "unexpected memory mapping" in planted.stderr:
        pytest.skip("ThreadSanitizer cannot run here (vm.mmap_rnd_bits): THREADS OF THE HOST ARE UNCHECKED")
    assert planted.returncode != 0
    assert "WARNING: ThreadSanitizer: data race" in planted.stderr
    assert "pipeline_threads.cpp" in planted.stderr
    assert call(program, RMBG_STAND_IN_OPEN="1").count("ok  ") == 2
