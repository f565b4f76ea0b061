# SPDX-License-Identifier: Apache-2.0
"""The figures of a verification against hand-computed ones, and what is found when a network goes wrong."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tests import small_models

from rmbg_trt.errors import ModelError, UnavailableError
from rmbg_trt.export.centre import fit_for_half
from rmbg_trt.export.graph import static
from rmbg_trt.export.images import NamedImage, load_images
from rmbg_trt.export.options import InputShape
from rmbg_trt.export.predict import Predict, onnx_runtime, remembered, torch_predict
from rmbg_trt.export.to_fp16 import to_fp16
from rmbg_trt.export.verify import FP16_LIMITS, FP32_LIMITS, Activations, Comparison, Limits, check_half, compare
from rmbg_trt.install import install_command
from rmbg_trt.training.models import build

Floats = NDArray[np.float32]
ONE, TWO = (NamedImage(name, np.full((4, 4, 3), 255, np.uint8)) for name in ("one.jpg", "two.jpg"))


def giving(*values: list[float]) -> Predict:
    """A network that gives these maps, one after the other."""
    waiting = iter(values)
    return lambda x: np.array(next(waiting), np.float32).reshape(1, 1, 2, -1)


def compared(reference: Predict, candidate: Predict, limits: Limits = FP32_LIMITS, images: int = 1) -> Comparison:
    return compare("a and b", reference, candidate, [ONE, TWO][:images], (2, 2), limits)


def test_figures_of_one_image() -> None:
    # Alpha: 0, 63 (63.75), 127 (127.5), 255 and 0, 191 (191.25), 127, 255. Both have at least 128 at the last pixel,
    # the second at one more.
    result = compared(giving([0, 0.25, 0.5, 1]), giving([0, 0.75, 0.5, 1]))
    assert result.max_abs == 0.5
    assert result.mean_abs == 0.125
    assert result.mean_alpha == (191 - 63) / 4
    assert result.iou == 1 / 2
    assert (result.what, result.images, result.worst_image, result.not_finite) == ("a and b", 1, "one.jpg", 0)


def test_alpha_is_stretched_and_probabilities_are_not() -> None:
    result = compared(giving([0.5, 0.5, 0.75, 0.75]), giving([0.25, 0.25, 0.75, 0.75]))
    assert (result.max_abs, result.mean_abs, result.mean_alpha, result.iou) == (0.25, 0.125, 0.0, 1.0)


def test_images_are_pooled_and_the_worst_is_named() -> None:
    first, second = [0, 1, 1, 1], [0, 0, 0, 1]
    result = compared(giving(first, second), giving(first, [0, 0, 0.625, 1]), images=2)
    # 4 pixels of 5 are common; one alpha of 8 differs by 159 (159.375).
    assert result.iou == 4 / 5
    assert result.mean_alpha == 159 / 8
    assert result.mean_abs == 0.625 / 8
    assert (result.images, result.worst_image, result.max_abs) == (2, "two.jpg", 0.625)


def test_constant_predictions_have_an_empty_alpha() -> None:
    result = compared(giving([0.5] * 4), giving([0.25] * 4), Limits(mean_alpha=0, iou=1))
    assert (result.max_abs, result.mean_alpha, result.iou) == (0.25, 0.0, 1.0)
    assert result.failures() == []


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_numbers_fail_and_leave_no_figures(bad: float) -> None:
    good = [0.0, 0.25, 0.5, 1.0]
    result = compared(giving(good, good), giving(good, [0, bad, bad, 1]), Limits(), images=2)
    assert result.not_finite == 2
    assert result.failures() == ["a and b: 2 values are NaN or Inf, first in two.jpg"]
    figures = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert [figures[name] for name in ("max_abs", "mean_abs", "mean_alpha", "iou")] == [None] * 4
    assert (figures["not_finite"], figures["worst_image"], figures["passed"]) == (2, "two.jpg", False)


def test_a_reference_that_is_no_number_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"the first of them gives NaN or Inf on one\.jpg"):
        compared(giving([0, math.nan, 0, 1]), giving([0, 0, 0, 1]))


def test_maps_of_different_shape_are_an_error() -> None:
    with pytest.raises(ModelError, match=r"has shape \(1, 1, 2, 3\); expected \(1, 1, 2, 2\)"):
        compared(giving([0, 0, 0, 1]), giving([0] * 6))


def test_failures_name_figure_limit_and_image() -> None:
    figures = Comparison("a and b", 3, 2e-4, 1e-5, 0.6, 0.9985, "cat.jpg", 0, Limits(1e-4, 0.5, 0.999), "do that")
    end = "(worst image: cat.jpg); do that"
    assert figures.failures() == [
        f"a and b: the largest difference is 0.0002, expected at most 0.0001 {end}",
        f"a and b: the mean difference of alpha (of 255) is 0.6, expected at most 0.5 {end}",
        f"a and b: the IoU is 0.9985, expected at least 0.999 {end}",
    ]
    assert figures.to_dict() == {
        "what": "a and b",
        "images": 3,
        "max_abs": 2e-4,
        "mean_abs": 1e-5,
        "mean_alpha": 0.6,
        "iou": 0.9985,
        "worst_image": "cat.jpg",
        "not_finite": 0,
        "limits": {"max_abs": 1e-4, "mean_alpha": 0.5, "iou": 0.999},
        "passed": False,
    }


def test_a_figure_at_its_limit_passes() -> None:
    assert Comparison("", 1, 1e-4, 0, 0.5, 0.999, "", 0, Limits(1e-4, 0.5, 0.999)).failures() == []


def test_networks_get_the_input_of_the_size_and_steps_are_counted() -> None:
    shapes: list[tuple[int, ...]] = []
    steps: list[int] = []

    def network(x: Floats) -> Floats:
        shapes.append(x.shape)
        return x[:, :1]

    compare("", network, network, [ONE, TWO], (33, 65), Limits(), step=lambda: steps.append(1))
    assert shapes == [(1, 3, 33, 65)] * 4
    assert len(steps) == 2


# --- Half precision ---


def chain(*steps: tuple[str, str, float]) -> Any:
    """(name, operator, constant) after one another, in half between two casts; the mean of the colors at the end."""
    nodes = [helper.make_node("Cast", ["x"], ["v0"], name="to_half", to=TensorProto.FLOAT16)]
    constants = {"mean": np.full((1, 3, 1, 1), 1 / 3, np.float16)}
    for index, (name, kind, value) in enumerate(steps):
        constants[f"c{index}"] = np.array(value, np.float16)
        nodes.append(helper.make_node(kind, [f"v{index}", f"c{index}"], [f"v{index + 1}"], name=name))
    last = f"v{len(steps)}"
    nodes += [
        helper.make_node("Conv", [last, "mean"], ["m"], name="mean"),
        helper.make_node("Sigmoid", ["m"], ["p"], name="sigmoid"),
        helper.make_node("Cast", ["p"], ["y"], name="to_float", to=TensorProto.FLOAT),
    ]
    shapes = {"x": (1, 3, "h", "w"), "y": (1, 1, "h", "w")}
    given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items())
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", [given], [made], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def mean_sigmoid(x: Floats) -> Floats:
    mean = x.astype(np.float64).mean(axis=1, keepdims=True)
    return (1 / (1 + np.exp(-mean))).astype(np.float32)


def test_a_graph_that_is_right_in_half_passes() -> None:
    graph = chain(("up", "Mul", 16), ("down", "Mul", 1 / 16))  # powers of two: nothing is rounded
    steps: list[int] = []
    comparison, inside = check_half(graph, mean_sigmoid, load_images(None)[:2], (48, 64), step=lambda: steps.append(1))
    assert comparison.failures() == inside.failures() == []
    assert comparison.limits == FP16_LIMITS
    assert 0 < comparison.max_abs < 1e-3
    assert len(steps) == comparison.images == 2
    # The largest input is (1 - 0.406) / 0.225 = 2.64.
    assert inside.layer == "up"
    assert 30 < inside.largest <= 2.64 * 16 + 0.05
    assert inside.headroom == pytest.approx(65504 / inside.largest)
    assert inside.to_dict()["not_finite_layer"] is None
    from_bytes, _ = check_half(graph.SerializeToString(), mean_sigmoid, load_images(None)[:2], (48, 64))
    assert from_bytes == comparison


def test_an_overflow_is_found_at_its_layer() -> None:
    graph = chain(("large", "Mul", 300), ("too_large", "Mul", 300), ("back", "Div", 60000), ("again", "Mul", 0.6))
    comparison, inside = check_half(graph, mean_sigmoid, load_images(None)[:1], (48, 64))
    assert inside.not_finite_layer == "too_large"
    # What did not overflow there is at most 65504; on the way out the Infs become a sigmoid of 0 or 1.
    assert inside.layer == "too_large"
    assert 60000 < inside.largest <= 65504
    assert inside.failures() == [
        "layer 'too_large' gives NaN or Inf in half precision; export with --precision fp32",
    ]
    json.dumps(inside.to_dict(), allow_nan=False)
    assert all("layer 'too_large' is the first to give NaN or Inf" in text for text in comparison.failures())
    assert comparison.failures()


def test_an_overflow_that_reaches_the_output_is_counted() -> None:
    graph = chain(("far", "Mul", 60000), ("nothing", "Mul", 0))  # Inf times 0 is NaN
    comparison, inside = check_half(graph, mean_sigmoid, load_images(None)[:1], (48, 64))
    assert inside.not_finite_layer == "far"
    assert 0 < comparison.not_finite <= 48 * 64
    (failure,) = comparison.failures()
    assert "NaN or Inf, first in astronaut.jpg; layer 'far' is the first" in failure
    assert "--precision fp32" in failure


def test_a_graph_that_loses_too_much_fails_its_limits() -> None:
    graph = chain(("coarse", "Add", 1024), ("fine_again", "Sub", 1024))  # whole numbers are left
    comparison, inside = check_half(graph, mean_sigmoid, load_images(None)[:2], (48, 64))
    assert comparison.mean_alpha > 5
    assert comparison.iou < 0.99
    assert len(comparison.failures()) == 2
    assert all("of layer 'coarse'" in text and comparison.worst_image in text for text in comparison.failures())
    assert inside.failures() == []
    assert inside.layer == "coarse"


def test_a_float32_tail_does_not_count_as_large() -> None:
    graph = chain(("up", "Mul", 4))
    nodes = graph.graph.node
    nodes[-1].output[0] = "f"
    graph.graph.initializer.append(numpy_helper.from_array(np.array(1e6, np.float32), "million"))
    nodes.append(helper.make_node("Mul", ["f", "million"], ["g"], name="huge"))
    nodes.append(helper.make_node("Div", ["g", "million"], ["y"], name="small"))
    _, inside = check_half(graph, mean_sigmoid, [ONE], (8, 8))
    assert inside.layer == "up"
    assert inside.largest < 11


def test_no_half_value_has_no_headroom() -> None:
    inside = Activations(0.0, "")
    assert inside.headroom is None
    assert inside.failures() == []
    json.dumps(inside.to_dict(), allow_nan=False)


# --- Networks as functions ---


def test_onnx_runtime_gives_the_first_output(tmp_path: Path) -> None:
    predict = onnx_runtime(small_models.matte(tmp_path / "m.onnx", 2, 2, outputs=3).read_bytes())
    x = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2) / 12
    logits = np.tensordot(np.array([0.9, 0.15, -0.6]), x[0].astype(np.float64), 1) + 0.1
    np.testing.assert_allclose(predict(x)[0, 0], 1 / (1 + np.exp(-logits)), atol=1e-6)
    with pytest.raises(ModelError, match=r"could not run the model on \(1, 3, 5, 5\)"):
        predict(np.zeros((1, 3, 5, 5), np.float32))


def test_onnx_runtime_refuses_what_is_no_model() -> None:
    with pytest.raises(ModelError, match="ONNX Runtime refuses the model: "):
        onnx_runtime(b"no model")


def test_without_onnx_runtime_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UnavailableError, match=re.escape(install_command("export"))):
        onnx_runtime(b"")


def test_a_module_gives_the_sigmoid_of_its_first_logits() -> None:
    torch.manual_seed(0)
    model = build("u2netp").train()  # as a training leaves it
    x = torch.randn(1, 3, 33, 47)
    got = torch_predict(model)(x.numpy())
    with torch.no_grad():
        expected = torch.sigmoid(model.eval()(x)[0]).numpy()
    assert got.shape == (1, 1, 33, 47)
    np.testing.assert_array_equal(got, expected)


# --- The official models on the shipped photographs ---


@pytest.mark.weights
def test_half_precision_throughout_moves_the_edge_of_u2netp(u2netp_path: Path) -> None:
    """The whole export, which does better, is in test_job.py."""
    graph = static(onnx.load(str(u2netp_path)), InputShape())
    reference = onnx_runtime(u2netp_path.read_bytes())
    plain, _ = check_half(to_fp16(graph), reference, load_images(None)[-1:], (320, 320))
    assert plain.failures() != []


@pytest.mark.weights
@pytest.mark.slow
def test_u2net_in_half(u2net_path: Path) -> None:
    """On the photograph that plain half precision spoils."""
    graph = static(onnx.load(str(u2net_path)), InputShape())
    reference, rocket = remembered(onnx_runtime(u2net_path.read_bytes())), load_images(None)[-1:]
    plain, _ = check_half(to_fp16(graph), reference, rocket, (320, 320))
    assert plain.failures() != []
    fit, keep = fit_for_half(graph, InputShape())
    assert 0 < len(keep) <= 4
    comparison, inside = check_half(to_fp16(fit, keep), reference, rocket, (320, 320))
    assert comparison.failures() == []
    assert comparison.mean_alpha < 0.1
    assert inside.failures() == []
    assert 10 < inside.largest < 1000  # far from 65504
    assert inside.layer in {node.name for node in fit.graph.node}
