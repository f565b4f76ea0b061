# SPDX-License-Identifier: Apache-2.0
"""What tests of several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.evaluation.fixtures import blurred, folder, sharp  # noqa: F401 - fixtures

from rmbg_trt import Engine, models
from rmbg_trt.cli import console


@pytest.fixture(autouse=True)
def width_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """The consoles take their width from COLUMNS when they print, not from the environment of their import."""
    for each in (console.out, console.console):
        monkeypatch.setattr(each, "_width", None)


@pytest.fixture
def asked(fake_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What engines the command makes; they make everything opaque."""
    made: list[dict[str, Any]] = []

    def engine(model: Any, **options: Any) -> Engine:
        made.append({"model": model, **options})
        stretch = options["stretch"]
        return fake_engine(lambda tensor: np.ones(tensor.shape[2:], np.float32), color="rgb", stretch=stretch)

    monkeypatch.setattr("rmbg_trt.cli.options.Engine", engine)
    monkeypatch.setattr(models, "resolve", lambda name, progress=None: Path(name))
    return made
