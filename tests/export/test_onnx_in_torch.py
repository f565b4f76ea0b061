# SPDX-License-Identifier: Apache-2.0
"""ONNX graphs in PyTorch: float32 against ONNX Runtime, half against literals and against double."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from rmbg_trt.errors import ModelError
from rmbg_trt.export.images import input_tensor, load_images
from rmbg_trt.export.onnx_in_torch import OnnxInTorch, UnsupportedOperatorError
from rmbg_trt.export.onnx_operators import Node

Array = NDArray[Any]
RNG = np.random.default_rng(7)
MAP = (2, 4, 7, 9)  # odd sizes, two images


def floats(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def model(nodes: list[Any], constants: dict[str, Array], opset: int = 18, dtype: int = TensorProto.FLOAT) -> Any:
    """Nodes from the value "x" to the value "y"."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", dtype, None)],
        [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def one(kind: str, *constants: Array | None, opset: int = 18, dtype: int = TensorProto.FLOAT, **attributes: Any) -> Any:
    """A single node; constants follow its first input, None leaves one out."""
    names = [f"c{index}" if each is not None else "" for index, each in enumerate(constants)]
    node = helper.make_node(kind, ["x", *names], ["y"], name="the node", **attributes)
    return model([node], {name: each for name, each in zip(names, constants, strict=True) if each is not None}, opset)


def typed(graph: Any, dtype: int) -> Any:
    """Gives input and float constants another dtype."""
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    graph.graph.input[0].type.tensor_type.elem_type = dtype
    for each in graph.graph.initializer:
        if each.data_type == TensorProto.FLOAT:
            each.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(each).astype(kind), each.name))
    return graph


def in_runtime(graph: Any, x: Array) -> Array:
    graph = onnx.shape_inference.infer_shapes(graph)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    result: Array = session.run([session.get_outputs()[0].name], {session.get_inputs()[0].name: x})[0]
    return result


def in_torch(graph: Any, x: Array) -> Array:
    result: Array = OnnxInTorch(graph)(torch.from_numpy(x)).numpy()
    return result


def resize(scales: tuple[float, ...] = (), sizes: tuple[int, ...] = (), opset: int = 18, **attributes: Any) -> Any:
    given = np.array(scales, np.float32) if scales or opset < 13 else None
    roi = np.zeros(0, np.float32) if opset < 13 else None  # the old one demands it and does not look at it
    return one("Resize", roi, given, ints(*sizes) if sizes else None, opset=opset, **attributes)


