# SPDX-License-Identifier: Apache-2.0
"""A small set, and two models for it: one that fits, and one that sees less clearly.

The command is tested with them, too.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import small_models
from tests.evaluation import made_set


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A prepared set."""
    made_set.make_set(tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def sharp(tmp_path: Path) -> Path:
    return small_models.matte(tmp_path / "sharp.onnx", *made_set.SIZE)


@pytest.fixture
def blurred(tmp_path: Path) -> Path:
    return small_models.matte(tmp_path / "blurred.onnx", 32, 32)
