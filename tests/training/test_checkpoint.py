# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: ours, other people's, and files that must be refused."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from rmbg_trt.errors import Error, ModelError
from rmbg_trt.training.models import ModelConfig, build, load_checkpoint, save_checkpoint


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    return build("u2netp").eval()


def _same(one: Any, other: Any) -> bool:
    states = one.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def test_a_checkpoint_carries_its_configuration(model: Any, tmp_path: Path) -> None:
    config = ModelConfig("u2netp", 7, (288, 352), (0.5, 0.4, 0.3), (0.2, 0.2, 0.25))
    save_checkpoint(model, config, tmp_path / "best.safetensors")
    loaded = load_checkpoint(tmp_path / "best.safetensors")
    assert loaded.config == config
    assert not loaded.model.training
    assert _same(loaded.model, model)


def test_the_same_model_gives_the_same_bytes(model: Any, tmp_path: Path) -> None:
    for index in range(5):
        save_checkpoint(model, ModelConfig("u2netp", 7), tmp_path / f"{index}.safetensors")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"epoch": 3, "state_dict": {f"model._orig_mod.{key}": v for key, v in state.items()}},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state: OrderedDict((k, v) for k, v in state.items() if not k.endswith("num_batches_tracked")),
    ],
    ids=["bare", "DataParallel", "trainer", "nested", "old PyTorch"],
)
def test_state_dicts_of_others(wrap: Any, model: Any, tmp_path: Path) -> None:
    torch.save(wrap(model.state_dict()), tmp_path / "u2netp.pth")
    loaded = load_checkpoint(tmp_path / "u2netp.pth")
    assert loaded.config == ModelConfig("u2netp", 7)
    assert _same(loaded.model, model)


class _Settings:
    """A class of the trainer, which is not there when the file is read."""

    def __init__(self, **values: Any) -> None:
        self.values = values


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"generator": {"weights": state}},
        lambda state: {**{f"model.{k}": v for k, v in state.items()}, "criterion.window": torch.zeros(3)},
        lambda state: {**state, "loss.window": torch.zeros(3), "total_ops": torch.zeros(1)},
        lambda state: {"model": state, "hyper_parameters": {"root": Path("/data"), "sizes": {1, 2}}},
        lambda state: {"net": state, "args": argparse.Namespace(lr=1e-3, out=Path("x")), "settings": _Settings(a=3)},
        lambda state: {"state_dict": state, "score": np.float64(0.5), "rng": np.random.default_rng(0)},
        lambda state: {"model": state, "ema": {k: v + 1 for k, v in state.items() if v.is_floating_point()}},
        lambda state: {"model": state, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": []}},
        lambda state: {**state, **{f"ema.{k}": v * 0 for k, v in state.items()}},
    ],
    ids=["another name", "criterion", "loss beside", "paths", "objects", "numpy", "ema", "optimizer", "ema beside"],
)
def test_the_network_is_found_among_other_things(wrap: Any, model: Any, tmp_path: Path) -> None:
    torch.save(wrap(model.state_dict()), tmp_path / "x.pth")
    assert _same(load_checkpoint(tmp_path / "x.pth").model, model)


def test_several_networks_are_named(model: Any, tmp_path: Path) -> None:
    torch.save({"student": model.state_dict(), "other": model.state_dict()}, tmp_path / "x.pth")
    with pytest.raises(ModelError, match=r"holds 2 networks \('student', 'other'\); save only"):
        load_checkpoint(tmp_path / "x.pth")


@pytest.mark.slow
def test_a_near_miss_below_a_wrapper_is_compared_there(model: Any, tmp_path: Path) -> None:
    torch.save({"trainer": {"net": _without(model.state_dict(), "side3.bias")}, "step": 3}, tmp_path / "x.pth")
    with pytest.raises(ModelError, match=r"nearest to u2netp.*same: 1 missing: side3\.bias$"):
        load_checkpoint(tmp_path / "x.pth")


