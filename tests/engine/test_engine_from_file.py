# SPDX-License-Identifier: Apache-2.0
"""Engines in Python over model files: the same bytes as from ONNX, and what they cannot do."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from tests import make
from tests.engine.model_files import small
from tests.networks.test_cpu_network import Builder

from rmbg_trt import Engine, InputError, ModelError, _core
from rmbg_trt.networks.native import compile_bf16
from rmbg_trt.networks.native_export import export_native
from rmbg_trt.runtimes.native import compile_model


@pytest.fixture
def exported(small_model: Path, tmp_path: Path) -> Path:
    out = tmp_path / "small.rmbg"
    export_native(str(small_model), out)
    return out


def test_the_same_bytes_as_from_onnx(exported: Path, small_model: Path) -> None:
    frame = make.noise(60, 80, 3)
    for output in ("alpha", "cutout"):
        results = []
        for model in (small_model, exported):
            with Engine(model, precision="fp32", device="cpu") as engine:
                results.append(engine.run(frame, output=output))
                assert engine.info.runtime == "native"
        np.testing.assert_array_equal(*results)


def test_auto_measures_as_for_onnx(exported: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path))
    with Engine(exported, device="cpu") as engine:
        assert engine.info.runtime == "native"
        assert engine.info.input_size == (48, 64)


def test_bf16_takes_the_centres_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    b = Builder()
    path = b.save(tmp_path / "m.onnx", b.sigmoid(b.conv(b.conv("x", 3, 16), 16, 1)), (1, 3, 40, 40), (1, 1, 40, 40))
    out = tmp_path / "m.rmbg"
    exported = export_native(str(path), out)
    assert exported.bf16 is not None
    file = _core.read_model_file(str(out))
    assert file.centres.size == 16
    monkeypatch.setattr("rmbg_trt.networks.native.measure_centres", None)
    x = np.random.default_rng(2).normal(size=(1, 3, 40, 40)).astype(np.float32)
    model = compile_model(out, None, lambda graph: compile_bf16(out, graph))
    expected = _core.CpuModel(file.graph, "bf16", file.centres)
    np.testing.assert_array_equal(model.network().run(x), expected.network().run(x))


def test_what_it_cannot_do(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"small\.rmbg is a model file for 48x64 only.*--size 32x32"):
        Engine(exported, device="cpu", size=32)
    with pytest.raises(InputError, match="is a model file of our own network; expected runtime 'auto' or 'native'"):
        Engine(exported, runtime="openvino")
    recipe = struct.pack("<6d3I2fI", 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0, 0, 0, 0, 1, 0)
    other = tmp_path / "other.rmbg"
    other.write_bytes(small(recipe=recipe))
    with pytest.raises(ModelError, match="was trained on images normalised with mean"):
        Engine(other, device="cpu")
    exported.write_bytes(exported.read_bytes()[:-10])
    with pytest.raises(ModelError, match="bytes; its header says"):
        Engine(exported, device="cpu")
