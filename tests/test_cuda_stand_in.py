# SPDX-License-Identifier: Apache-2.0
"""Runs tests/gpu on a machine without a GPU: the CUDA code is built against a stand-in for the CUDA runtime.

The stand-in (tests/cuda_stand_in) runs the kernels themselves on the CPU, streams as late as they may, and device
memory out of the host's reach. What it cannot show are the speed, and races that only true parallelism brings out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.stand_in_build import call, needs_a_build

pytestmark = needs_a_build


def test_the_stand_in_itself(stand_in_build: Path) -> None:
    printed = call(str(stand_in_build / "tests" / "cuda_stand_in" / "rmbg_cuda_stand_in_test"))
    assert printed.count("ok  ") >= 10, printed


def run_tests_of_the_gpu(package: Path, protected: bool) -> str:
    names = ("test_device_frames.py", "test_engine.py") if protected else ("",)
    return call(
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *(f"tests/gpu/{name}" for name in names)),
        *("--deselect", "tests/gpu/test_devices.py"),
        PYTHONPATH=str(package),
        RMBG_FAIL_WITHOUT_CUDA="1",
        RMBG_STAND_IN_DEVICES="2",
        RMBG_STAND_IN_OPEN="0" if protected else "1",
        RMBG_STAND_IN_ORDER="forward" if protected else "shuffled",
    )


@pytest.fixture(scope="module")
def runs(stand_in_package: Path) -> Iterator[dict[bool, Future[str]]]:
    """Both runs, at once: each keeps one core busy."""
    with ThreadPoolExecutor(2) as pool:
        yield {protected: pool.submit(run_tests_of_the_gpu, stand_in_package, protected) for protected in (False, True)}


@pytest.mark.parametrize("protected", [False, True])
def test_the_tests_of_the_gpu(runs: dict[bool, Future[str]], protected: bool) -> None:
    """All of them, with blocks and threads shuffled; those of whole frames with memory out of the host's reach, too.

    (That is slow, for each piece of work opens the memory and closes it again.)
    """
    printed = runs[protected].result()
    assert " failed" not in printed
    assert " passed" in printed
