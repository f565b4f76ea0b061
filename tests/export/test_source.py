# SPDX-License-Identifier: Apache-2.0
"""What can be exported, and what must be refused: sources, and graphs of other architectures."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from tests import small_models

from rmbg_trt.errors import InputError, ModelError, UnavailableError
from rmbg_trt.export import graph
from rmbg_trt.export.options import InputShape
from rmbg_trt.export.source import open_source
from rmbg_trt.install import install_command
from rmbg_trt.training.models import ModelConfig, build, save_checkpoint


@pytest.mark.weights
def test_a_catalogue_name_is_the_official_network(u2netp_path: Path) -> None:
    source = open_source("u2netp")
    assert (source.path, source.architecture) == (u2netp_path, "u2netp")
    assert source.config is not None
    assert source.config.input_size == (320, 320)
    assert source.sha256 == "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
    assert source.onnx is not None


def test_a_checkpoint_keeps_its_configuration(tmp_path: Path) -> None:
    config = ModelConfig("unet", 1, (256, 384), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    save_checkpoint(build("unet"), config, tmp_path / "best.safetensors")
    source = open_source(str(tmp_path / "best.safetensors"))
    assert source.config == config
    assert source.onnx is None


def test_an_official_state_dict(tmp_path: Path) -> None:
    torch.save(build("u2netp").state_dict(), tmp_path / "u2netp.pth")
    assert open_source(str(tmp_path / "u2netp.pth")).architecture == "u2netp"


def test_another_architecture_stays_a_graph(small_model: Path) -> None:
    source = open_source(str(small_model))
    assert (source.model, source.architecture) == (None, None)
    assert len(source.onnx.graph.node) == 2


def _truncated(path: Path) -> Path:
    whole = small_models.matte(path.with_name("whole.onnx"), 32, 32)
    path.write_bytes(whole.read_bytes()[:-40])
    return path


def _empty(path: Path) -> Path:
    path.touch()
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (small_models.two_inputs, "has 2 inputs .image, depth.; expected one image"),
        (small_models.byte_input, r"its input is uint8 .*expected float \[N, 3, height, width\]"),
        (small_models.flat_input, r"its input is float \[1, 3\]"),
        (_truncated, "not a readable ONNX model"),
        (_empty, "the file is empty"),
    ],
    ids=["two inputs", "uint8", "no image", "truncated", "empty"],
)
def test_onnx_files_that_are_refused(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    path = make(tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=message):
        open_source(str(path))


def test_no_such_source() -> None:
    with pytest.raises(InputError, match=r"no file was found at 'u2nett'.*Did you mean 'u2net'"):
        open_source("u2nett")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rmbg_trt.export.source.PACKAGES", ("onnx", "not_there", "nor_this"))
    with pytest.raises(UnavailableError, match=r"needs not_there, nor_this: " + re.escape(install_command("export"))):
        open_source("u2netp")


# ---- graphs of other architectures -----------------------------------------------------------------------------


def _with_shape_arithmetic() -> Any:
    """A small matte resized by Shape, Slice and Concat, as old exporters write it; and a second output."""
    constants = {
        "weights": np.linspace(-0.4, 0.5, 3, dtype=np.float32).reshape(1, 3, 1, 1),
        "start": np.array([2], np.int64),
        "end": np.array([4], np.int64),
        "axis": np.array([0], np.int64),
        "ones": np.array([1, 1], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["image", "weights"], ["c"], name="c", strides=[2, 2]),
        helper.make_node("Shape", ["image"], ["whole"], name="s"),
        helper.make_node("Slice", ["whole", "start", "end", "axis"], ["sides"], name="sl"),
        helper.make_node("Concat", ["ones", "sides"], ["sizes"], name="cc", axis=0),
        helper.make_node("Resize", ["c", "", "", "sizes"], ["up"], name="r", mode="linear"),
        helper.make_node("Sigmoid", ["up"], ["first"], name="p"),
        helper.make_node("Exp", ["c"], ["second"], name="e"),
    ]
    model = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, (1, 3, "h", "w"))],
        [
            helper.make_tensor_value_info("first", onnx.TensorProto.FLOAT, (1, 1, "h", "w")),
            helper.make_tensor_value_info("second", onnx.TensorProto.FLOAT, None),
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(model, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_shapes_of_a_foreign_graph_are_folded() -> None:
    source = _with_shape_arithmetic()
    shape = InputShape(height=(36,) * 3, width=(52,) * 3)
    result = graph.static(source, shape)
    assert graph.node_counts(result) == {"Conv": 1, "Resize": 1, "Sigmoid": 1}
    assert (result.graph.input[0].name, result.graph.output[0].name) == ("input", "matte")
    x = np.random.default_rng(0).normal(size=(1, 3, 36, 52)).astype(np.float32)
    before, after = (
        onnxruntime.InferenceSession(graph.serialize(each), providers=["CPUExecutionProvider"])
        for each in (source, result)
    )
    np.testing.assert_allclose(before.run(["first"], {"image": x})[0], after.run(None, {"input": x})[0], atol=1e-6)
    assert len(source.graph.output) == 2, "the source is not changed"


@pytest.mark.weights
def test_the_official_file_loses_its_leftovers(u2netp_path: Path) -> None:
    official = onnx.load(str(u2netp_path))
    before = graph.node_counts(official)
    assert (before["Concat"], before["Shape"], before["Constant"]) == (127, 114, 266)
    after = graph.node_counts(graph.static(official, InputShape()))
    assert after == {"Conv": 119, "Relu": 112, "Concat": 51, "Resize": 38, "MaxPool": 33, "Add": 11, "Sigmoid": 1}


def test_a_foreign_graph_has_one_size(small_model: Path) -> None:
    model = onnx.load(str(small_model))
    with pytest.raises(InputError, match="one size; leave out --dynamic"):
        graph.static(model, InputShape(height=(32, 64, 128)))


@pytest.mark.parametrize("make", [small_models.classifier, small_models.three_maps])
def test_graphs_without_a_matte(make: Callable[[Path], Path], tmp_path: Path) -> None:
    model = onnx.load(str(make(tmp_path / "x.onnx")))
    with pytest.raises(ModelError, match=r"its first output is .*; expected one map"):
        graph.static(model, InputShape(height=(32,) * 3, width=(32,) * 3))


def test_a_graph_that_is_tied_to_its_size(tmp_path: Path) -> None:
    model = onnx.load(str(small_models.rigid(tmp_path / "x.onnx", 32, 48)))
    with pytest.raises(InputError, match="does not work with an input of 1x3x64x64"):
        graph.static(model, InputShape(height=(64,) * 3, width=(64,) * 3))


def test_weights_that_are_listed_as_inputs(tmp_path: Path) -> None:
    model = onnx.load(str(small_models.matte(tmp_path / "x.onnx", 32, 32)))
    image = model.graph.input[0]
    weights = [helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in model.graph.initializer]
    del model.graph.input[:]
    model.graph.input.extend([*weights, image])
    result = graph.static(model, InputShape(height=(32,) * 3, width=(32,) * 3))
    assert [each.name for each in result.graph.input] == ["input"]


def test_names_that_are_taken(tmp_path: Path) -> None:
    """A node named as the output will be, and one named as its own weights."""
    model = onnx.load(str(small_models.matte(tmp_path / "x.onnx", 32, 32)))
    model.graph.node[0].name, model.graph.node[1].name = "matte", "weights"
    result = graph.static(model, InputShape(height=(32,) * 3, width=(32,) * 3))
    names = [each.name for each in (*result.graph.node, *result.graph.initializer)]
    assert len(set(names)) == len(names)
    assert result.graph.output[0].name == "matte"
