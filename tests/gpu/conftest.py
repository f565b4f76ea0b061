# SPDX-License-Identifier: Apache-2.0
"""Every test in this folder needs a GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.gpu.stand_in import StandIn

from rmbg_trt import _core


@pytest.fixture
def frames_to_run() -> int:
    """Length of the endurance test: RMBG_GPU_FRAMES, or a few."""
    return int(os.environ.get("RMBG_GPU_FRAMES", "300"))


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    if _core.cuda_devices()[0]["name"] != "CPU stand-in":
        pytest.skip("a real GPU does not fail on request")
    made = StandIn()
    made.reset()
    yield made
    made.reset()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:  # pytest hands over the items of all folders
        if here in item.path.parents:
            item.add_marker(pytest.mark.gpu)
            if "stand_in" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.stand_in)
