# SPDX-License-Identifier: Apache-2.0
"""The losses against sums by hand and numerical gradients."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rmbg_trt.training import losses
from rmbg_trt.training.data.dataset import normalize
from rmbg_trt.training.models.checkpoint import ModelConfig
from rmbg_trt.training.weights import read_weights


def _case(shape: tuple[int, ...] = (2, 1, 7, 6)) -> tuple[losses.Outputs, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    outputs = tuple(torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(3))
    return outputs, torch.rand(shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_gradients(name: str) -> None:
    outputs, target = _case()
    for each in outputs:
        each.requires_grad_()
    assert torch.autograd.gradcheck(lambda *maps: losses.LOSSES[name](maps, target), outputs)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_a_sharp_right_answer_costs_nothing_and_a_wrong_one_much(name: str) -> None:
    target = torch.zeros(1, 1, 16, 16)
    target[..., 4:12, 4:12] = 1
    right = (target * 2 - 1) * 50
    assert float(losses.LOSSES[name]((right,), target)) == pytest.approx(0, abs=1e-6)
    assert float(losses.LOSSES[name]((-right,), target)) > 0.9


def test_bce_by_hand() -> None:
    logits, target = torch.tensor([[[[0.0, 2.0]]]]), torch.tensor([[[[1.0, 0.25]]]])
    by_hand = (math.log(2) + 0.25 * math.log(1 + math.exp(-2)) + 0.75 * math.log(1 + math.exp(2))) / 2
    assert float(losses.bce((logits, logits), target)) == pytest.approx(2 * by_hand, abs=1e-6)


def test_dice_by_hand() -> None:
    logits = torch.tensor([[[[0.0, 0.0, 100.0, -100.0]]]])
    target = torch.tensor([[[[1.0, 0.0, 1.0, 0.0]]]])
    expected = 1 - (2 * 1.5 + 1) / (1.5 + 2 + 1)
    assert float(losses.dice((logits,), target)) == pytest.approx(expected, abs=1e-6)
    assert float(losses.dice((logits[..., 3:],), torch.zeros(1, 1, 1, 1))) == pytest.approx(0, abs=1e-6)


def test_the_laplacian_pyramid_is_that_of_both() -> None:
    """Level by level, for each image on its own, and then the difference."""
    alpha, target = torch.rand(2, 1, 13, 9), torch.rand(2, 1, 13, 9)

    def pyramid(x: torch.Tensor, levels: int) -> list[torch.Tensor]:
        found = []
        for _ in range(levels - 1):
            taps = np.array([1, 4, 6, 4, 1]) / 16
            padded = np.pad(x.numpy().astype(np.float64), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
            rows = sum(t * padded[..., i : i + x.shape[3]] for i, t in enumerate(taps))
            blurred = torch.from_numpy(sum(t * rows[..., i : i + x.shape[2], :] for i, t in enumerate(taps))).float()
            small = torch.nn.functional.avg_pool2d(blurred, 2, ceil_mode=True)
            found.append(x - torch.nn.functional.interpolate(small, size=x.shape[2:], mode="bilinear"))
            x = small
        return [*found, x]

    pairs = zip(pyramid(alpha, 3), pyramid(target, 3), strict=True)
    expected = sum(2**level * float((a - b).abs().mean()) for level, (a, b) in enumerate(pairs))
    assert float(losses.laplacian(alpha, target, levels=3)) == pytest.approx(expected, rel=1e-5)


def test_one_pixel_has_a_loss() -> None:
    outputs, target = _case((1, 1, 1, 1))
    for name, loss in losses.LOSSES.items():
        assert math.isfinite(float(loss(outputs, target))), name


@pytest.mark.weights
def test_the_official_weights_by_hand(u2netp_path: Path) -> None:
    """U²-Net's loss is the sum of seven mean cross-entropies, here with NumPy in float64."""
    photograph = Image.open(Path("docs/images/astronaut.jpg")).resize((96, 96))
    mask = torch.zeros(1, 1, 96, 96)
    mask[..., 20:90, 20:70] = 1
    model, config = read_weights(str(u2netp_path))
    image = torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        outputs = model(normalize(image, ModelConfig(config.architecture, config.outputs)))
    assert len(outputs) == 7
    by_hand = 0.0
    for each in outputs:
        x, t = each.numpy().astype(np.float64), mask.numpy()
        by_hand += float(np.mean(np.logaddexp(0, x) - t * x))
    assert float(losses.bce(outputs, mask)) == pytest.approx(by_hand, rel=1e-6)
