# SPDX-License-Identifier: Apache-2.0
"""Exported models, each made once in a run of the tests: exporting takes seconds."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from tests.shared import once

from rmbg_trt.export.graph import open_axes
from rmbg_trt.export.options import InputShape
from rmbg_trt.export.to_onnx import to_onnx
from rmbg_trt.training.models import build, import_onnx

RANGE = InputShape(batch=(1, 2, 4), height=(32, 320, 640), width=(32, 320, 640))


@pytest.fixture(scope="session")
def module(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """``module("u2netp")``: the official weights; ``module("unet")``: random ones."""

    @functools.cache
    def load(name: str) -> Any:
        if name == "unet":
            torch.manual_seed(0)
            return build("unet").eval()
        path: Path = request.getfixturevalue(f"{name}_path")
        return import_onnx(onnx.load(str(path)))[0]

    return load


@pytest.fixture(scope="session")
def exported(module: Callable[[str], Any]) -> Callable[..., Any]:
    """``exported("u2netp")``: ONNX fp32 for 1x3x320x320; with ``dynamic=True`` for ``RANGE``. Not to be changed."""

    @functools.cache
    def static(name: str) -> Any:
        return onnx.load(once(f"{name}.onnx", lambda path: onnx.save(to_onnx(module(name), InputShape()), path)))

    @functools.cache
    def make(name: str, *, dynamic: bool = False) -> Any:
        return open_axes(copy.deepcopy(static(name)), RANGE) if dynamic else static(name)

    return make
