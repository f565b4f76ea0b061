# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt export --native``: the file, its sidecar, its verification, and what is refused."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from tests import make, small_models
from tests.networks.test_cpu_network import Builder
from typer.testing import CliRunner

from rmbg_trt import Engine, InputError, ModelError, _core
from rmbg_trt.cli import app
from rmbg_trt.export.inspect_file import inspect
from rmbg_trt.networks import cpu_choice, native_export
from rmbg_trt.networks.native_export import export_native
from rmbg_trt.recipe import read_sidecar, sidecar_path
from rmbg_trt.training.models import ModelConfig, build, save_checkpoint


@pytest.fixture
def deep_model(tmp_path: Path) -> Path:
    """With 16 channels inside, so that bf16 has centres."""
    b = Builder()
    hidden = b.relu(b.conv("x", 3, 16))
    return b.save(tmp_path / "deep.onnx", b.sigmoid(b.conv(hidden, 16, 1)), (1, 3, 40, 48), (1, 1, 40, 48))


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["export", *map(str, arguments)], catch_exceptions=False)


def test_the_file_and_its_sidecar(deep_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "deep.rmbg"
    stages = []
    exported = export_native(str(deep_model), out, progress=lambda stage, done, total: stages.append(stage))
    assert list(dict.fromkeys(stages)) == list(native_export.STAGES)
    assert exported.size == (40, 48)
    assert exported.failures() == []
    assert exported.fp32 is not None
    assert exported.fp32.mean_alpha < 0.01
    assert exported.bf16 is not None
    sidecar = read_sidecar(out)
    assert sidecar is not None
    assert sidecar.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()
    assert (sidecar.input.shape, sidecar.output.shape) == ((1, 3, 40, 48), (1, 1, 40, 48))
    assert sidecar.source["sha256"] == hashlib.sha256(deep_model.read_bytes()).hexdigest()
    assert [check["what"] for check in sidecar.verification] == ["native fp32 and ONNX Runtime", "bf16 and fp32"]
    assert not sidecar.forced
    rows = dict(inspect(out))
    assert rows["kind"] == "model file of our own network"
    assert rows["input"] == "[1, 3, 40, 48]"
    assert rows["bf16"].startswith("16 centres, ")


def test_the_same_source_gives_the_same_bytes(deep_model: Path, tmp_path: Path) -> None:
    for name in ("a.rmbg", "b.rmbg"):
        export_native(str(deep_model), tmp_path / name)
    assert (tmp_path / "a.rmbg").read_bytes() == (tmp_path / "b.rmbg").read_bytes()


def test_an_open_size_is_fixed(tmp_path: Path) -> None:
    source = small_models.matte(tmp_path / "open.onnx", "h", "w")
    assert export_native(str(source), tmp_path / "open.rmbg").size == (320, 320)
    assert export_native(str(source), tmp_path / "small.rmbg", size=(32, 64)).size == (32, 64)
    with Engine(tmp_path / "small.rmbg", device="cpu") as engine:
        assert engine.info.input_size == (32, 64)


def test_bf16_that_the_core_lacks_is_left_out(tmp_path: Path) -> None:
    b = Builder()
    hidden = b.conv(b.conv("x", 3, 16), 16, 16, dilation=100)
    path = b.save(tmp_path / "m.onnx", b.sigmoid(b.conv(hidden, 16, 1)), (1, 3, 40, 40), (1, 1, 40, 40))
    exported = export_native(str(path), tmp_path / "m.rmbg")
    assert (exported.bf16, exported.keeps_mattes) == (None, False)
    assert _core.read_model_file(str(tmp_path / "m.rmbg")).centres.size == 0


def test_bf16_that_loses_too_much_is_marked(deep_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for bound, keeps in ((255.0, True), (-1.0, False)):
        monkeypatch.setattr(cpu_choice, "MAX_MEAN_ALPHA", bound)
        monkeypatch.setattr(cpu_choice, "MIN_IOU", 0.0)
        out = tmp_path / "m.rmbg"
        assert export_native(str(deep_model), out, overwrite=True).keeps_mattes is keeps
        assert _core.read_model_file(str(out)).keeps_mattes is keeps


def test_a_failed_verification_writes_nothing(
    deep_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_export, "onnx_runtime", lambda model: lambda x: np.zeros_like(x[:, :1]))
    out = tmp_path / "deep.rmbg"
    done = run(deep_model, "--native", "-o", out)
    assert done.exit_code == 1
    assert "our network is not ONNX Runtime's" in done.stderr
    assert not out.exists()
    assert not sidecar_path(out).exists()
    assert run(deep_model, "--native", "-o", out, "--force").exit_code == 0
    sidecar = read_sidecar(out)
    assert sidecar is not None
    assert sidecar.forced


def test_without_onnx_runtime_it_says_so(deep_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name))
    exported = export_native(str(deep_model), tmp_path / "deep.rmbg")
    assert exported.fp32 is None
    assert exported.notes == ("not compared with ONNX Runtime, which is not installed",)
    sidecar = read_sidecar(tmp_path / "deep.rmbg")
    assert sidecar is not None
    assert sidecar.verification[-1] == {"note": exported.notes[0]}


@pytest.mark.slow
def test_a_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = ModelConfig("unet", 1, (32, 48))
    checkpoint = tmp_path / "best.safetensors"
    save_checkpoint(build("unet"), config, checkpoint)
    assert export_native(str(checkpoint), tmp_path / "best.rmbg").size == (32, 48)
    frame = make.noise(60, 80, 3)
    with (
        Engine(checkpoint, device="cpu", runtime="native", precision="fp32") as direct,
        Engine(tmp_path / "best.rmbg", device="cpu", precision="fp32") as flat,
    ):
        np.testing.assert_array_equal(direct.run(frame), flat.run(frame))


class TestRefused:
    def test_names_and_existing_files(self, small_model: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"a model file for the C\+\+ library ends in \.rmbg"):
            export_native(str(small_model), tmp_path / "m.onnx")
        (tmp_path / "m.rmbg.json").touch()
        with pytest.raises(InputError, match=r"m\.rmbg\.json already exists; give --overwrite"):
            export_native(str(small_model), tmp_path / "m.rmbg")

    def test_a_layer_that_our_network_lacks(self, tmp_path: Path) -> None:
        nodes = [helper.make_node("HardSwish", ["input"], ["h"]), helper.make_node("ReduceMax", ["h"], ["matte"])]
        ports = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in (("input", (1, 3, 32, 32)), ("matte", (1, 1, 1, 1)))
        ]
        model = helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:]))
        path = tmp_path / "m.onnx"
        path.write_bytes(model.SerializeToString())
        with pytest.raises(ModelError, match="does not run on our own network, the only one of the library"):
            export_native(str(path), tmp_path / "m.rmbg")

    def test_logits(self, tmp_path: Path) -> None:
        b = Builder()
        path = b.save(tmp_path / "m.onnx", b.add(b.conv("x", 3, 1), b.conv("x", 3, 1)), (1, 3, 32, 32), (1, 1, 32, 32))
        with pytest.raises(ModelError, match="logits, not probabilities"):
            export_native(str(path), tmp_path / "m.rmbg")
        assert not (tmp_path / "m.rmbg").exists()

    @pytest.mark.parametrize(
        "options",
        [
            ("--targets", "sm89"),
            ("--onnx-only",),
            ("--precision", "int8"),
            ("--dynamic", "160", "320", "640"),
            ("--verify", "photos"),
            ("--calibration", "photos"),
        ],
    )
    def test_options_that_do_not_go_together(self, options: tuple[str, ...]) -> None:
        done = run("u2netp", "--native", *options)
        assert done.exit_code == 2
        assert "--native is for the CPU" in done.stderr
