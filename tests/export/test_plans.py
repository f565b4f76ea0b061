# SPDX-License-Identifier: Apache-2.0
"""Real plans of our three networks with TensorRT-RTX, which builds without a GPU.

Each network in two ways, and each way with two networks or more (the static fp16 plan of u2netp is in test_job.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.export.conftest import RANGE

from rmbg_trt.export.graph import serialize
from rmbg_trt.export.options import InputShape
from rmbg_trt.export.to_fp16 import to_fp16
from rmbg_trt.export.to_tensorrt import PlanOptions, build_plan
from rmbg_trt.runtimes import tensorrt as tensorrt_runtime
from rmbg_trt.runtimes.devices import plan_kind

pytestmark = pytest.mark.slow
OFFICIAL = pytest.mark.weights
CASES = [
    pytest.param("u2net", "fp16", False, marks=OFFICIAL),
    pytest.param("u2net", "fp32", True, marks=OFFICIAL),
    pytest.param("u2netp", "fp32", False, marks=OFFICIAL),
    pytest.param("u2netp", "fp16", True, marks=OFFICIAL),
    ("unet", "fp16", False),
    ("unet", "fp16", True),
    ("unet", "fp32", False),
    ("unet", "fp32", True),
]


@pytest.mark.parametrize(("name", "precision", "dynamic"), CASES)
def test_rtx_builds_a_plan(name: str, precision: str, dynamic: bool, exported: Callable[..., Any]) -> None:
    model = exported(name, dynamic=dynamic)
    weights = sum(len(each.raw_data) for each in model.graph.initializer)
    if precision == "fp16":
        model, weights = to_fp16(model), weights // 2
    options = PlanOptions(RANGE if dynamic else InputShape())
    plan = build_plan(serialize(model), tensorrt_runtime.load("tensorrt_rtx"), options)
    assert plan_kind(plan.data) == "tensorrt_rtx"
    assert weights < len(plan.data) < weights + 6e6  # the weights are in it, in this precision
