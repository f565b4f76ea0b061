# SPDX-License-Identifier: Apache-2.0
"""C++ programs for the tests, and the package with the stand-in for CUDA: fixtures of conftest.py.

They are built where `make test` built the package, so that only what differs is compiled again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.shared import locked

ROOT = Path(__file__).parents[1]
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
CMAKE, NINJA = shutil.which("cmake", path=PATH), shutil.which("ninja", path=PATH)
Build = Callable[..., Path]

needs_a_build = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the stand-in needs Linux"),
    pytest.mark.skipif(not (ROOT / "CMakeLists.txt").exists(), reason="needs the sources"),
    pytest.mark.skipif(CMAKE is None or NINJA is None, reason="needs cmake and ninja"),
    pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler"),
]


def environment(**more: str) -> dict[str, str]:
    """For a process of its own; a pytest in it must not take itself for a worker of this one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST_")}
    return {**kept, "PATH": PATH, "CMAKE_ARGS": "", **more}


def call(*command: str, **more: str) -> str:
    done = subprocess.run(
        command, env=environment(**more), cwd=ROOT, capture_output=True, text=True, check=False, timeout=580
    )
    assert done.returncode == 0, f"{' '.join(command)}\nexit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build_tree() -> Path:
    """Where this Python's package was built with RMBG_TESTS=ON. Without one: a tree of our own, without real CUDA."""
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    for cache in ROOT.glob(f"build/{tag}-{tag}-*/CMakeCache.txt"):
        if re.search(r"^RMBG_TESTS:\w+=ON$", cache.read_text(), re.MULTILINE):
            return cache.parent
    import pybind11

    tree = ROOT / "build" / f"tests-{tag}"
    options = {
        "RMBG_CUDA": "OFF",
        "RMBG_TESTS": "ON",
        "Python_EXECUTABLE": sys.executable,
        "pybind11_DIR": pybind11.get_cmake_dir(),
    }
    call(str(CMAKE), "-G", "Ninja", "-S", str(ROOT), "-B", str(tree), *(f"-D{k}={v}" for k, v in options.items()))
    return tree


@pytest.fixture(scope="session")
def built() -> Build:
    """``built(target)`` builds a target of CMake's and returns the build tree. One process at a time."""

    def make(*targets: str) -> Path:
        with locked(ROOT / "build" / "tests.lock"):
            tree = build_tree()
            call(str(CMAKE), "--build", str(tree), "--target", *targets)
        return tree

    return make


@pytest.fixture(scope="session")
def stand_in_package(built: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as it stands here, and a core that runs the CUDA code on the CPU."""
    (core,) = (built("rmbg_stand_in_core") / "stand_in").glob("_core.*")
    folder = tmp_path_factory.mktemp("package")
    (folder / "rmbg_trt").mkdir()
    for source in (*(ROOT / "python" / "rmbg_trt").iterdir(), ROOT / "training", ROOT / "export", core):
        (folder / "rmbg_trt" / source.name).symlink_to(source)
    return folder
