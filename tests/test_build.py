# SPDX-License-Identifier: Apache-2.0
"""The build's own promises: what RMBG_CUDA does where there is no CUDA compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (ROOT / "CMakeLists.txt").exists() or shutil.which("cmake") is None or shutil.which("c++") is None,
        reason="needs the sources, cmake and a C++ compiler",
    ),
]


def configure(build: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs CMake's configure step on a machine made to look as if it had no nvcc."""
    return subprocess.run(
        ["cmake", "-S", str(ROOT), "-B", str(build), "-DRMBG_PYTHON=OFF", *options],
        env={**os.environ, "CUDACXX": "/nonexistent/nvcc", "CMAKE_ARGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_auto_builds_without_a_cuda_compiler_and_says_so(tmp_path: Path) -> None:
    done = configure(tmp_path, "-DRMBG_CUDA=AUTO")
    assert done.returncode == 0, done.stderr
    assert "CUDA            OFF: no CUDA compiler found" in done.stdout


def test_on_fails_loudly_without_a_cuda_compiler(tmp_path: Path) -> None:
    done = configure(tmp_path, "-DRMBG_CUDA=ON")
    assert done.returncode != 0
    assert "RMBG_CUDA=ON, but no CUDA compiler was found" in done.stderr.replace("\n", " ").replace("  ", " ")


def test_an_unknown_value_is_refused(tmp_path: Path) -> None:
    done = configure(tmp_path, "-DRMBG_CUDA=MAYBE")
    assert done.returncode != 0
    assert "it may be AUTO, ON or OFF" in done.stderr.replace("\n", " ")
