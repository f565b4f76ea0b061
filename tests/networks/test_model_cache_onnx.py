# SPDX-License-Identifier: Apache-2.0
"""Checkpoints on the CPU: converted once for each thing that the file depends on, whole or absent."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from tests import make, small_models

from rmbg_trt import Engine, _core, networks
from rmbg_trt.errors import Error, ModelError, UnavailableError
from rmbg_trt.export import convert as export_convert
from rmbg_trt.export import source, to_onnx
from rmbg_trt.files import file_sha256
from rmbg_trt.install import install_command
from rmbg_trt.networks import model_cache
from rmbg_trt.networks.model_cache import convert
from rmbg_trt.training.models import ModelConfig, build, save_checkpoint

pytest.importorskip("openvino")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A file for ``exporter``, which does not look into it."""
    (tmp_path / "best.safetensors").write_bytes(b"weights")
    return tmp_path / "best.safetensors"


class FakeExporter:
    """Stands for reading a checkpoint and for ``to_onnx``: a small model of the shape asked for; notes the shapes."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "made.onnx"
        self.config = ModelConfig("unet", 1, (48, 64))
        self.shapes: list[tuple[int, ...]] = []
        self.before: Callable[[], object] = lambda: None

    def open_source(self, name: str) -> source.Source:
        path = Path(name)
        return source.Source(name, path, file_sha256(path), torch.nn.Identity(), self.config, None)

    def to_onnx(self, model: Any, shape: Any) -> Any:
        self.before()
        self.shapes.append(shape.usual)
        return onnx.load(str(small_models.matte(self.file, *shape.usual[2:])))


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeExporter:
    fake = FakeExporter(tmp_path)
    monkeypatch.setattr(export_convert, "open_source", fake.open_source)
    monkeypatch.setattr(to_onnx, "to_onnx", fake.to_onnx)
    return fake


def open_(path: Path, **options: Any) -> Engine:
    return Engine(path, device="cpu", slots=1, **options)


def reason(path: Path, **options: Any) -> str:
    with open_(path, **options) as engine:
        return engine.info.reason


@pytest.fixture(scope="module")
def unet() -> Any:
    torch.manual_seed(0)
    return build("unet").eval()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("best.safetensors", None), ("best.pth", (64, 80))])
def test_the_matte_is_that_of_the_module(tmp_path: Path, unet: Any, name: str, size: tuple[int, int] | None) -> None:
    path = tmp_path / name
    if path.suffix == ".pth":
        torch.save(unet.state_dict(), path)
    else:
        save_checkpoint(unet, ModelConfig("unet", 1, (48, 64)), path)
    sides = size or (48, 64)
    frame = make.noise(*sides, 3)
    with torch.inference_mode():
        x = torch.from_numpy(_core.preprocess(frame, sides, color="rgb"))
        expected = unet(x)[0].sigmoid()[0, 0].numpy() * 255
    with open_(path, color="rgb", stretch="none", size=size) as engine:
        assert engine.info.model_path == str(path)
        assert engine.info.input_size == sides
        assert engine.info.reason.endswith("the checkpoint was converted to ONNX now, and kept")
        np.testing.assert_allclose(engine.run(frame), expected, atol=1.01)


def test_it_is_converted_once(checkpoint: Path, exporter: FakeExporter, home: Path) -> None:
    assert "converted to ONNX now" in reason(checkpoint)
    assert "before (from the cache)" in reason(checkpoint)
    renamed = checkpoint.rename(checkpoint.with_name("other.safetensors"))
    assert "now" in reason(renamed), "files are named after the checkpoint, for people who look into the cache"
    assert exporter.shapes == [(1, 3, 48, 64)] * 2
    assert sorted(path.name[:5] for path in (home / "onnx").iterdir()) == ["best-", "other"]


def test_the_log_says_so(checkpoint: Path, exporter: FakeExporter, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rmbg_trt"):
        convert(checkpoint)
        convert(checkpoint)
    assert len([each for each in caplog.messages if "converting the checkpoint best.safetensors to ONNX" in each]) == 1


def test_from_the_cache_nothing_is_needed(
    checkpoint: Path, exporter: FakeExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(checkpoint)
    monkeypatch.setattr(source, "PACKAGES", ("a_package_that_nobody_has",))
    assert "from the cache" in reason(checkpoint)


def test_each_size_is_a_file(checkpoint: Path, exporter: FakeExporter) -> None:
    assert convert(checkpoint)[1]
    assert convert(checkpoint, (32, 32))[1]
    assert not convert(checkpoint, (32, 32))[1]
    assert exporter.shapes == [(1, 3, 48, 64), (1, 3, 32, 32)]
    with open_(checkpoint, size=96) as engine:
        assert engine.info.input_size == (96, 96)


def test_a_changed_file_gives_the_new_weights(checkpoint: Path, exporter: FakeExporter) -> None:
    first, _ = convert(checkpoint)
    stat = checkpoint.stat()
    checkpoint.write_bytes(b"WEIGHTS")
    os.utime(checkpoint, (stat.st_atime, stat.st_mtime))  # neither time nor length tell
    second, made = convert(checkpoint)
    assert made
    assert second != first
    checkpoint.write_bytes(b"weights")
    assert convert(checkpoint) == (first, False)


def test_a_file_that_changes_meanwhile_is_not_kept(checkpoint: Path, exporter: FakeExporter, home: Path) -> None:
    exporter.before = lambda: checkpoint.write_bytes(b"better ones")
    with pytest.raises(ModelError, match=r"best\.safetensors was changed while it was read"):
        convert(checkpoint)
    assert list(home.rglob("*.onnx")) == []


def test_another_version_of_the_package(
    checkpoint: Path, exporter: FakeExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(checkpoint)
    monkeypatch.setattr(model_cache, "__version__", "99")
    assert convert(checkpoint)[1]


@pytest.mark.parametrize("damage", [b"", b"\0" * 99])
def test_a_damaged_file_in_the_cache_is_made_again(
    checkpoint: Path, exporter: FakeExporter, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file, _ = convert(checkpoint)
    file.write_bytes(damage)
    assert "converted to ONNX now" in reason(checkpoint)
    assert "cannot be used and is made again" in caplog.text
    assert "from the cache" in reason(checkpoint)


def test_what_was_made_and_does_not_open_is_told(checkpoint: Path, exporter: FakeExporter) -> None:
    def refuse(file: Path) -> Any:
        raise ModelError(f"{file.suffix} is nothing")

    with pytest.raises(ModelError, match=r"\.onnx is nothing"):
        model_cache.open_converted(checkpoint, None, refuse)
    assert len(exporter.shapes) == 1
    with pytest.raises(ModelError, match=r"\.onnx is nothing"):
        model_cache.open_converted(checkpoint, None, refuse)
    assert len(exporter.shapes) == 2, "from the cache it is made once more, and not for ever"


def test_of_two_threads_one_converts(checkpoint: Path, exporter: FakeExporter) -> None:
    together = threading.Barrier(4)

    def get(_: int) -> tuple[Path, bool]:
        together.wait()
        return convert(checkpoint)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(get, range(4)))
    assert len({file for file, _ in results}) == 1
    assert sorted(made for _, made in results) == [False] * 3 + [True]
    assert len(exporter.shapes) == 1


def test_only_the_last_ones_are_kept(
    checkpoint: Path, exporter: FakeExporter, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(model_cache, "KEPT_FILES", 2)
    files = []
    for age, side in enumerate((32, 40, 48)):
        if side == 48:
            os.utime(files[0], (2e9, 2e9))  # used last
        files.append(convert(checkpoint, (side, side))[0])
        if side != 48:
            os.utime(files[-1], (1e9 + age, 1e9 + age))
    assert {path.name for path in (home / "onnx").iterdir()} == {files[0].name, files[2].name}


# What cannot be.


def test_what_to_install(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in ("torch", "onnx") else find(name, *rest)
    )
    with pytest.raises(
        UnavailableError,
        match=r"best\.safetensors is a checkpoint.*torch, onnx: .*" + re.escape(install_command("export")),
    ):
        open_(checkpoint)


def test_a_damaged_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "best.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match=r"best\.safetensors: not a readable safetensors file"):
        open_(tmp_path / "best.safetensors")


def test_another_normalisation(checkpoint: Path, exporter: FakeExporter) -> None:
    exporter.config = ModelConfig("unet", 1, (48, 64), mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0))
    with pytest.raises(ModelError, match=r"best\.safetensors was trained on images normalised with mean"):
        open_(checkpoint)
    assert exporter.shapes == []


def test_a_size_that_is_none(checkpoint: Path, exporter: FakeExporter) -> None:
    exporter.config = ModelConfig("unet", 1, (8, 8))
    with pytest.raises(ModelError, match=r"best\.safetensors: its input size does not work.*give size="):
        open_(checkpoint)
    with open_(checkpoint, size=64) as engine:
        assert engine.info.input_size == (64, 64)


def test_a_cache_that_cannot_be_written(checkpoint: Path, exporter: FakeExporter, home: Path) -> None:
    home.write_text("a file where the folder should be")
    with pytest.raises(Error, match="could not be written"):
        open_(checkpoint)


def test_no_runtime_runs_it(checkpoint: Path, exporter: FakeExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, path: Path, kind: str, request: Any) -> Any:
        assert kind == "onnx"
        raise UnavailableError("it is not installed")

    monkeypatch.setattr(networks, "_open", refuse)
    with pytest.raises(
        UnavailableError, match=r"nothing here can run best\.safetensors: .*native: it is not installed"
    ):
        open_(checkpoint)
    with pytest.raises(UnavailableError, match=r"runtime 'openvino' cannot run best\.safetensors: it is not installed"):
        open_(checkpoint, runtime="openvino")
