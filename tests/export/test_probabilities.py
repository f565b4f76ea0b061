# SPDX-License-Identifier: Apache-2.0
"""Networks from elsewhere: logits, pixels in 0..255, broken weights, constant mattes, several outputs, other shapes.

Each is a pointwise network of one or two layers, whose output on photographs follows from their colors.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from rmbg_trt import Engine, ModelError, models
from rmbg_trt.export.int8_job import export_int8
from rmbg_trt.export.job import export
from rmbg_trt.export.options import Options
from rmbg_trt.networks import foreign
from rmbg_trt.runtimes.onnx_checks import matte_index

SIDE = 32
ONNX = Options(precision="fp32", onnx_only=True)


def write(path: Path, *, scale: float = 1.0, bias: float = 0.0, outputs: tuple[str, ...] = ("matte",)) -> Path:
    """``matte`` is the sigmoid of ``sum``: the mean color times a scale, plus a bias. ``flat`` has no channel axis."""
    weights = np.full((1, 3, 1, 1), scale / 3, np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "weights", "bias"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["matte"]),
        helper.make_node("Squeeze", ["matte", "axis"], ["flat"]),
        helper.make_node("Mul", ["matte", "white"], ["bytes"]),
    ]
    constants = {
        "weights": weights,
        "bias": np.array([bias], np.float32),
        "axis": np.array([1]),
        "white": np.array([255], np.float32),
    }
    shapes = {"flat": (1, SIDE, SIDE)}
    graph = helper.make_graph(
        nodes,
        "pointwise",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, SIDE, SIDE))],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shapes.get(n, (1, 1, SIDE, SIDE))) for n in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    )
    return path


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path / "home"))


def opens(path: Path, runtime: str = "auto") -> None:
    with Engine(str(path), device="cpu", runtime=runtime, slots=1):
        pass


def failures(path: Path) -> str:
    """What the verification of an export to ONNX says; nothing is written if it says something."""
    report = export(str(path), path.with_suffix(".out.onnx"), ONNX)
    assert report.written == (not report.checks.failures())
    return "; ".join(report.checks.failures())


@pytest.mark.parametrize(
    ("output", "message"),
    [("sum", "logits, not probabilities"), ("bytes", "values up to 255, not probabilities.*divide them by 255")],
)
def test_other_values_than_probabilities_are_refused(output: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", scale=4, outputs=(output,))
    for runtime in ("native", "openvino"):
        with pytest.raises(ModelError, match=rf"{message}.*RGB images resized to 32x32.*mean \(0\.485"):
            opens(path, runtime if output == "sum" else "openvino")
    assert "not probabilities" in failures(path)


def test_a_network_for_pixels_in_0_to_255(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "m.onnx", scale=1 / 20, bias=-5)  # half of 100
    opens(path)
    assert "finds no subject in 4 of 4 photographs" in caplog.text
    assert "With pixels in 0..255 it does find one" in caplog.text
    assert "With pixels in 0..255" in failures(path)


def test_a_constant_matte(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "m.onnx", scale=0, bias=-3)
    opens(path)
    assert "its output is the same everywhere" in caplog.text
    assert "the same everywhere" in failures(path)


@pytest.mark.slow
def test_logits_are_refused_before_they_are_quantised(tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    path = write(tmp_path / "m.onnx", scale=4, outputs=("sum",))
    with pytest.raises(ModelError, match="logits, not probabilities"):
        export_int8(str(path), tmp_path / "m.xml")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_broken_weights(value: float, tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", bias=value)
    for runtime in ("native", "openvino"):
        with pytest.raises(ModelError, match=r"1 of its weights hold NaN or Inf, 'bias' first"):
            opens(path, runtime)
    with pytest.raises(ModelError, match="NaN or Inf"):
        export(str(path), tmp_path / "out.onnx", ONNX)


def test_a_sound_network_is_run_only_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "m.onnx")
    opens(path)
    monkeypatch.setattr("rmbg_trt.networks.foreign.check_model", None)
    opens(path)
    assert not caplog.records


def test_a_warning_is_repeated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "m.onnx", scale=0, bias=-3)
    for count in (1, 2):
        opens(path)
        assert caplog.text.count("the same everywhere") == count


def test_our_verified_exports_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failures(write(tmp_path / "m.onnx")) == ""
    monkeypatch.setattr("rmbg_trt.networks.foreign.check_model", None)
    opens(tmp_path / "m.out.onnx")


@pytest.mark.weights
def test_a_catalogue_model_is_not_even_read(u2netp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "model_path", lambda name: u2netp_path)
    monkeypatch.setattr(foreign, "content_sha256", None)
    foreign.check_foreign(u2netp_path, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("runtime", ["native", "openvino"])
def test_the_second_output_is_the_probability(runtime: str, tmp_path: Path) -> None:
    both, alone = (write(tmp_path / f"{len(names)}.onnx", outputs=names) for names in (("sum", "matte"), ("matte",)))
    frame = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    mattes = []
    for path in (both, alone):
        with Engine(str(path), device="cpu", runtime=runtime, slots=1, stretch="none") as engine:
            mattes.append(engine.run(frame, output="alpha"))
    np.testing.assert_array_equal(*mattes)
    assert failures(both) == ""


@pytest.mark.parametrize(
    ("kinds", "index"),
    [
        (["Sigmoid", "Sigmoid"], 0),
        (["Conv", "Sigmoid"], 1),
        (["Add", "Conv", "Clip"], 2),
        (["Conv", "Add"], 0),
        (["Div", "Sigmoid"], 0),  # a stretched matte, and a side output
        ([""], 0),
        ([], 0),
    ],
)
def test_which_output_is_the_matte(kinds: list[str], index: int) -> None:
    assert matte_index(kinds) == index


def test_an_output_without_channels_is_exported_with_one(tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", outputs=("flat",))
    opens(path)
    assert failures(path) == ""
    result = onnx.load(str(tmp_path / "m.out.onnx"))
    assert [side.dim_value for side in result.graph.output[0].type.tensor_type.shape.dim] == [1, 1, SIDE, SIDE]
    x = np.random.default_rng(0).normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)
    before, after = (
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        for model in (onnx.load(str(path)), result)
    )
    np.testing.assert_array_equal(before.run(None, {"image": x})[0][:, None], after.run(None, {"input": x})[0])


@pytest.mark.parametrize("runtime", ["native", "openvino"])
def test_missing_external_weights_are_named(runtime: str, tmp_path: Path) -> None:
    model = onnx.load(str(write(tmp_path / "m.onnx")))
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    opens(tmp_path / "m.onnx", runtime)
    (tmp_path / "m.data").unlink()
    with pytest.raises(ModelError, match=r"its weights are in another file, 'm\.data', which is not in .*copy it"):
        opens(tmp_path / "m.onnx", runtime)
    with pytest.raises(ModelError, match=r"another file, 'm\.data'"):
        failures(tmp_path / "m.onnx")
