# SPDX-License-Identifier: Apache-2.0
"""Runs the programs in examples/ as a user does, but in this process."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def astronaut() -> Path:
    return ROOT / "docs" / "images" / "astronaut.jpg"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """``example("cut_out_image.py", "a.jpg", "b.png")`` runs the program and gives its exit code."""

    def run(name: str, *arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        monkeypatch.syspath_prepend(str(ROOT / "examples"))
        try:
            runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
        except SystemExit as stop:
            if isinstance(stop.code, str):
                print(stop.code, file=sys.stderr)
                return 1
            return stop.code or 0
        return 0

    return run


@pytest.fixture(scope="session")
def make_clip() -> Callable[..., Path]:
    """``make_clip(path, frames)`` of examples/sample_data.py."""
    pytest.importorskip("av")
    return runpy.run_path(str(ROOT / "examples" / "sample_data.py"))["make_clip"]
