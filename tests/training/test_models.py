# SPDX-License-Identifier: Apache-2.0
"""The networks against the official ones under ONNX Runtime, and against literals of the published code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from tests import reference

from rmbg_trt.errors import InputError, ModelError
from rmbg_trt.training import models
from rmbg_trt.training.models import onnx_weights

# What the published networks are known to have; as float32 these are the 176.3 MB and 4.7 MB of the paper.
PARAMETERS = {"u2net": 44_009_869, "u2netp": 1_131_181}


@pytest.mark.parametrize("name", list(models.ARCHITECTURES))
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (33, 47), (64, 40)])
def test_any_size_gives_maps_of_the_same_size(name: str, height: int, width: int) -> None:
    model = models.build(name).eval()
    with torch.no_grad():
        maps = model(torch.zeros(2, 3, height, width))
    assert len(maps) == {"u2net": 7, "u2netp": 7, "unet": 1}[name]
    assert {tuple(each.shape) for each in maps} == {(2, 1, height, width)}


@pytest.mark.parametrize(("name", "count"), PARAMETERS.items())
def test_parameters_are_as_many_as_published(name: str, count: int) -> None:
    assert sum(each.numel() for each in models.build(name).parameters()) == count


def test_names_are_those_of_the_official_checkpoint() -> None:
    state = {name: tuple(tensor.shape) for name, tensor in models.build("u2net").state_dict().items()}
    expected = {  # read in the published code
        "stage1.rebnconvin.conv_s1.weight": (64, 3, 3, 3),
        "stage1.rebnconv1.bn_s1.running_var": (32,),
        "stage1.rebnconv7.conv_s1.weight": (32, 32, 3, 3),
        "stage1.rebnconv6d.conv_s1.weight": (32, 64, 3, 3),
        "stage1.rebnconv1d.conv_s1.weight": (64, 64, 3, 3),
        "stage2.rebnconv6.conv_s1.bias": (32,),
        "stage3.rebnconv5.conv_s1.weight": (64, 64, 3, 3),
        "stage4.rebnconv3d.bn_s1.num_batches_tracked": (),
        "stage5.rebnconv4.conv_s1.weight": (256, 256, 3, 3),
        "stage6.rebnconvin.conv_s1.weight": (512, 512, 3, 3),
        "stage5d.rebnconvin.conv_s1.weight": (512, 1024, 3, 3),
        "stage1d.rebnconv1d.conv_s1.weight": (64, 32, 3, 3),
        "side1.weight": (1, 64, 3, 3),
        "side3.weight": (1, 128, 3, 3),
        "side6.weight": (1, 512, 3, 3),
        "outconv.weight": (1, 6, 1, 1),
    }
    assert {name: state.get(name) for name in expected} == expected
    # 112 blocks of a convolution (2) and a normalisation (5), 6 sides and the fusion (2 each)
    assert len(state) == 112 * 7 + 7 * 2
    assert not any("rebnconv8" in name or name.startswith("stage6d") for name in state)


def test_dilations_are_those_of_the_paper() -> None:
    stages = dict(models.build("u2netp").named_children())
    assert [stages["stage1"].get_submodule(f"rebnconv{i}").conv_s1.dilation[0] for i in range(1, 8)] == [1] * 6 + [2]
    assert [stages["stage5"].get_submodule(f"rebnconv{i}").conv_s1.dilation[0] for i in range(1, 5)] == [1, 2, 4, 8]
    assert [stages["stage5"].get_submodule(f"rebnconv{i}d").conv_s1.dilation[0] for i in (3, 2, 1)] == [4, 2, 1]


def test_fewer_outputs_are_the_first_ones() -> None:
    torch.manual_seed(0)
    full = models.build("u2netp").eval()
    few = models.build("u2netp", outputs=1).eval()
    few.load_state_dict(full.state_dict(), strict=True)
    x = torch.rand(1, 3, 40, 50)
    with torch.no_grad():
        (fused,), maps = few(x), full(x)
    assert torch.equal(fused, maps[0])


@pytest.mark.parametrize("name", list(models.ARCHITECTURES))
def test_every_parameter_is_trained(name: str) -> None:
    model = models.build(name).train()
    sum(each.mean() for each in model(torch.rand(2, 3, 64, 64))).backward()
    assert [key for key, each in model.named_parameters() if each.grad is None] == []


@pytest.mark.parametrize("name", ["u2netp", "unet"])
def test_folding_keeps_the_result(name: str) -> None:
    torch.manual_seed(1)
    model = models.build(name).train()
    with torch.no_grad():
        for _ in range(3):  # running averages that are not the identity
            model(torch.rand(2, 3, 64, 64) * 3 - 1)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        folded = models.fold_batch_norm(model)
        x = torch.rand(1, 3, 64, 64)
        difference = (folded(x)[0] - model.eval()(x)[0]).abs().max().item()
    assert difference < 1e-4
    assert not any(isinstance(each, torch.nn.BatchNorm2d) for each in folded.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_unknown_architecture() -> None:
    with pytest.raises(InputError, match=r"'u2nett'.*'u2net' or 'u2netp' or 'unet'"):
        models.build("u2nett")


# ---- the official weights --------------------------------------------------------------------------------------


def _official(path: Path, size: tuple[int, int]) -> Any:
    """The official network under ONNX Runtime, opened for another input size."""
    graph = onnx.load(str(path))
    for side, length in zip(graph.graph.input[0].type.tensor_type.shape.dim, (1, 3, *size), strict=True):
        side.dim_value = length
    for output in graph.graph.output:
        output.type.tensor_type.ClearField("shape")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


@pytest.mark.weights
@pytest.mark.parametrize("name", ["u2netp", pytest.param("u2net", marks=pytest.mark.slow)])
def test_official_weights_give_the_official_maps(name: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(f"{name}_path")
    model, architecture = models.import_onnx(onnx.load(str(path)))
    assert architecture == name
    for photograph, size in [("astronaut", (320, 320)), ("chelsea", (224, 352)), ("coffee", (333, 257))]:
        tensor = reference.input_tensor(reference.photograph(photograph), size)
        session = _official(path, size)
        expected = session.run(None, {session.get_inputs()[0].name: tensor})
        with torch.no_grad():
            maps = [torch.sigmoid(each).numpy() for each in model(torch.from_numpy(tensor))]
        differences = [float(np.abs(got - want).max()) for got, want in zip(maps, expected, strict=True)]
        assert max(differences) < 1e-4, (photograph, size, differences)


@pytest.mark.weights
def test_import_keeps_every_weight_to_the_bit(u2netp_path: Path) -> None:
    graph = onnx.load(str(u2netp_path))
    model, _ = models.import_onnx(graph)
    folded = {each.detach().numpy().tobytes() for each in models.fold_batch_norm(model).parameters()}
    assert {numpy_helper.to_array(each).tobytes() for each in graph.graph.initializer} == folded


def test_normalisation_that_is_not_folded_is_imported(tmp_path: Path) -> None:
    """Convolution and normalisation of an ONNX graph, against ONNX Runtime."""
    random = np.random.default_rng(0)
    arrays = {
        "w": random.normal(size=(4, 3, 3, 3)),
        "b": random.normal(size=4),
        **{key: random.uniform(0.5, 2, size=4) for key in ("scale", "shift", "mean", "variance")},
    }
    arrays = {key: value.astype(np.float32) for key, value in arrays.items()}
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[2, 2, 2, 2], dilations=[2, 2]),
        helper.make_node("BatchNormalization", ["y", "scale", "shift", "mean", "variance"], ["z"], epsilon=0.01),
    ]
    shape = (1, 3, 9, 9)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, (1, 4, 9, 9))],
        [numpy_helper.from_array(value, key) for key, value in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (found,) = onnx_weights.convolutions(model)
    assert found.dilation == 2
    block = models.u2net.ConvBlock(3, 4, 2).eval()
    with torch.no_grad():
        onnx_weights._assign(found, block.conv_s1, block.bn_s1)
        x = random.normal(size=shape).astype(np.float32)
        got = block.bn_s1(block.conv_s1(torch.from_numpy(x))).numpy()
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert np.abs(session.run(None, {"x": x})[0] - got).max() < 1e-5


def test_another_graph_is_told_apart(small_model: Path) -> None:
    with pytest.raises(ModelError, match=r"not u2net: 1 convolutions, expected 119; .*not unet: 1 conv"):
        models.import_onnx(onnx.load(str(small_model)))
