# SPDX-License-Identifier: Apache-2.0
"""The validation between epochs against the functions of `rmbg-trt evaluate`, and the schedule of the learning rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rmbg_trt import InputError, ModelError
from rmbg_trt.training import metrics
from rmbg_trt.training.config import TrainConfig
from rmbg_trt.training.models import ModelConfig, build, save_checkpoint
from rmbg_trt.training.module import MatteModule, _factor, stretch
from rmbg_trt.training.validation import Validation
from rmbg_trt.training.weights import initial_model


def test_the_figures_are_those_of_evaluate() -> None:
    generator = torch.Generator().manual_seed(0)
    alpha = torch.rand(5, 1, 9, 11, generator=generator)
    mask = (torch.rand(5, 1, 9, 11, generator=generator) > 0.6).float()
    mask[4] = 0
    validation = Validation()
    validation.update(alpha[:2], mask[:2], torch.tensor(1.0))
    validation.update(alpha[2:], mask[2:], torch.tensor(2.0))
    found = {name: float(value) for name, value in validation.compute().items()}
    cases = [(a.numpy()[0], m.numpy()[0]) for a, m in zip(alpha, mask, strict=True)]
    curve = np.mean([metrics.f_curve(*case) for case in cases], axis=0)
    assert found == pytest.approx(
        {
            "val_iou": np.mean([metrics.iou(*case) for case in cases]),
            "val_mae": np.mean([metrics.mae(*case) for case in cases]),
            "val_maxf": curve.max(),
            "val_loss": (2 * 1 + 3 * 2) / 5,
        },
        abs=1e-6,
    )


def test_each_map_is_stretched_for_itself() -> None:
    alpha = torch.tensor([0.2, 0.4, 0.6, 0.5, 0.5, 0.5]).view(2, 1, 1, 3)
    torch.testing.assert_close(stretch(alpha), torch.tensor([0, 0.5, 1, 0, 0, 0]).view(2, 1, 1, 3))


def test_the_learning_rate_rises_and_falls() -> None:
    factor = _factor(4, 12, 0.1)
    rates = [factor(step) for step in range(14)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[8] == pytest.approx(0.55)
    assert rates[12] == rates[13] == pytest.approx(0.1)
    assert _factor(1, 12, None)(11) == 1.0


def test_frozen_batch_normalisation_stays_frozen() -> None:
    model = build("unet").eval()
    config = ModelConfig("unet", 1, (32, 32))
    frozen = MatteModule(model, config, TrainConfig("x", freeze_batch_norm=True), 1)
    norms = [each for each in frozen.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    frozen.eval()
    frozen.train()
    assert frozen.training
    assert not any(each.training for each in norms)
    MatteModule(model.eval(), config, TrainConfig("x"), 1)
    assert all(each.training for each in norms)


@pytest.mark.slow
@pytest.mark.weights
def test_weights_to_start_from(u2netp_path: Path, tmp_path: Path) -> None:
    model, config = initial_model(
        TrainConfig(
            "x",
            init=str(u2netp_path),
            size=64,
        )
    )
    assert (config.architecture, config.outputs, config.input_size) == ("u2netp", 7, (64, 64))
    save_checkpoint(model, config, tmp_path / "a.safetensors")
    again, _ = initial_model(TrainConfig("x", init=str(tmp_path / "a.safetensors")))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    torch.save(model.state_dict(), tmp_path / "a.pth")
    assert initial_model(TrainConfig("x", init=str(tmp_path / "a.pth")))[1].architecture == "u2netp"
    with pytest.raises(InputError, match="holds weights of u2netp; expected u2net"):
        initial_model(TrainConfig("x", init=str(tmp_path / "a.pth"), architecture="u2net"))


def test_weights_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="architecture is 'vgg'"):
        initial_model(TrainConfig("x", architecture="vgg"))
    with pytest.raises(InputError, match="no file was found"):
        initial_model(TrainConfig("x", init=str(tmp_path / "none.onnx")))
    (tmp_path / "bad.onnx").write_bytes(b"\xff\xff")
    with pytest.raises(ModelError, match="not a readable ONNX model"):
        initial_model(TrainConfig("x", init=str(tmp_path / "bad.onnx")))
