# SPDX-License-Identifier: Apache-2.0
"""Compositing and resizing of matted frames."""

from __future__ import annotations

import numpy as np
import pytest

from rmbg_trt.live.matted_frame import checkerboard, composite, letterbox


def test_composite_follows_the_formula() -> None:
    generator = np.random.default_rng(2)
    cutout, back = (generator.integers(0, 256, (9, 7, channels), np.uint8) for channels in (4, 3))
    share = cutout[..., 3:] / 255
    expected = cutout[..., :3] * share + back * (1 - share)
    assert np.abs(composite(cutout, back, back) - expected).max() <= 0.51 + 1e-9
    multiplied = np.dstack([np.rint(cutout[..., :3] * share).astype(np.uint8), cutout[..., 3]])
    assert np.abs(composite(multiplied, back, back, premultiplied=True) - expected).max() <= 1.01
    assert (checkerboard(40, 40)[0, 0] != checkerboard(40, 40)[0, 20]).all()


@pytest.mark.parametrize(
    ("size", "target", "inner"),
    [((10, 20), (20, 40), (0, 20, 0, 40)), ((10, 20), (40, 40), (10, 30, 0, 40)), ((30, 10), (15, 15), (0, 15, 5, 10))],
)
def test_letterbox(size: tuple[int, int], target: tuple[int, int], inner: tuple[int, int, int, int]) -> None:
    scaled = letterbox(np.full((*size, 3), 77, np.uint8), target)
    top, bottom, left, right = inner
    assert scaled.shape == (*target, 3)
    assert (scaled[top:bottom, left:right] == 77).all()
    assert scaled.sum() == 77 * 3 * (bottom - top) * (right - left)