def test_objects_in_a_file_are_not_made(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return subprocess.check_call, (["touch", str(tmp_path / "executed")],)

    torch.save({"model": model.state_dict(), "config": Trap()}, tmp_path / "x.pth")
    assert _same(load_checkpoint(tmp_path / "x.pth").model, model)
    assert not (tmp_path / "executed").exists()
    with pytest.raises(pickle.UnpicklingError):  # the classes are accepted only while we read
        torch.load(tmp_path / "x.pth", weights_only=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty; download or copy it again"),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "it is a web page; download the file itself"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer of Git LFS.*git lfs pull"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_of_another_kind(suffix: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / f"x{suffix}").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        load_checkpoint(tmp_path / f"x{suffix}")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_named(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Conv2d(3, 1, 1)).save(str(tmp_path / "x.pt"))
    with pytest.raises(ModelError, match=r"is a TorchScript program.*torch\.jit\.load\(\.\.\.\)\.state_dict\(\)"):
        load_checkpoint(tmp_path / "x.pt")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_no_message_advises_to_read_unsafely(model: Any, tmp_path: Path) -> None:
    torch.save(model, tmp_path / "module.pth")
    (tmp_path / "text.pth").write_text("hello, this is text")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(_Settings()))
    for name in ("module", "text", "raw"):
        with pytest.raises(ModelError) as caught:
            load_checkpoint(tmp_path / f"{name}.pth")
        assert "weights_only" not in str(caught.value)
        assert "safe_globals" not in str(caught.value)


def test_weights_that_are_not_finite(model: Any, tmp_path: Path) -> None:
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state["side2.weight"][0, 0, 1, 1] = float("nan")
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(ModelError, match=r"1 of its weights hold NaN or Inf, 'side2\.weight' first"):
        load_checkpoint(tmp_path / "x.pth")


def test_the_format_of_old_pytorch(model: Any, tmp_path: Path) -> None:
    torch.save(model.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert _same(load_checkpoint(tmp_path / "old.pth").model, model)


def test_weights_of_safetensors_without_our_configuration(model: Any, tmp_path: Path) -> None:
    save_file(model.state_dict(), tmp_path / "plain.safetensors")
    assert load_checkpoint(tmp_path / "plain.safetensors").config.architecture == "u2netp"


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": _Evil()}}, "evil.pth")
    Path("raw.pth").write_bytes(pickle.dumps(_Evil()))
    for name in ("evil.pth", "raw.pth"):
        with pytest.raises(ModelError, match=name):
            load_checkpoint(Path(name))
    assert not Path("executed").exists()


def test_a_whole_pickled_module_is_refused(model: Any, tmp_path: Path) -> None:
    torch.save(model, tmp_path / "module.pth")
    with pytest.raises(ModelError, match=r"not only weights.*state_dict"):
        load_checkpoint(tmp_path / "module.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\0" * 999])
def test_damaged_files(suffix: str, damage: Any, model: Any, tmp_path: Path) -> None:
    path = tmp_path / f"damaged{suffix}"
    if suffix == ".pth":
        torch.save(model.state_dict(), path)
    else:
        save_checkpoint(model, ModelConfig("u2netp", 7), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError, match=f"damaged{suffix}: not a readable"):
        load_checkpoint(path)


def _without(state: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: _without(s, "side3.bias"), "nearest to u2netp.*1 missing: side3.bias"),
        (lambda s: {**s, "extra.weight": torch.zeros(1)}, "nearest to u2netp.*1 unexpected: extra.weight"),
        (lambda s: {**s, "side1.weight": torch.zeros(1, 32, 3, 3)}, r"side1.weight \(1, 32, 3, 3\) \(expected \(1, 64"),
        (lambda s: {"fc.weight": torch.zeros(10, 10)}, "not a checkpoint of u2net, u2netp, unet.*fc.weight"),
        (lambda s: {}, "not a checkpoint.*0 tensors"),
        (lambda s: [torch.zeros(3)], "holds a list, not a state dict"),
        (lambda s: {"a": 3}, "holds a dict, not a state dict"),
        (lambda s: {1: torch.zeros(3)}, "holds a dict, not a state dict"),
    ],
)
def test_weights_that_do_not_fit(change: Any, message: str, model: Any, tmp_path: Path) -> None:
    torch.save(change(dict(model.state_dict())), tmp_path / "x.pth")
    with pytest.raises(ModelError, match=message):
        load_checkpoint(tmp_path / "x.pth")


def test_a_configuration_that_lies(model: Any, tmp_path: Path) -> None:
    save_checkpoint(model, ModelConfig("unet", 1), tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="says it is 'unet', but its weights are those of 'u2netp'"):
        load_checkpoint(tmp_path / "x.safetensors")


def test_a_configuration_with_unknown_fields(model: Any, tmp_path: Path) -> None:
    metadata = {"rmbg-trt checkpoint 1": json.dumps({"architecture": "u2netp", "color": 3})}
    save_file(model.state_dict(), tmp_path / "x.safetensors", metadata=metadata)
    with pytest.raises(ModelError, match="not a model configuration"):
        load_checkpoint(tmp_path / "x.safetensors")


def test_a_folder_that_is_a_file(model: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Error, match="could not be written"):
        save_checkpoint(model, ModelConfig("u2netp", 7), tmp_path / "file" / "x.safetensors")


@pytest.mark.parametrize(
    "fields", [{"input_size": 5}, {"input_size": ["a", "b"]}, {"mean": [0, 0, float("nan")]}, {"std": [1, 1, 0]}]
)
def test_configurations_that_are_none(fields: dict[str, Any], model: Any, tmp_path: Path) -> None:
    config = json.dumps({"architecture": "u2netp", "outputs": 7, **fields})
    metadata = {"rmbg-trt checkpoint 1": config}
    save_file(model.state_dict(), tmp_path / "x.SAFETENSORS", metadata=metadata)
    with pytest.raises(ModelError, match=f"{next(iter(fields))}|mean is"):
        load_checkpoint(tmp_path / "x.SAFETENSORS")
