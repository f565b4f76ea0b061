# SPDX-License-Identifier: Apache-2.0
"""The exported ONNX: the same numbers as PyTorch and as the official file, nothing left of the exporter."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tests import reference
from tests.export.conftest import RANGE

from rmbg_trt import Engine
from rmbg_trt.export.graph import node_counts, serialize
from rmbg_trt.export.options import InputShape
from rmbg_trt.export.to_onnx import to_onnx
from rmbg_trt.runtimes.openvino import shared_core

NAMES = [
    pytest.param("u2netp", marks=pytest.mark.weights),
    pytest.param("u2net", marks=[pytest.mark.weights, pytest.mark.slow]),
    "unet",
]
# (height, width, batch): odd at every level, square, wide. benchmarks/export_parity.py has more, and larger ones.
SHAPES = [(33, 47, 3), (97, 225, 1), (160, 160, 2), (64, 256, 1)]


def _session(model: Any) -> Any:
    return onnxruntime.InferenceSession(serialize(model), providers=["CPUExecutionProvider"])


def _images(count: int, size: tuple[int, int]) -> Any:
    names = ("astronaut", "coffee", "chelsea")
    return np.concatenate([reference.input_tensor(reference.photograph(name), size) for name in names[:count]])


def _probability(module: Any, tensor: Any) -> Any:
    with torch.no_grad():
        return torch.sigmoid(module(torch.from_numpy(tensor))[0]).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_open_axes_take_any_size_and_batch(name: str, module: Callable[..., Any], exported: Callable[..., Any]) -> None:
    session = _session(exported(name, dynamic=True))
    for height, width, batch in SHAPES[: 2 if name == "u2net" else None]:
        tensor = _images(batch, (height, width))
        got = session.run(None, {"input": tensor})[0]
        assert got.shape == (batch, 1, height, width)
        difference = np.abs(got - _probability(module(name), tensor)).max()
        assert difference <= 1e-4, (height, width, batch, difference)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_fixed_size(
    name: str, module: Callable[..., Any], exported: Callable[..., Any], request: pytest.FixtureRequest
) -> None:
    """The same as PyTorch, and as the official file where there is one."""
    tensor = _images(1, (320, 320))
    got = _session(exported(name)).run(None, {"input": tensor})[0]
    assert got.shape == (1, 1, 320, 320)
    assert np.abs(got - _probability(module(name), tensor)).max() <= 1e-4
    if name != "unet":
        official = reference.predict(request.getfixturevalue(f"{name}_path"), tensor)
        assert np.abs(got - official).max() <= 1e-4


@pytest.mark.slow
def test_odd_fixed_size_and_batch(module: Callable[..., Any]) -> None:
    shape = InputShape(batch=(3,) * 3, height=(99,) * 3, width=(77,) * 3)
    tensor = _images(3, (99, 77))
    got = _session(to_onnx(module("unet"), shape)).run(None, {"input": tensor})[0]
    assert got.shape == (3, 1, 99, 77)
    assert np.abs(got - _probability(module("unet"), tensor)).max() <= 1e-4


def _without_weights(model: Any) -> Any:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.initializer[:]
    return copy


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_of_the_exporter(name: str, dynamic: bool, exported: Callable[..., Any]) -> None:
    model = exported(name, dynamic=dynamic)
    onnx.checker.check_model(model, full_check=True)
    arithmetic = {"Conv", "Relu", "Concat", "Resize", "MaxPool", "Sigmoid"} | ({"Add"} if name != "unet" else set())
    assert set(node_counts(model)) == arithmetic | ({"Shape"} if dynamic else set())
    text = onnx.printer.to_text(_without_weights(model))
    assert ".py" not in text
    assert "torch" not in text
    assert not model.graph.value_info
    assert len({node.name for node in model.graph.node}) == len(model.graph.node)
    if name != "unet":
        assert node_counts(model)["Conv"] == 119
        names = {node.name for node in model.graph.node}
        assert {"stage1.rebnconvin.conv_s1", "stage5.rebnconv4.relu", "side6", "outconv"} <= names


def test_shapes_say_what_is_open(exported: Callable[..., Any]) -> None:
    def shape(value: Any) -> list[Any]:
        return [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]

    fixed, ranged = exported("unet").graph, exported("unet", dynamic=True).graph
    assert (fixed.input[0].name, shape(fixed.input[0])) == ("input", [1, 3, 320, 320])
    assert (fixed.output[0].name, shape(fixed.output[0])) == ("matte", [1, 1, 320, 320])
    assert shape(ranged.input[0]) == ["batch", 3, "height", "width"]
    assert shape(ranged.output[0]) == ["batch", 1, "height", "width"]
    assert RANGE.fixed is False


@pytest.mark.slow
def test_exporting_does_not_change_the_model(module: Callable[..., Any]) -> None:
    to_onnx(module("unet"), InputShape())
    assert any(isinstance(each, torch.nn.BatchNorm2d) for each in module("unet").modules())
    assert module("unet").outputs == 1


SCRIPT = """
import hashlib, torch
from rmbg_trt.export.graph import serialize
from rmbg_trt.export.options import InputShape
from rmbg_trt.export.to_onnx import to_onnx
from rmbg_trt.training.models import build
torch.manual_seed(0)
print(hashlib.sha256(serialize(to_onnx(build("unet").eval(), InputShape()))).hexdigest())
"""


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes(in_python: Callable[..., str], exported: Callable[..., Any]) -> None:
    """In another process, with another order of sets."""
    here = hashlib.sha256(serialize(exported("unet"))).hexdigest()
    assert in_python(SCRIPT, PYTHONHASHSEED="1").splitlines()[-1] == here


@pytest.mark.weights
def test_our_engine_runs_it(exported: Callable[..., Any], u2netp_path: Path, tmp_path: Path) -> None:
    """The native network, which knows the official file's layers, takes the exported ones as well."""
    path = tmp_path / "mine.onnx"
    path.write_bytes(serialize(exported("u2netp")))
    frame = reference.photograph("astronaut")
    with Engine(path, runtime="native") as mine, Engine(u2netp_path, runtime="native") as official:
        difference = np.abs(mine.run(frame).astype(int) - official.run(frame))
    assert difference.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [False, True])
def test_openvino_reads_it(dynamic: bool, module: Callable[..., Any], exported: Callable[..., Any]) -> None:
    model = shared_core().read_model(serialize(exported("unet", dynamic=dynamic)))
    compiled = shared_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    tensor = _images(1, (320, 320))
    assert np.abs(compiled(tensor)[0] - _probability(module("unet"), tensor)).max() <= 1e-4


@pytest.mark.parametrize(
    "lengths",
    [{"batch": (0, 1, 1)}, {"height": (320, 160, 640)}, {"width": (16, 32, 64)}, {"width": (320, 320, 5000)}],
)
def test_shapes_that_are_none(lengths: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"{next(iter(lengths))} is .*smallest, usual, largest"):
        InputShape(**lengths)
