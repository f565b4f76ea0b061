# SPDX-License-Identifier: Apache-2.0
"""A build of everything against the stand-in for CUDA, once for all tests that need it: fixtures of conftest.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rmbg_trt

ROOT = Path(__file__).parents[1]
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
CMAKE, NINJA = shutil.which("cmake", path=PATH), shutil.which("ninja", path=PATH)

needs_a_build = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the stand-in needs Linux"),
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


@pytest.fixture(scope="session")
def stand_in_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
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


@pytest.fixture(scope="session")
def stand_in_package(stand_in_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed package, with the core of that build."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "rmbg_trt").mkdir()
    for file in Path(rmbg_trt.__file__).parent.iterdir():
        if not file.name.startswith(("_core.c", "__pycache__")):
            (folder / "rmbg_trt" / file.name).symlink_to(file)
    (core,) = stand_in_build.glob("_core.*")
    (folder / "rmbg_trt" / core.name).symlink_to(core)
    return folder