CASES: dict[str, Any] = {
    "conv": lambda: one("Conv", floats(6, 4, 3, 3), floats(6), pads=[1, 1, 1, 1]),
    "conv without bias": lambda: one("Conv", floats(6, 4, 2, 3)),
    "conv dilated": lambda: one("Conv", floats(2, 4, 3, 3), pads=[2, 2, 2, 2], dilations=[2, 2]),
    "conv grouped": lambda: one("Conv", floats(4, 2, 3, 3), group=2, strides=[2, 1]),
    "conv uneven pads": lambda: one("Conv", floats(2, 4, 3, 3), pads=[0, 2, 1, 0], strides=[2, 2]),
    "conv same upper": lambda: one("Conv", floats(2, 4, 4, 3), auto_pad="SAME_UPPER", strides=[2, 2]),
    "conv same lower": lambda: one("Conv", floats(2, 4, 4, 4), auto_pad="SAME_LOWER", strides=[3, 1]),
    "conv valid": lambda: one("Conv", floats(2, 4, 3, 3), auto_pad="VALID"),
    "norm": lambda: one(
        "BatchNormalization", floats(4), floats(4), floats(4), np.abs(floats(4)) + 0.1, epsilon=1e-3, opset=15
    ),
    "relu": lambda: one("Relu"),
    "leaky": lambda: one("LeakyRelu", alpha=0.3),
    "leaky default": lambda: one("LeakyRelu"),
    "prelu": lambda: one("PRelu", floats(4, 1, 1)),
    "sigmoid": lambda: one("Sigmoid"),
    "tanh": lambda: one("Tanh"),
    "identity": lambda: one("Identity"),
    "max pool ceil": lambda: one("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "max pool padded": lambda: one("MaxPool", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1]),
    "max pool strides default": lambda: one("MaxPool", kernel_shape=[3, 3], dilations=[2, 1]),
    "max pool same": lambda: one("MaxPool", kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_LOWER"),
    "average pool": lambda: one("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "average pool counted": lambda: one(
        "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1
    ),
    "global average": lambda: one("GlobalAveragePool"),
    "add": lambda: one("Add", floats(4, 1, 1)),
    "sub": lambda: one("Sub", floats(9)),
    "mul": lambda: one("Mul", floats(1, 4, 7, 1)),
    "div": lambda: one("Div", np.abs(floats(1)) + 0.5),
    "clip": lambda: one("Clip", np.float32(-0.5), np.float32(0.7)),
    "clip above": lambda: one("Clip", None, np.float32(0.7)),
    "clip nothing": lambda: one("Clip"),
    "softmax": lambda: one("Softmax", axis=1),
    "softmax old": lambda: one("Softmax", opset=11),
    "matmul": lambda: one("MatMul", floats(9, 5)),
    "reduce min": lambda: one("ReduceMin", ints(2, -1)),
    "reduce max old": lambda: one("ReduceMax", axes=[1], keepdims=0, opset=13),
    "reduce all": lambda: one("ReduceMax"),
    "reduce none": lambda: one("ReduceMax", noop_with_empty_axes=1),
    "concat": lambda: one("Concat", floats(2, 3, 7, 9), axis=-3),
    "transpose": lambda: one("Transpose", perm=[0, 3, 1, 2]),
    "transpose default": lambda: one("Transpose"),
    "reshape": lambda: one("Reshape", ints(0, -1, 9)),
    "unsqueeze": lambda: one("Unsqueeze", ints(-1, 0)),
    "unsqueeze old": lambda: one("Unsqueeze", axes=[1, 4], opset=11),
    "shape": lambda: one("Shape"),
    "shape part": lambda: one("Shape", start=-2, end=10, opset=15),
    "gather": lambda: one("Gather", np.array([[0, -1, 2]]), axis=-2),
    "gather one": lambda: one("Gather", np.array(-2), axis=1),
    "slice": lambda: one("Slice", ints(1, 5), ints(100, 0), ints(3, -2), ints(3, -2)),
    "slice backwards": lambda: one("Slice", ints(-1), ints(np.iinfo(np.int64).min), ints(1), ints(-1)),
    "slice plain": lambda: one("Slice", ints(0, 1), ints(2, 3)),
    "cast": lambda: one("Cast", to=TensorProto.INT64),
    **{
        f"linear {mode} {sizes}": lambda mode=mode, sizes=sizes: resize(
            sizes=(2, 4, *sizes), mode="linear", coordinate_transformation_mode=mode
        )
        for mode in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
        for sizes in ((14, 18), (20, 13), (3, 5), (1, 9), (1, 1), (7, 20))
    },
    **{
        f"nearest {mode} {whole}": lambda mode=mode, whole=whole: resize(
            scales=(1, 1, 2, 1.5), mode="nearest", coordinate_transformation_mode=mode, nearest_mode=whole
        )
        for mode in ("half_pixel", "asymmetric")
        for whole in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    },
    "linear by scales": lambda: resize(scales=(1, 1, 1.7, 0.6), mode="linear"),
    "linear by scales of opset 11": lambda: resize(
        scales=(1, 1, 2.3, 2.3), opset=11, mode="linear", coordinate_transformation_mode="pytorch_half_pixel"
    ),
    "linear by sizes of opset 11": lambda: resize(sizes=(2, 4, 11, 5), opset=11, mode="linear"),
    "linear by axes": lambda: resize(sizes=(14, 3), mode="linear", axes=[3, 2]),
    "nearest by default": lambda: resize(scales=(1, 1, 0.5, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_operators_agree_with_onnx_runtime(name: str) -> None:
    graph, x = CASES[name](), floats(*MAP)
    expected, got = in_runtime(graph, x), in_torch(graph, x)
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("graph", "x"),
    [
        (one("Gemm", floats(5, 3), floats(5), alpha=0.5, beta=2.0, transA=1, transB=1), floats(3, 4)),
        (one("Gemm", floats(4, 5)), floats(3, 4)),
        (one("Squeeze"), floats(1, 3, 1, 2)),
        (one("Squeeze", ints(-2)), floats(1, 3, 1, 2)),
        (one("Squeeze", axes=[0], opset=11), floats(1, 3, 1, 2)),
        (typed(one("Div", ints(2)), TensorProto.INT64), ints(7, -7, 8)),
        (typed(one("Mul", ints(3)), TensorProto.INT64), ints(7, -7, 8)),
        (typed(one("Cast", to=TensorProto.FLOAT), TensorProto.INT64), ints(7, -7)),
        (typed(one("Reshape", ints(0, 3), allowzero=1), TensorProto.FLOAT), np.zeros((0, 3), np.float32)),
    ],
    ids=lambda value: value.graph.node[0].op_type if hasattr(value, "graph") else "",
)
def test_more_shapes_and_dtypes_agree_with_onnx_runtime(graph: Any, x: Array) -> None:
    expected, got = in_runtime(graph, x), in_torch(graph, x)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_constants_of_every_kind() -> None:
    def constant(name: str, **attributes: Any) -> Any:
        return helper.make_node("Constant", [], [name], **attributes)

    nodes = [
        constant("shape", value_ints=[2, -1]),
        constant("half", value_float=0.5),
        constant("row", value=numpy_helper.from_array(np.array([1, 2, 3], np.float32))),
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("Mul", ["r", "half"], ["m"]),
        helper.make_node("Add", ["m", "row"], ["y"]),
    ]
    got = in_torch(model(nodes, {}), np.arange(6, dtype=np.float32))
    assert got.tolist() == [[1, 2.5, 4], [2.5, 4, 5.5]]


def test_only_what_the_first_output_needs_is_run_in_any_order() -> None:
    nodes = [
        helper.make_node("Add", ["a", "x"], ["y"], name="sum"),  # before what it reads, as converters leave it
        helper.make_node("Shape", ["a"], ["s"], name="shape"),
        helper.make_node("NoSuchThing", ["a"], ["other"], name="not needed"),
        helper.make_node("Relu", ["x"], ["a"], name="relu"),
    ]
    graph = model(nodes, {})
    graph.graph.output.add(name="other")
    seen: list[tuple[str, str, list[float]]] = []

    def observe(node: Node, inputs: list[Tensor | None], value: Tensor) -> None:
        seen.append((node.name, node.kind, value.tolist()))

    x = torch.tensor([-1.0, 2.0])
    assert OnnxInTorch(graph)(x, observe).tolist() == [-1, 4]
    assert seen == [("relu", "Relu", [0, 2]), ("sum", "Add", [-1, 4])]
    assert x.tolist() == [-1, 2]


def test_values_are_freed_after_their_last_use() -> None:
    nodes = [helper.make_node("Relu", [f"v{i}" if i else "x"], [f"v{i + 1}" if i < 9 else "y"]) for i in range(10)]
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    def observe(node: Node, inputs: list[Tensor | None], value: Tensor) -> None:
        nonlocal most
        alive.append(weakref.ref(value))
        most = max(most, sum(each() is not None for each in alive))

    OnnxInTorch(model(nodes, {}))(torch.ones(4), observe)
    assert len(alive) == 10
    assert most <= 3


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (lambda: one("Einsum", equation="ij->ji"), "'the node' is a Einsum of the domain ai.onnx"),
        (lambda: one("Relu", domain="com.vendor"), "'the node' is a Relu of the domain com.vendor"),
        (lambda: resize(scales=(1, 1, 2, 2), mode="cubic"), "'the node' .Resize. has mode='cubic'"),
        (lambda: resize(scales=(1, 1, 2, 2), antialias=1, mode="linear"), "antialias=1"),
        (lambda: resize(scales=(1, 1, 2, 2), coordinate_transformation_mode="half_pixel_symmetric"), "half_pixel_symm"),
        (lambda: one("BatchNormalization", *[floats(4)] * 4, training_mode=1), "training_mode=1"),
        (lambda: one("Cast", to=TensorProto.BFLOAT16), "to=16"),
        (lambda: one("AveragePool", kernel_shape=[3, 3], dilations=[2, 2]), "dilations="),
        (lambda: one("Conv", floats(2, 4, 3, 3), surprise=1), "surprise=1"),
        (lambda: one("Relu", opset=10), "opset 10"),
        (lambda: one("Add", np.array([1 + 2j])), "'c0' is of type COMPLEX128"),
        (lambda: model([helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2])], {}), "2 outputs"),
    ],
)
def test_what_it_does_not_have_is_refused_before_it_runs(graph: Any, message: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=message):
        OnnxInTorch(graph())


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([helper.make_node("Add", ["x", "nothing"], ["y"], name="n")], "'n' .Add. reads a value that no node produces"),
        ([helper.make_node("Relu", ["x"], ["z"])], "no node produces the output 'y'"),
        ([helper.make_node("Add", ["x", "z"], ["y"]), helper.make_node("Relu", ["y"], ["z"])], "cycle"),
    ],
)
def test_broken_graphs_are_refused(nodes: list[Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        OnnxInTorch(model(nodes, {}))


def test_a_node_that_fails_is_named() -> None:
    run = OnnxInTorch(one("Conv", floats(2, 4, 3, 3)))
    with pytest.raises(ModelError, match=r"'the node' .Conv. does not work with inputs .1, 3, 8, 8., .2, 4, 3, 3.: "):
        run(torch.zeros(1, 3, 8, 8))
    pool = OnnxInTorch(one("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], ceil_mode=1))
    with pytest.raises(UnsupportedOperatorError, match="ceil_mode with padding"):
        pool(torch.zeros(1, 3, 8, 8))


# --- Half precision ---


def half(kind: str, *constants: Array | None, **attributes: Any) -> Any:
    return typed(one(kind, *constants, **attributes), TensorProto.FLOAT16)


def test_half_values_are_rounded_after_every_node() -> None:
    # Above 2048 the halves are 2 apart: 2048 + 1 is a tie, which goes to the even 2048.
    assert in_torch(half("Add", np.float32(1)), np.array([2048, 2050], np.float16)).tolist() == [2048, 2052]
    assert in_torch(half("Mul", np.float32(2)), np.array([30000, 40000], np.float16)).tolist() == [60000, np.inf]
    # The nearest half of 0.1 is 0.0999755859375.
    got = in_torch(one("Cast", to=TensorProto.FLOAT16), np.array([0.1, 65519, 65520], np.float32))
    assert got.dtype == np.float16
    assert got.tolist() == [0.0999755859375, 65504, np.inf]


def test_a_half_convolution_sums_in_float32_and_rounds_once() -> None:
    x = np.array([2048, 1, 1, 1], np.float16).reshape(1, 4, 1, 1)
    got = in_torch(half("Conv", np.ones((1, 4, 1, 1), np.float32)), x)
    assert got.dtype == np.float16
    assert got.item() == 2052  # 2051 rounded to even; summed in half it would stay 2048
    weights = np.full((1, 4096, 1, 1), 0.1, np.float32)
    got = in_torch(half("Conv", weights), np.ones((1, 4096, 1, 1), np.float16))
    assert got.item() == 409.5  # 4096 times 0.0999755859375: the weights are halves, too


def test_a_half_convolution_that_overflows_is_infinite() -> None:
    graph = half("Conv", np.full((1, 2, 1, 1), 200, np.float32))
    x = np.array([[[[200]], [[200]]], [[[200]], [[-200]]]], np.float16)
    assert in_torch(graph, x).ravel().tolist() == [np.inf, 0]  # 80000, and 40000 - 40000


@pytest.mark.parametrize(
    ("kind", "constants", "attributes"),
    [
        ("Conv", (floats(6, 4, 3, 3), floats(6)), {"pads": [1, 1, 1, 1]}),
        ("BatchNormalization", (floats(4), floats(4), floats(4), np.abs(floats(4)) + 0.1), {}),
        ("Sigmoid", (), {}),
        ("Tanh", (), {}),
        ("AveragePool", (), {"kernel_shape": [3, 3]}),
        ("GlobalAveragePool", (), {}),
        ("MatMul", (floats(9, 5),), {}),
        ("Softmax", (), {"axis": 1}),
        ("Resize", (None, None, ints(2, 4, 20, 13)), {"mode": "linear"}),
        ("Div", (np.float32(3),), {}),
        ("LeakyRelu", (), {"alpha": 0.3}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_half_is_within_one_step_of_double(kind: str, constants: tuple[Any, ...], attributes: dict[str, Any]) -> None:
    x = floats(*MAP).astype(np.float16)
    rounded = [each.astype(np.float16).astype(np.float32) if _is_float(each) else each for each in constants]
    expected = in_torch(typed(one(kind, *rounded, **attributes), TensorProto.DOUBLE), x.astype(np.float64))
    got = in_torch(half(kind, *constants, **attributes), x)
    assert got.dtype == np.float16
    # Near 0 a sum of large terms keeps their rounding errors in float32, hence the small constant.
    step = np.spacing(np.abs(expected).astype(np.float16)).astype(np.float64) + 1e-6
    assert np.all(np.abs(got - expected) <= step)
    assert expected.dtype == np.float64
    assert np.any(got != expected)  # it was rounded at all


def _is_float(value: Any) -> bool:
    return value is not None and np.asarray(value).dtype == np.float32


# --- Whole networks ---


@pytest.mark.weights
def test_the_official_model_agrees_with_onnx_runtime(u2netp_path: Path) -> None:
    """The large one has the same operators; test_verify.py has it in half precision."""
    graph = onnx.load(str(u2netp_path))
    x = input_tensor(load_images(None)[:1], 320, 320)
    expected, got = in_runtime(graph, x), in_torch(graph, x)
    # These networks enlarge rounding errors some 700 times: each of the two is up to 5e-5 off the result in double.
    np.testing.assert_allclose(got, expected, rtol=0, atol=5e-5)
    assert np.abs(got - expected).mean() < 1e-6
