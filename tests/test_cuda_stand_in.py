# SPDX-License-Identifier: Apache-2.0
"""Runs tests/gpu on a machine without a GPU: the CUDA code is built against a stand-in for the CUDA runtime.

The stand-in (tests/cuda_stand_in) runs the kernels themselves on the CPU, streams as late as they may, and device
memory out of the host's reach. What it cannot show are the speed, and races that only true parallelism brings out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

import rmbg_trt

ROOT = Path(__file__).parents[1]
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
CMAKE, NINJA = shutil.which("cmake", path=PATH), shutil.which("ninja", path=PATH)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "CMakeLists.txt").exists(), reason="needs the sources"),
    pytest.mark.skipif(CMAKE is None or NINJA is None, reason="needs cmake and ninja"),
    pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler"),
]


def call(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, "PATH": PATH, "CMAKE_ARGS": "", **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=580,
    )
    assert done.returncode == 0, f"{' '.join(command)}\nexit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of everything with the stand-in."""
    import pybind11

    folder = tmp_path_factory.mktemp("stand_in")
    options = {
        "RMBG_CUDA_STAND_IN": "ON",
        "RMBG_TESTS": "ON",
        "CMAKE_CXX_FLAGS_RELEASE": "-O1",
        "CMAKE_INTERPROCEDURAL_OPTIMIZATION": "OFF",
        "CMAKE_PROJECT_INCLUDE": str(ROOT / "tests" / "cuda_stand_in" / "quick_build.cmake"),
        "Python_EXECUTABLE": sys.executable,
        "pybind11_DIR": pybind11.get_cmake_dir(),
    }
    assert CMAKE is not None
    call(CMAKE, "-G", "Ninja", "-S", str(ROOT), "-B", str(folder), *(f"-D{k}={v}" for k, v in options.items()))
    call(CMAKE, "--build", str(folder), "--target", "_core", "rmbg_cuda_stand_in_test")
    return folder


@pytest.fixture(scope="module")
def package(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed package, with the core of that build."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "rmbg_trt").mkdir()
    for file in Path(rmbg_trt.__file__).parent.iterdir():
        if not file.name.startswith(("_core.c", "__pycache__")):
            (folder / "rmbg_trt" / file.name).symlink_to(file)
    (core,) = build.glob("_core.*")
    (folder / "rmbg_trt" / core.name).symlink_to(core)
    return folder


def test_the_stand_in_itself(build: Path) -> None:
    printed = call(str(build / "tests" / "cuda_stand_in" / "rmbg_cuda_stand_in_test"))
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
def runs(package: Path) -> Iterator[dict[bool, Future[str]]]:
    """Both runs, at once: each keeps one core busy."""
    with ThreadPoolExecutor(2) as pool:
        yield {protected: pool.submit(run_tests_of_the_gpu, package, protected) for protected in (False, True)}


@pytest.mark.parametrize("protected", [False, True])
def test_the_tests_of_the_gpu(runs: dict[bool, Future[str]], protected: bool) -> None:
    """All of them, with blocks and threads shuffled; those of whole frames with memory out of the host's reach, too.

    (That is slow, for each piece of work opens the memory and closes it again.)
    """
    printed = runs[protected].result()
    assert " failed" not in printed
    assert " passed" in printed
