# SPDX-License-Identifier: Apache-2.0
"""ONNX files that our own network refuses: layers that it lacks, damage, and files that mean harm."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.networks.test_cpu_network import native
from tests.runtimes.test_native import Graph, like_torch_11

from rmbg_trt.errors import Error, ModelError
from rmbg_trt.runtimes.native import compile_model
from rmbg_trt.runtimes.request import UnsupportedNetworkError

# --- What is refused ---


def nearest(g: Graph) -> str:
    return g.op("Resize", "x", "", "", g.ints(1, 3, 64, 64), mode="nearest")


def asymmetric(g: Graph) -> str:
    return g.resize_to("x", g.ints(1, 3, 64, 64), coordinate_transformation_mode="asymmetric")


def upsample(g: Graph) -> str:
    return g.op("Upsample", "x", g._constant(np.array([1, 1, 2, 2], np.float32)), mode="linear")


def resize_10(g: Graph) -> str:
    """Before opset 11 there is no other kind of coordinates."""
    return g.op("Resize", "x", g._constant(np.array([1, 1, 2, 2], np.float32)), mode="linear")


def resized_channels(g: Graph) -> str:
    return g.resize_to("x", g.ints(1, 6, 32, 32))


def uneven_scales(g: Graph) -> str:
    return g.resize_to("x", "", g._constant(np.array([1, 1, 1.3, 1.3], np.float32)))


def groups(g: Graph) -> str:
    return g.op("Conv", "x", g.floats(3, 1, 3, 3), pads=[1, 1, 1, 1], group=3)


def half_weights(g: Graph) -> str:
    return g.op("Conv", "x", g._constant(np.zeros((3, 3, 1, 1), np.float16)))


def half_values(g: Graph) -> str:
    return g.op("Cast", "x", to=TensorProto.FLOAT16)


def added_constant(g: Graph) -> str:
    return g.op("Add", g.relu("x"), g.floats(1, 3, 1, 1))


def broadcast(g: Graph) -> str:
    return g.op("Add", "x", g.conv("x", 3, 1, kernel=1))


def another_axis(g: Graph) -> str:
    return g.op("Concat", "x", "x", axis=2)


def large_arithmetic(g: Graph) -> str:
    column = g.op("Mul", g.floats(1025, 1), g.floats(1, 1025))
    return g.op("Add", "x", column)


def another_domain(g: Graph) -> str:
    return g.op("Relu", "x", domain="com.example")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (nearest, "mode nearest; expected linear"),
        (asymmetric, "coordinates asymmetric; expected half_pixel, pytorch_half_pixel, align_corners"),
        (upsample, "coordinates asymmetric"),
        (resize_10, "coordinates asymmetric"),
        (resized_channels, "resized channels"),
        (uneven_scales, "a scale of 1.29.*: 32 becomes 41.6; expected an integer"),
        (groups, "3 groups"),
        (half_weights, "is float16; expected float32"),
        (half_values, r"Cast.*another target than float32"),
        (added_constant, "a constant as input 1"),
        (broadcast, "expected equal ones"),
        (another_axis, "axis 2"),
        (large_arithmetic, r"layer Mul0 \(Mul\) has arithmetic on weights"),
        (another_domain, r"com\.example\.Relu"),
    ],
)
def test_refusals_name_the_layer_and_the_reason(tmp_path: Path, make: Callable[[Graph], str], words: str) -> None:
    g = Graph()
    opset = {upsample: 9, resize_10: 10}.get(make, 13)
    path = g.write(tmp_path / "m.onnx", g.conv(make(g), 3, 1, kernel=1), opset=opset)
    with pytest.raises(UnsupportedNetworkError, match=words):
        native(path, 32, 32)


# --- Damage, and files that mean harm ---


def circle(g: Graph) -> str:
    g.nodes.append(helper.make_node("Add", ["x", "b"], ["a"]))
    g.nodes.append(helper.make_node("Relu", ["a"], ["b"]))
    return "b"


def nothing_makes_it(g: Graph) -> str:
    return g.relu("nowhere")


def other_channels(g: Graph) -> str:
    return g.conv("x", 5, 16)


def another_bias(g: Graph) -> str:
    return g.op("Conv", "x", g.floats(3, 3, 1, 1), g.floats(4))


def short_weights(g: Graph) -> str:
    x = g.conv("x", 3, 16)
    g.constants[0].raw_data = g.constants[0].raw_data[:100]
    return x


def no_dependence(g: Graph) -> str:
    return g.op("Identity", g.floats(1, 1, 32, 32))


def attribute_of_another_type(g: Graph) -> str:
    return g.conv("x", 3, 1, pads="everywhere")


def joined_sizes(g: Graph) -> str:
    return g.concat("x", g.pool("x"))


def added_sizes(g: Graph) -> str:
    return g.add("x", g.pool("x"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (circle, "has a cycle through 'a|b'"),
        (nothing_makes_it, "reads 'nowhere', which nothing computes"),
        (other_channels, r"weights of shape \(16, 5, 3, 3\) for 3 channels"),
        (another_bias, r"bias of shape \(4,\); expected \(3,\)"),
        (short_weights, "constant c0 is damaged"),
        (no_dependence, "does not depend on the image"),
        (attribute_of_another_type, "pads of the wrong type"),
        (joined_sizes, r"joins values of shape \(3, 32, 32\), \(3, 16, 16\)"),
        (added_sizes, r"adds values of shape \(3, 32, 32\) and \(3, 16, 16\)"),
    ],
)
def test_damage_is_a_model_error(tmp_path: Path, make: Callable[[Graph], str], words: str) -> None:
    g = Graph()
    path = g.save(tmp_path / "m.onnx", make(g), (1, 3, 32, 32), (1, 1, 32, 32))
    with pytest.raises(ModelError, match=words) as caught:
        compile_model(path, None)
    assert str(caught.value).startswith(str(path)) or make is circle


def with_external_weights(folder: Path) -> tuple[Path, onnx.ModelProto]:
    g = Graph()
    g.save(folder / "inside.onnx", g.sigmoid(g.conv("x", 3, 1)), (1, 3, 32, 32), (1, 1, 32, 32))
    model = onnx.load(folder / "inside.onnx")
    path = folder / "outside.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path, onnx.load(path, load_external_data=False)


def test_weights_in_a_file_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = with_external_weights(tmp_path)
    x = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)
    want = native(tmp_path / "inside.onnx", 32, 32).run(x)
    np.testing.assert_array_equal(native(path, 32, 32).run(x), want)
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(native(Path("outside.onnx"), 32, 32).run(x), want)


@pytest.mark.parametrize("where", ["../secret.bin", "absolute", "link.bin", "missing.bin"])
def test_weights_outside_the_folder_are_not_read(tmp_path: Path, where: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path, model = with_external_weights(folder)
    secret = tmp_path / "secret.bin"
    (folder / "weights.bin").rename(secret)
    (folder / "link.bin").symlink_to(secret)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = str(secret) if where == "absolute" else where
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"outside\.onnx: not a readable ONNX model"):
        compile_model(path, None)


def test_any_damage_ends_in_an_error_of_ours(tmp_path: Path) -> None:
    g = Graph()
    path = g.save(tmp_path / "m.onnx", g.sigmoid(g.conv(like_torch_11(g), 32, 1)), (1, 3, 24, 20), (1, 1, 24, 20))
    whole, damaged, pick = path.read_bytes(), tmp_path / "damaged.onnx", random.Random(0)
    outcomes = {True: 0, False: 0}
    for _ in range(600):
        data = bytearray(whole)
        for _ in range(pick.choice([1, 1, 3])):
            at = pick.randrange(len(data))
            data[at : at + pick.randrange(3)] = bytes(pick.randrange(256) for _ in range(pick.randrange(3)))
        damaged.write_bytes(data)
        try:
            compile_model(damaged, None)
            outcomes[True] += 1
        except (Error, UnsupportedNetworkError):
            outcomes[False] += 1
    assert min(outcomes.values()) > 50, outcomes  # weights may change unseen; all else is found
