# SPDX-License-Identifier: Apache-2.0
"""ONNX graphs as other programs write them: sizes that are computed, folded constants, layers in any order."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from tests.networks.test_cpu_network import Builder, check, native, oracle, random_input

from rmbg_trt.errors import InputError
from rmbg_trt.runtimes import onnx_node
from rmbg_trt.runtimes.onnx_node import read_node
from rmbg_trt.runtimes.request import UnsupportedNetworkError


class Graph(Builder):
    """A builder with operators that only other programs write."""

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        return self._append(kind, list(inputs), **attributes)

    def ints(self, *numbers: int) -> str:
        return self._constant(np.array(numbers, np.int64))

    def floats(self, *shape: int, low: float = 0.5, high: float = 1.5) -> str:
        return self._constant(self.random.uniform(low, high, shape).astype(np.float32))

    def resize_to(self, x: str, sizes: str, scales: str = "", **attributes: object) -> str:
        attributes = {"coordinate_transformation_mode": "half_pixel", **attributes}
        return self.op("Resize", x, "", scales, sizes, mode="linear", **attributes)

    def write(self, path: Path, output: str, *, opset: int = 13, side: int | str = 32) -> Path:
        shape = (1, 3, side, side)
        self.save(path, output, shape, (1, 1, side, side))
        model = onnx.load(path)
        model.opset_import[0].version = opset
        path.write_bytes(model.SerializeToString())
        return path


def pooled(g: Graph) -> tuple[str, str]:
    """A value of 16 channels, and one of half its size."""
    whole = g.relu(g.conv("x", 3, 16))
    return whole, g.pool(whole)


def like_torch_11(g: Graph) -> str:
    """As PyTorch wrote ``interpolate(x, size=other.shape[2:])`` for opset 11, with Slice, Cast and Concat."""
    whole, small = pooled(g)
    shape = g.op("Shape", whole)
    size = g.op("Slice", shape, g.ints(2), g.ints(4), g.ints(0))
    kept = g.op("Slice", g.op("Shape", small), g.ints(0), g.ints(2), g.ints(0))
    sizes = g.op("Concat", kept, g.op("Cast", size, to=TensorProto.INT64), axis=0)
    return g.concat(g.resize_to(small, sizes), whole)


def like_the_official_files(g: Graph) -> str:
    """Two Gathers, each unsqueezed, make the size."""
    whole, small = pooled(g)
    shape = g.op("Shape", whole)
    sides = []
    for index in (2, 3):
        number = helper.make_node("Constant", [], [f"index {index}"], value_int=index)
        g.nodes.append(number)
        sides.append(g.op("Unsqueeze", g.op("Gather", shape, f"index {index}", axis=0), g.ints(0)))
    kept = g.op("Slice", g.op("Shape", small), g.ints(0), g.ints(2), g.ints(0))
    sizes = g.op("Concat", kept, g.op("Cast", g.op("Concat", *sides, axis=0), to=TensorProto.INT64), axis=0)
    return g.concat(g.resize_to(small, sizes, coordinate_transformation_mode="pytorch_half_pixel"), whole)


def by_floor(g: Graph) -> str:
    """As older versions wrote ``interpolate(x, scale_factor=2)``: Mul, Floor, Cast."""
    whole, small = pooled(g)
    two = g._constant(np.array([1, 1, 2, 2], np.float32))
    size = g.op("Mul", g.op("Cast", g.op("Shape", small), to=TensorProto.FLOAT), two)
    return g.concat(g.resize_to(small, g.op("Cast", g.op("Floor", size), to=TensorProto.INT64)), whole)


def by_scales(g: Graph) -> str:
    whole, small = pooled(g)
    return g.concat(g.resize_to(small, "", g._constant(np.array([1, 1, 2, 2], np.float32))), whole)


@pytest.mark.parametrize("make", [like_torch_11, like_the_official_files, by_floor, by_scales])
@pytest.mark.parametrize("size", [(32, 32), (16, 44)])
def test_computed_sizes(tmp_path: Path, make: Callable[[Graph], str], size: tuple[int, int]) -> None:
    g = Graph()
    check(g, tmp_path / "m.onnx", g.sigmoid(g.conv(make(g), 32, 1)), *size)


def test_sizes_of_some_axes_and_a_part_of_a_shape(tmp_path: Path) -> None:
    """Opset 18's ``axes`` and opset 15's ``start`` and ``end``, as our own exports have them."""
    g = Graph()
    whole, small = pooled(g)
    up = g.resize_to(small, g.op("Shape", whole, start=2, end=4), axes=[2, 3])
    path = g.write(tmp_path / "m.onnx", g.conv(g.concat(up, whole), 32, 1), opset=18)
    x = random_input(32, 32)
    np.testing.assert_allclose(native(path, 32, 32).run(x), oracle(path, x), atol=1e-4, rtol=0)


def test_constants_behind_a_convolution_are_folded(tmp_path: Path) -> None:
    """Batch normalisation, and the multiplication and addition that converters make of it."""
    g = Graph()
    norm = [g.floats(16), g.floats(16), g.floats(16, low=-1, high=1), g.floats(16)]
    x = g.op("BatchNormalization", g.conv("x", 3, 16), *norm, epsilon=1e-3)
    x = g.conv(g.relu(x), 16, 16, dilation=2)
    value = numpy_helper.from_array(g.random.uniform(0.5, 1.5, (1, 16, 1, 1)).astype(np.float32))
    x = g.op("Mul", x, g.op("Constant", value=value))
    x = g.relu(g.op("Add", g.floats(16, 1, 1), x))
    x = g.op("Add", g.conv(x, 16, 1), g.op("Identity", g._constant(np.float32(0.25))))
    check(g, tmp_path / "m.onnx", g.sigmoid(x), 19, 26)


def test_a_convolution_that_is_read_twice_keeps_its_own_value(tmp_path: Path) -> None:
    """The normalisation cannot be folded here, and there is no layer for it alone."""
    g = Graph()
    x = g.conv("x", 3, 16)
    positive = g.relu(x)
    norm = g.op("BatchNormalization", x, *(g.floats(16) for _ in range(4)))
    path = g.write(tmp_path / "m.onnx", g.conv(g.concat(positive, norm), 32, 1))
    with pytest.raises(UnsupportedNetworkError, match="BatchNormalization"):
        native(path, 32, 32)


def test_identities_and_nodes_in_any_order(tmp_path: Path) -> None:
    g = Graph()
    x = g.op("Cast", g.op("Identity", g.relu(g.conv("x", 3, 16))), to=TensorProto.FLOAT)
    output = g.op("Reshape", g.sigmoid(g.conv(x, 16, 1)), g.ints(0, 1, 20, -1))
    check(g, tmp_path / "m.onnx", output, 20, 26)
    want = native(tmp_path / "m.onnx", 20, 26).run(np.ones((1, 3, 20, 26), np.float32))
    model = onnx.load(tmp_path / "m.onnx")
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    (tmp_path / "reversed.onnx").write_bytes(model.SerializeToString())
    got = native(tmp_path / "reversed.onnx", 20, 26).run(np.ones((1, 3, 20, 26), np.float32))
    np.testing.assert_array_equal(got, want)


def test_a_batch_in_the_file_becomes_one(tmp_path: Path) -> None:
    g = Graph()
    _, small = pooled(g)
    up = g.resize_to(small, g.ints(4, 16, 32, 32))
    path = g.save(tmp_path / "m.onnx", g.conv(up, 16, 1), (4, 3, 32, 32), (4, 1, 32, 32))
    assert native(path, 32, 32).run(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 1, 32, 32)


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("open_sizes", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_what_torch_exports(tmp_path: Path, opset: int, open_sizes: bool) -> None:
    """PyTorch's own exporter, which folds the normalisations or leaves them, and computes sizes or writes them down."""
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.Conv2d(32, 1, 3, padding=1)
            self.norm, self.pool = torch.nn.BatchNorm2d(16), torch.nn.MaxPool2d(2, 2, ceil_mode=True)
            for each in (self.norm.weight, self.norm.bias, self.norm.running_mean, self.norm.running_var):
                torch.nn.init.uniform_(each, 0.5, 1.5)

        def forward(self, x: Any) -> Any:
            whole = torch.relu(self.norm(self.first(x)))
            up = torch.nn.functional.interpolate(self.pool(whole), size=whole.shape[2:], mode="bilinear")
            return torch.sigmoid(self.second(torch.cat([up, whole], 1)))

    torch.manual_seed(0)
    options: dict[str, Any] = {"dynamic_axes": {"x": {2: "h", 3: "w"}}} if open_sizes else {}
    if open_sizes:
        options.update(do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)  # keeps the normalisation
    path = tmp_path / "m.onnx"
    args = (Net().eval(), (torch.zeros(1, 3, 33, 47),), str(path))
    torch.onnx.export(*args, opset_version=opset, dynamo=False, input_names=["x"], **options)
    assert ("BatchNormalization" in {node.op_type for node in onnx.load(path).graph.node}) == open_sizes
    for size in [(33, 47), (20, 31)] if open_sizes else [(33, 47)]:
        x = random_input(*size)
        np.testing.assert_allclose(native(path, *size).run(x), oracle(path, x), atol=1e-4, rtol=0)
    if not open_sizes:
        with pytest.raises(InputError, match=r"size 20x31 does not work with m\.onnx \(.*Concat.* joins"):
            native(path, 20, 31)


