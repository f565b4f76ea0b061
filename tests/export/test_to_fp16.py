# SPDX-License-Identifier: Apache-2.0
"""The conversion to half precision: which tensors become half, and which stay float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from rmbg_trt.errors import ModelError
from rmbg_trt.export.graph import node_counts, serialize
from rmbg_trt.export.onnx_in_torch import OnnxInTorch
from rmbg_trt.export.to_fp16 import tail, to_fp16


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
    assert {types[name] for name in ("logit.single", "p", "low", "high", "above", "range")} == {TensorProto.FLOAT}
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
        assert np.array_equal(numpy_helper.to_array(each), original[each.name].astype(np.float16))


@pytest.mark.weights
def test_the_same_bytes_twice_and_the_source_is_kept(exported: Callable[..., Any]) -> None:
    before = serialize(exported("u2netp"))
    assert serialize(to_fp16(exported("u2netp"))) == serialize(to_fp16(exported("u2netp")))
    assert serialize(exported("u2netp")) == before


def _chain() -> Any:
    """Two convolutions that share their weights, a constant as a node, and no tail."""
    weights = np.linspace(-0.3, 0.4, 9, dtype=np.float32).reshape(3, 3, 1, 1)
    half = helper.make_tensor("", TensorProto.FLOAT, (), [0.5])
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="first"),
        helper.make_node("Constant", [], ["c"], name="constant", value=half),
        helper.make_node("Mul", ["a", "c"], ["b"], name="scale"),
        helper.make_node("Conv", ["b", "w"], ["y"], name="second"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, 8, 8)) for name in "xy"]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize(("keep", "casts"), [((), 2), (("first",), 2), (("second",), 2), (("first", "second"), 2)])
def test_nodes_that_are_kept(keep: tuple[str, ...], casts: int) -> None:
    half = to_fp16(_chain(), keep)
    inferred = onnx.shape_inference.infer_shapes(half).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    types = {each.name: each.type.tensor_type.elem_type for each in values}
    types.update((each.name, each.data_type) for each in half.graph.initializer)
    for node in half.graph.node:
        if node.op_type == "Conv":
            expected = TensorProto.FLOAT if node.name in keep else TensorProto.FLOAT16
            assert [types[name] for name in node.input] == [expected] * 2, node.name
    assert half.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert node_counts(half)["Cast"] == casts
    x = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    got, exact = (OnnxInTorch(each)(torch.from_numpy(x)).numpy() for each in (half, _chain()))
    np.testing.assert_allclose(got, exact, atol=2e-3)
    if len(keep) < 2:
        assert not np.array_equal(got, exact), "it is half precision"


def test_branches_are_refused() -> None:
    model = _chain()
    branch = helper.make_graph([], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["z"], name="if", then_branch=branch, else_branch=branch))
    with pytest.raises(ModelError, match="branches or loops cannot be converted"):
        to_fp16(model)
