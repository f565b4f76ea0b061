# SPDX-License-Identifier: Apache-2.0
"""The conversion to half precision: which tensors become half, and which stay float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rmbg_trt.export.graph import node_counts, serialize
from rmbg_trt.export.to_fp16 import sort_nodes, tail, to_fp16


def _with_stretch() -> Any:
    """Convolution, sigmoid, and a min-max stretch inside the graph."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["logit"], name="conv"),
        helper.make_node("Sigmoid", ["logit"], ["p"], name="sigmoid"),
        helper.make_node("ReduceMin", ["p"], ["low"], name="low"),
        helper.make_node("ReduceMax", ["p"], ["high"], name="high"),
        helper.make_node("Sub", ["p", "low"], ["above"], name="above"),
        helper.make_node("Sub", ["high", "low"], ["range"], name="range"),
        helper.make_node("Div", ["above", "range"], ["matte"], name="stretch"),
    ]
    weights = np.linspace(-0.3, 0.4, 3, dtype=np.float32).reshape(1, 3, 1, 1)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_tensor_value_info("matte", TensorProto.FLOAT, (1, 1, 8, 8))],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_what_follows_the_last_weights_stays_float32() -> None:
    model = _with_stretch()
    assert tail(model.graph) == ["sigmoid", "low", "high", "above", "range", "stretch"]
    half = to_fp16(model)
    inner = onnx.shape_inference.infer_shapes(half).graph.value_info
    types = {value.name: value.type.tensor_type.elem_type for value in inner}
    convolution = next(node for node in half.graph.node if node.op_type == "Conv")
    assert types[convolution.output[0]] == TensorProto.FLOAT16
    assert {types[name] for name in ("logit", "p", "low", "high", "above", "range")} == {TensorProto.FLOAT}
    assert node_counts(half)["Cast"] == 2


@pytest.mark.weights
@pytest.mark.parametrize("dynamic", [False, True])
def test_u2netp_has_two_casts_and_half_weights(dynamic: bool, exported: Callable[..., Any]) -> None:
    model = exported("u2netp", dynamic=dynamic)
    half = to_fp16(model)
    onnx.checker.check_model(half, full_check=True)
    assert node_counts(half) == {**node_counts(model), "Cast": 2}
    weights = [each for each in half.graph.initializer if each.data_type != TensorProto.INT64]
    assert {each.data_type for each in weights} == {TensorProto.FLOAT16}
    for value in (half.graph.input[0], half.graph.output[0]):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
    original = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    for each in weights:
        expected = original[each.name].astype(np.float16)
        np.testing.assert_allclose(numpy_helper.to_array(each), expected, atol=2**-24, rtol=0)


@pytest.mark.weights
def test_the_same_bytes_twice_and_the_source_is_kept(exported: Callable[..., Any]) -> None:
    before = serialize(exported("u2netp"))
    assert serialize(to_fp16(exported("u2netp"))) == serialize(to_fp16(exported("u2netp")))
    assert serialize(exported("u2netp")) == before


def test_sorting_moves_only_what_must_move() -> None:
    nodes = [
        helper.make_node("Relu", ["b"], ["c"], name="third"),
        helper.make_node("Relu", ["x"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="second"),
        helper.make_node("Relu", ["x"], ["d"], name="free"),
    ]
    shape = (1, 3, 2, 2)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, shape)],
    )
    sort_nodes(graph)
    assert [node.name for node in graph.node] == ["first", "second", "third", "free"]
