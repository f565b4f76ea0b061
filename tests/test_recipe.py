# SPDX-License-Identifier: Apache-2.0
"""The real networks on real photographs, against the reference recipe in Pillow and ONNX Runtime (fp32)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tests import reference

from rmbg_trt import Engine

pytestmark = pytest.mark.weights


# For the large network: a square, the one that is hard in half precision, and a dark portrait.
THREE = ("astronaut", "rocket", "chelsea portrait dark")


def check_close(engine: Engine, model: Path, photographs: tuple[str, ...] = reference.PHOTOGRAPHS) -> None:
    """Mean difference at most 0.05, largest at most 2, of 255."""
    found = {}
    for name in photographs:
        rgb = reference.photograph(name)
        expected = reference.photograph_alpha(model, name)
        assert expected.max() > 200, f"{name}: nothing was found, so nothing would be compared"
        difference = np.abs(engine.run(rgb).astype(int) - expected)
        found[name] = (float(difference.mean()), int(difference.max()))
    assert all(mean <= 0.05 and largest <= 2 for mean, largest in found.values()), (str(engine.info), found)


@pytest.mark.parametrize("runtime", ["auto", pytest.param("openvino", marks=pytest.mark.slow)])
def test_u2netp_in_fp32(u2netp_path: Path, runtime: str) -> None:
    with Engine(u2netp_path, precision="fp32", runtime=runtime, color="rgb", slots=1) as engine:
        assert engine.info.precision == "fp32"
        check_close(engine, u2netp_path)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["auto", "openvino"])
def test_u2net_in_fp32(u2net_path: Path, runtime: str) -> None:
    with Engine(u2net_path, precision="fp32", runtime=runtime, color="rgb", slots=1) as engine:
        check_close(engine, u2net_path, THREE)


def check_default(model: Path, photographs: tuple[str, ...]) -> None:
    """The default precision against the fp32 recipe: each foreground, and alpha in the mean.

    In a soft-edged subject (`rocket`) 6 % of the foreground is within 3 of one half; the IoU leaves such pixels out.
    """
    differences, ious = {}, {}
    with Engine(model, device="cpu", color="rgb", slots=1) as engine:
        for name in photographs:
            got, expected = engine.run(reference.photograph(name)), reference.photograph_alpha(model, name)
            differences[name] = float(np.abs(got.astype(int) - expected).mean())
            ious[name] = reference.iou(got, expected, borderline=4)
        told = str(engine.info)
    assert min(ious.values()) >= 0.995, (told, ious)
    assert np.mean(list(differences.values())) <= 0.2, (told, differences)


def test_u2netp_as_it_comes_finds_the_same_foreground(u2netp_path: Path) -> None:
    check_default(u2netp_path, reference.PHOTOGRAPHS)


@pytest.mark.slow
def test_u2net_as_it_comes_finds_the_same_foreground(u2net_path: Path) -> None:
    check_default(u2net_path, THREE if os.environ.get("RMBG_FEW_PHOTOGRAPHS") else reference.PHOTOGRAPHS)


def test_a_black_image_gives_no_nan(u2netp_path: Path) -> None:
    black = np.zeros((90, 120, 3), np.uint8)
    with Engine(u2netp_path, precision="fp32", slots=1) as engine:
        got = engine.run(black)
    expected = reference.model_alpha(u2netp_path, black)
    assert np.abs(got.astype(int) - expected).max() <= 2
