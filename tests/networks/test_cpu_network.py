# SPDX-License-Identifier: Apache-2.0
"""Our own CPU network against ONNX Runtime in float32: each layer alone, whole small nets, and the real ones."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tests import small_models

from rmbg_trt import Engine, UnavailableError, _core
from rmbg_trt.runtimes.native import compile_model
from rmbg_trt.runtimes.request import UnsupportedNetworkError

Floats = NDArray[np.float32]
# Of values around 1. Winograd's transforms cost some bits (2e-5 seen); a wrong tap or border costs 1e-2.
TOLERANCE = 1e-4


def random_input(height: int, width: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((1, 3, height, width)).astype(np.float32)


def native(path: Path, height: int, width: int) -> _core.CpuNetwork:
    return compile_model(path, (height, width)).network()


def oracle(path: Path, x: Floats) -> Floats:
    """ONNX Runtime's first output; a fixed input size in the file is lifted, which only its type annotation holds."""
    model = onnx.load(path)
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = x.shape[axis]
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    first = session.get_outputs()[0].name
    return session.run([first], {session.get_inputs()[0].name: x})[0]


class Builder:
    """A made ONNX model that grows layer by layer, with random weights that keep values around 1."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list = []
        self.constants: list = []

    def _append(self, kind: str, inputs: list[str], **attributes: object) -> str:
        name = f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def _constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def conv(self, x: str, cin: int, cout: int, *, kernel: int = 3, dilation: int = 1, **other: object) -> str:
        scale = 1 / np.sqrt(cin * kernel * kernel)
        weights = (self.random.standard_normal((cout, cin, kernel, kernel)) * scale).astype(np.float32)
        bias = self.random.standard_normal(cout).astype(np.float32)
        pad = dilation * (kernel // 2)
        attributes: dict[str, object] = {"pads": [pad] * 4, "dilations": [dilation] * 2, **other}
        return self._append("Conv", [x, self._constant(weights), self._constant(bias)], **attributes)

    def relu(self, x: str) -> str:
        return self._append("Relu", [x])

    def sigmoid(self, x: str) -> str:
        return self._append("Sigmoid", [x])

    def add(self, a: str, b: str) -> str:
        return self._append("Add", [a, b])

    def concat(self, *values: str) -> str:
        return self._append("Concat", list(values), axis=1)

    def pool(self, x: str, **other: object) -> str:
        attributes: dict[str, object] = {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1, **other}
        return self._append("MaxPool", [x], **attributes)

    def resize(self, x: str, channels: int, height: int, width: int, mode: str = "half_pixel") -> str:
        sizes = self._constant(np.array([1, channels, height, width], np.int64))
        return self._append("Resize", [x, "", "", sizes], mode="linear", coordinate_transformation_mode=mode)

    def save(self, path: Path, output: str, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> Path:
        graph = helper.make_graph(
            self.nodes,
            "made",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, in_shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, out_shape)],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        path.write_bytes(model.SerializeToString())
        return path


def check(builder: Builder, path: Path, output: str, height: int, width: int, tolerance: float = TOLERANCE) -> None:
    """One output channel is made by a 1x1 convolution at the end, so that any number of channels can be checked."""
    builder.save(path, output, (1, 3, height, width), (1, 1, height, width))
    x = random_input(height, width)
    want, got = oracle(path, x), native(path, height, width).run(x)
    assert want.std() > 1e-3 or want.size < 4, "the oracle itself is constant: this would check nothing"
    np.testing.assert_allclose(got, want, atol=tolerance, rtol=0)


SIZES = [(1, 1), (1, 7), (2, 3), (5, 4), (13, 1), (16, 16), (20, 33), (47, 61)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dilation", [1, 2, 4, 8])
def test_conv_of_every_size_and_dilation(tmp_path: Path, size: tuple[int, int], dilation: int) -> None:
    b = Builder()
    inner = b.relu(b.conv(b.relu(b.conv("x", 3, 16)), 16, 32, dilation=dilation))
    check(b, tmp_path / "m.onnx", b.conv(inner, 32, 1, kernel=1), *size)


@pytest.mark.parametrize(("cin", "cout"), [(1, 1), (3, 5), (15, 17), (16, 16), (33, 64), (64, 1), (130, 40)])
def test_conv_of_any_channel_count(tmp_path: Path, cin: int, cout: int) -> None:
    b = Builder()
    inner = b.conv(b.conv("x", 3, cin, kernel=1), cin, cout)
    check(b, tmp_path / "m.onnx", inner if cout == 1 else b.conv(inner, cout, 1, kernel=1), 26, 19)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (2, 3), (3, 3), (8, 8), (17, 30)])
def test_pool_rounds_up(tmp_path: Path, size: tuple[int, int]) -> None:
    height, width = size
    b = Builder()
    pooled = b.pool(b.conv("x", 3, 16, kernel=1))
    check(b, tmp_path / "m.onnx", b.resize(b.conv(pooled, 16, 1, kernel=1), 1, height, width), height, width)


@pytest.mark.parametrize("mode", ["half_pixel", "pytorch_half_pixel", "align_corners"])
@pytest.mark.parametrize("inner", [(1, 2), (1, 9), (5, 3), (10, 14), (40, 31)])
def test_resize_up_and_down(tmp_path: Path, mode: str, inner: tuple[int, int]) -> None:
    b = Builder()
    small = b.resize(b.conv("x", 3, 16, kernel=1), 16, *inner, mode=mode)
    check(b, tmp_path / "m.onnx", b.resize(b.conv(small, 16, 1, kernel=1), 1, 20, 23, mode=mode), 20, 23)


def test_concat_add_and_values_that_are_read_twice(tmp_path: Path) -> None:
    """The memory planner must not reuse what is still needed, nor fuse what others read."""
    b = Builder()
    first = b.conv("x", 3, 16)
    positive = b.relu(first)
    second = b.relu(b.conv(positive, 16, 16))
    joined = b.concat(second, positive, first)
    residual = b.add(b.relu(b.conv(joined, 48, 16)), second)
    nested = b.concat(b.concat(residual, first), b.sigmoid(positive))
    check(b, tmp_path / "m.onnx", b.sigmoid(b.conv(nested, 48, 1)), 21, 34)


def test_concat_of_odd_channel_counts(tmp_path: Path) -> None:
    b = Builder()
    joined = b.concat(b.conv("x", 3, 5), b.conv("x", 3, 7, kernel=1), "x")
    check(b, tmp_path / "m.onnx", b.conv(joined, 15, 1), 12, 18)


@pytest.mark.parametrize("isa", ["generic", "avx2", "avx512", "avx512_bf16", "amx"])
def test_every_instruction_set_gives_the_same_image(tmp_path: Path, in_python: Callable[..., str], isa: str) -> None:
    b = Builder()
    down = b.pool(b.relu(b.conv(b.relu(b.conv("x", 3, 32)), 32, 48, dilation=2)))
    up = b.resize(down, 48, 37, 52)
    path = b.save(tmp_path / "m.onnx", b.sigmoid(b.conv(up, 48, 1)), (1, 3, 37, 52), (1, 1, 37, 52))
    x = random_input(37, 52)
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy as np; from pathlib import Path; from rmbg_trt import _core\n"
        "from tests.networks.test_cpu_network import native\n"
        "folder = Path(sys.argv[1])\n"
        "np.save(folder / 'y.npy', native(folder / 'm.onnx', 37, 52).run(np.load(folder / 'x.npy')))\n"
        "print(_core.cpu_isa())"
    )
    if in_python(code, str(tmp_path), RMBG_ISA=isa, PYTHONPATH=os.pathsep.join(sys.path)) != isa:
        pytest.skip(f"this processor has no {isa}")
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), oracle(path, x), atol=TOLERANCE, rtol=0)


def stride_two(b: Builder) -> str:
    return b.conv("x", 3, 1, strides=[2, 2])


def no_padding(b: Builder) -> str:
    return b.conv("x", 3, 1, pads=[0, 0, 0, 0])


def pool_of_three(b: Builder) -> str:
    return b.conv(b.pool("x", kernel_shape=[3, 3]), 3, 1)


def pool_rounding_down(b: Builder) -> str:
    return b.conv(b.pool("x", ceil_mode=0), 3, 1)


def unknown_layer(b: Builder) -> str:
    return b.conv(b._append("Tanh", ["x"]), 3, 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (stride_two, "stride"),
        (no_padding, "padding"),
        (pool_of_three, "window"),
        (pool_rounding_down, "rounding up"),
        (unknown_layer, "Tanh"),
    ],
)
def test_what_it_cannot_run_is_refused_with_the_reason(tmp_path: Path, make, words: str) -> None:
    b = Builder()
    path = b.save(tmp_path / "m.onnx", make(b), (1, 3, 33, 33), (1, 1, "h", "w"))
    with pytest.raises(UnsupportedNetworkError, match=words):
        native(path, 33, 33)


def test_auto_takes_another_runtime_and_says_why_but_native_does_not(tmp_path: Path) -> None:
    path = small_models.half_size(tmp_path / "m.onnx", 32)  # has an AveragePool
    with Engine(path, precision="fp32") as engine:
        assert engine.info.runtime == "openvino"
        assert "native" in engine.info.reason
        assert "AveragePool" in engine.info.reason
        assert engine.run(np.zeros((8, 8, 3), np.uint8)).shape == (8, 8)
    with pytest.raises(UnavailableError, match="AveragePool"):
        Engine(path, runtime="native")


def test_networks_of_one_model_run_side_by_side(tmp_path: Path) -> None:
    b = Builder()
    path = b.save(tmp_path / "m.onnx", b.conv(b.relu(b.conv("x", 3, 32)), 32, 1), (1, 3, 90, 70), (1, 1, 90, 70))
    model = compile_model(path, None)
    inputs = [random_input(90, 70, seed) for seed in range(4)]
    wants = [oracle(path, x) for x in inputs]
    wrong: list[int] = []

    def work(index: int) -> None:
        network = model.network()
        for _ in range(30):
            if not np.allclose(network.run(inputs[index]), wants[index], atol=TOLERANCE):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.weights
@pytest.mark.parametrize("size", [(320, 320), (256, 384), (333, 517), (32, 32)])
def test_u2netp_equals_onnx_runtime(u2netp_path: Path, size: tuple[int, int]) -> None:
    x = random_input(*size)
    difference = np.abs(native(u2netp_path, *size).run(x) - oracle(u2netp_path, x))
    assert difference.max() <= 1e-3
    assert difference.mean() <= 1e-5


@pytest.mark.weights
@pytest.mark.slow
def test_u2net_equals_onnx_runtime(u2net_path: Path) -> None:
    x = random_input(320, 320)
    difference = np.abs(native(u2net_path, 320, 320).run(x) - oracle(u2net_path, x))
    assert difference.max() <= 1e-3
    assert difference.mean() <= 1e-5
