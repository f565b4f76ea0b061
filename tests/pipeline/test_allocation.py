# SPDX-License-Identifier: Apache-2.0
"""Builds allocation_test.cpp with the core, as a user without Python would, and runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A cmake beside the interpreter (from the dev extra) is as good as one on the PATH.
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
CMAKE = shutil.which("cmake", path=PATH)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # it compiles the core
    pytest.mark.skipif(not (ROOT / "CMakeLists.txt").exists(), reason="needs the sources"),
    pytest.mark.skipif(CMAKE is None, reason="needs cmake"),
    pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler"),
]


def check(*command: str) -> str:
    environment = {**os.environ, "PATH": PATH, "CMAKE_ARGS": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=1500)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_frame_allocates_nothing(tmp_path: Path) -> None:
    assert CMAKE is not None
    options = ["-DRMBG_TESTS=ON", "-DRMBG_PYTHON=OFF", "-DRMBG_CUDA=OFF", "-DCMAKE_CXX_FLAGS_RELEASE=-O1"]
    check(CMAKE, "-S", str(ROOT), "-B", str(tmp_path), *options)
    check(CMAKE, "--build", str(tmp_path), "--target", "allocation_test", "--parallel", str(os.cpu_count() or 1))
    printed = check(str(tmp_path / "allocation_test"))
    assert printed.count("ok  ") == 4, printed
