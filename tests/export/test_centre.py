# SPDX-License-Identifier: Apache-2.0
"""Nearly constant channels: found, stored without their means, and half precision no longer hurts."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from rmbg_trt.export.centre import fit_for_half, measure
from rmbg_trt.export.graph import node_counts, serialize
from rmbg_trt.export.images import input_tensor, load_images
from rmbg_trt.export.onnx_in_torch import OnnxInTorch
from rmbg_trt.export.options import InputShape
from rmbg_trt.export.to_fp16 import to_fp16

SHAPE = InputShape(height=(64,) * 3, width=(96,) * 3)


def _network(constant: float, *, read_twice: bool = False) -> Any:
    """A channel of `constant` and a little of the image, and a convolution whose bias takes the constant off."""
    first = np.zeros((2, 3, 1, 1), np.float32)
    first[0, 1], first[1, 0] = 0.1, 1.0
    reader = np.zeros((1, 5, 3, 3), np.float32)
    reader[0, 0], reader[0, 2] = 1.3, 0.2
    arrays = {
        "a.weight": first,
        "a.bias": np.array([constant, 0.5], np.float32),
        "b.weight": reader,
        "b.bias": np.array([-9 * 1.3 * constant], np.float32),
    }
    nodes = [
        helper.make_node("MaxPool", ["x"], ["small"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["small", "a.weight", "a.bias"], ["a"], name="a"),
        helper.make_node("Relu", ["a"], ["r"], name="r"),
        helper.make_node("Resize", ["r", "", "", "sizes"], ["up"], name="up", mode="linear"),
        helper.make_node("Concat", ["up", "x"], ["both"], name="both", axis=1),
        helper.make_node("Conv", ["both", "b.weight", "b.bias"], ["b"], name="b", pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["b"], ["matte"], name="sigmoid"),
    ]
    if read_twice:
        nodes[3].input[0] = "r2"
        nodes.insert(3, helper.make_node("Mul", ["r", "r"], ["r2"], name="square"))
    weights = [numpy_helper.from_array(value, name) for name, value in arrays.items()]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE.usual)],
        [helper.make_tensor_value_info("matte", TensorProto.FLOAT, (1, 1, *SHAPE.usual[2:]))],
        [*weights, numpy_helper.from_array(np.array([1, 2, *SHAPE.usual[2:]]), "sizes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def _run(model: Any, x: Any) -> Any:
    session = onnxruntime.InferenceSession(serialize(model), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def _half(model: Any, keep: list[str], x: Any) -> Any:
    return OnnxInTorch(to_fp16(model, keep))(torch.from_numpy(x)).numpy()


@pytest.fixture(scope="module")
def x() -> Any:
    return input_tensor(load_images(None, 1), *SHAPE.usual[2:])


def test_a_constant_channel_is_taken_off_and_added_again(x: Any) -> None:
    source = _network(200.0)
    before = serialize(source)
    model, keep = fit_for_half(source, SHAPE)
    assert serialize(source) == before, "the source is not changed"
    assert keep == ["b.centre", "b"]
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    mean = constants["b.centre.mean"].ravel()
    assert mean[0] in range(198, 203)
    assert mean[1:].tolist() == [0, 0, 0, 0]
    assert constants["a.bias"].tolist() == [200 - mean[0], 0.5]
    assert constants["r.floor"].ravel().tolist() == [-mean[0], 0]
    expected = {**node_counts(source), "Max": 1, "Add": 1}
    del expected["Relu"]
    assert node_counts(model) == expected


def test_nothing_changes_in_exact_arithmetic(x: Any) -> None:
    source = _network(200.0)
    model, _ = fit_for_half(source, SHAPE)
    np.testing.assert_allclose(_run(model, x), _run(source, x), atol=1e-4)


def test_half_precision_keeps_the_result(x: Any) -> None:
    source = _network(200.0)
    exact = _run(source, x)
    assert exact.std() > 0.05, "the network says something"
    assert np.abs(_half(source, [], x) - exact).max() > 0.05
    assert np.abs(_half(*fit_for_half(source, SHAPE), x) - exact).max() < 5e-3


def test_borders_are_kept(x: Any) -> None:
    """Zero padding next to a constant of 200 makes the border something else; it must stay so."""
    source = _network(200.0)
    got = _half(*fit_for_half(source, SHAPE), x)
    assert np.abs(got - _run(source, x))[..., 0, :].max() < 5e-3
    assert np.abs(got - _run(source, x))[..., :, -1].max() < 5e-3


def test_a_healthy_network_is_left_alone() -> None:
    model, keep = fit_for_half(_network(0.5), SHAPE)
    assert keep == []
    assert serialize(model) == serialize(_network(0.5))


def test_a_value_that_others_read_stays_as_it_is(x: Any) -> None:
    model, keep = fit_for_half(_network(14.0, read_twice=True), SHAPE)
    assert "b.centre" not in keep
    assert node_counts(model) == node_counts(_network(14.0, read_twice=True))


def test_noise_is_that_of_half_precision() -> None:
    healthy, sick = (measure(_network(constant), SHAPE).noise for constant in (0.5, 200.0))
    assert set(healthy) == set(sick) == {"a", "b"}
    assert all(1e-5 < each < 5e-3 for each in healthy.values()), healthy
    assert sick["b"] > 0.05
