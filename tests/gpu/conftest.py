# SPDX-License-Identifier: Apache-2.0
"""Every test in this folder needs a GPU."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def frames_to_run() -> int:
    """Length of the endurance test: RMBG_GPU_FRAMES, or a few."""
    return int(os.environ.get("RMBG_GPU_FRAMES", "300"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:  # pytest hands over the items of all folders
        if here in item.path.parents:
            item.add_marker(pytest.mark.gpu)
