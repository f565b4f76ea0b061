# SPDX-License-Identifier: Apache-2.0
"""Every test in this folder needs a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:  # pytest hands over the items of all folders
        if here in item.path.parents:
            item.add_marker(pytest.mark.gpu)
