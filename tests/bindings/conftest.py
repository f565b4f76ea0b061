# SPDX-License-Identifier: Apache-2.0
"""These tests need a build with RMBG_TESTS=ON, as `make test` makes it: arrays over host memory that log."""

from __future__ import annotations

import os

import pytest

from rmbg_trt import _core


@pytest.fixture(autouse=True)
def bindings_for_tests() -> None:
    if hasattr(_core, "_import_device_array"):
        return
    reason = "this build of rmbg-trt has no bindings for tests; build with RMBG_TESTS=ON"
    if os.environ.get("RMBG_TESTS") == "ON":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
