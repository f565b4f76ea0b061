# SPDX-License-Identifier: Apache-2.0
"""Every test in this folder needs a GPU. RMBG_GPU_RESULTS names a file to note each test in as soon as it ends."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.gpu.stand_in import StandIn

from rmbg_trt import _core

failed_tests: set[str] = set()


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


def is_worker() -> bool:
    """Whether this process is one of pytest-xdist's, which send their reports to the one that writes."""
    return "PYTEST_XDIST_WORKER" in os.environ


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        failed_tests.add(report.nodeid)
    path = os.environ.get("RMBG_GPU_RESULTS")
    if not path or is_worker() or (report.when != "call" and report.passed):
        return
    kept = {"test": report.nodeid, "outcome": report.outcome, "seconds": round(report.duration, 2)}
    if not report.passed:
        kept["message"] = report.longreprtext[-2000:]
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(kept) + "\n")


def pytest_runtest_logfinish(nodeid: str) -> None:
    """After an error that takes the GPU from a process, its other tests would all fail: another worker goes on."""
    if is_worker() and nodeid in failed_tests and gpu_is_lost():
        os._exit(1)


def gpu_is_lost() -> bool:
    try:
        _core.cuda_upload(np.zeros(1, np.uint8)).numpy()
    except Exception as error:
        return "can no longer use the GPU" in str(error)
    return False
