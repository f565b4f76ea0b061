# SPDX-License-Identifier: Apache-2.0
"""Real plans of our three networks with TensorRT-RTX, which builds without a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.export.conftest import RANGE

from rmbg_trt.export.graph import serialize
from rmbg_trt.export.shape import InputShape
from rmbg_trt.export.to_fp16 import to_fp16
from rmbg_trt.export.to_tensorrt import PlanOptions, build_plan
from rmbg_trt.networks import tensorrt_runtime
from rmbg_trt.networks.tensorrt_plan import plan_kind

NAMES = [
    pytest.param("u2netp", marks=pytest.mark.weights),
    pytest.param("u2net", marks=[pytest.mark.weights, pytest.mark.slow]),
    "unet",
]
MOST_BYTES = {("u2netp", "fp16"): 5.2e6}


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
@pytest.mark.parametrize("name", NAMES)
def test_rtx_builds_a_plan(name: str, precision: str, dynamic: bool, exported: Callable[..., Any]) -> None:
    model = exported(name, dynamic=dynamic)
    weights = sum(len(each.raw_data) for each in model.graph.initializer)
    if precision == "fp16":
        model, weights = to_fp16(model), weights // 2
    options = PlanOptions(RANGE if dynamic else InputShape())
    plan = build_plan(serialize(model), tensorrt_runtime.load("tensorrt_rtx"), options)
    assert plan_kind(plan.data) == "tensorrt_rtx"
    assert weights < len(plan.data) < weights + 6e6  # the weights are in it, in this precision
    if not dynamic:
        assert len(plan.data) <= MOST_BYTES.get((name, precision), len(plan.data))