NAMES = st.sampled_from(["conv", "conv", "dilated", "pool", "concat", "add", "resize", "relu"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layers=st.lists(NAMES, min_size=1, max_size=9), seed=st.integers(0, 9999))
def test_networks_at_random(tmp_path: Path, layers: list[str], seed: int) -> None:
    """Layers in any order; sizes follow ``Shape`` nodes of the values before."""
    g, pick = Graph(seed), random.Random(seed)
    values = [(g.conv("x", 3, 16), (25, 18))]
    for layer in layers:
        x, size = pick.choice(values)
        other, target = pick.choice([each for each in values if layer == "resize" or each[1] == size])
        if layer in ("conv", "dilated"):
            x = g.conv(x, 16, 16, dilation=1 if layer == "conv" else pick.randint(2, 5))
        elif layer == "pool":
            x, size = g.pool(x), ((size[0] + 1) // 2, (size[1] + 1) // 2)
        elif layer == "resize":
            x, size = g.resize_to(x, g.op("Shape", other)), target
        elif layer == "relu":
            x = g.relu(x)
        else:
            x = g.add(x, other) if layer == "add" else g.conv(g.concat(x, other), 32, 16, kernel=1)
        values.append((x, size))
    last = g.conv(g.resize_to(values[-1][0], g.op("Shape", values[0][0])), 16, 1, kernel=1)
    path = g.save(tmp_path / "m.onnx", last, (1, 3, 25, 18), (1, 1, 25, 18))
    x = random_input(25, 18, seed)
    want = oracle(path, x)
    np.testing.assert_allclose(native(path, 25, 18).run(x), want, atol=1e-4 * max(1, np.abs(want).max()), rtol=0)


LONG = np.array([4, -3, 7, 2, 9], np.int64)
SHORT = np.array([2, -2, 3, 5, 4], np.int64)


@pytest.mark.parametrize(
    ("kind", "inputs", "attributes"),
    [
        ("Add", [LONG, SHORT], {}),
        ("Sub", [LONG, SHORT], {}),
        ("Mul", [LONG, SHORT], {}),
        ("Div", [np.abs(LONG), np.abs(SHORT)], {}),
        ("Div", [LONG.astype(np.float32), SHORT.astype(np.float32)], {}),
        ("Floor", [LONG / np.float32(2)], {}),
        ("Ceil", [LONG / np.float32(2)], {}),
        ("Cast", [LONG / np.float32(2)], {"to": TensorProto.INT64}),
        ("Cast", [LONG], {"to": TensorProto.FLOAT}),
        ("Concat", [LONG, SHORT], {"axis": 0}),
        ("Concat", [LONG[None], SHORT[None]], {"axis": -2}),
        ("Gather", [LONG, np.array(-2)], {"axis": 0}),
        ("Gather", [LONG[None], np.array([[0, 3]])], {"axis": 1}),
        ("Slice", [LONG, np.array([1]), np.array([2**63 - 1])], {}),
        ("Slice", [LONG, np.array([-1]), np.array([-(2**63)]), np.array([0]), np.array([-2])], {}),
        ("Slice", [LONG[None], np.array([1]), np.array([-1]), np.array([-1])], {}),
        ("Squeeze", [LONG[None, :, None], np.array([0])], {}),
        ("Squeeze", [LONG[None, :, None]], {}),
        ("Unsqueeze", [LONG, np.array([0, -1])], {}),
        ("Reshape", [LONG[:4], np.array([2, -1])], {}),
        ("Reshape", [LONG[:4].reshape(2, 2), np.array([0, 1, 2])], {}),
        ("Identity", [LONG], {}),
    ],
)
def test_arithmetic_on_sizes(kind: str, inputs: list[np.ndarray], attributes: dict[str, Any]) -> None:
    """Against onnx's own reference implementation."""
    names = [f"i{index}" for index in range(len(inputs))]
    node = helper.make_node(kind, names, ["y"], **attributes)
    types = [helper.np_dtype_to_tensor_dtype(each.dtype) for each in inputs]
    values = [helper.make_tensor_value_info(name, of, None) for name, of in zip(names, types, strict=True)]
    graph = helper.make_graph([node], "one", values, [onnx.ValueInfoProto(name="y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    want = ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))[0]
    got = onnx_node.evaluate(read_node(node, 13), list(inputs))
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def test_old_opsets_have_axes_as_attributes() -> None:
    def run(kind: str, x: np.ndarray, **attributes: Any) -> np.ndarray:
        return onnx_node.evaluate(read_node(helper.make_node(kind, ["x"], ["y"], **attributes), 9), [x])

    np.testing.assert_array_equal(run("Unsqueeze", LONG, axes=[0]), LONG[None])
    np.testing.assert_array_equal(run("Squeeze", LONG[None], axes=[0]), LONG)
    np.testing.assert_array_equal(run("Slice", LONG, starts=[1], ends=[3], axes=[0]), LONG[1:3])
