# SPDX-License-Identifier: Apache-2.0
"""The blur is Pillow's GaussianBlur, to the bit; that of the surroundings alone is the same with weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import fakes, reference

from rmbg_trt import InputError, _core


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_any_picture(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))
    shape = data.draw(st.sampled_from([(), (1,), (3,), (4,)]))
    sigma = data.draw(st.one_of(st.floats(0.0625, 4, width=32), st.floats(4, 60, width=32)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    wide = rng.integers(0, 256, (height, width + 3, *shape), dtype=np.uint8)
    source = wide[:, 2:-1]
    expected = reference.blur(source.reshape(height, width) if shape in ((), (1,)) else source, sigma)
    np.testing.assert_array_equal(_core.gaussian_blur(source, sigma), expected)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 12.5, 1000.0])
def test_a_photograph(sigma: float) -> None:
    source = reference.photograph("rocket")
    np.testing.assert_array_equal(_core.gaussian_blur(source, sigma), reference.blur(source, sigma))


def test_white_stays_white() -> None:
    # The largest sum the 24-bit fixed point meets.
    for sigma in (0.5, 7.0, 900.0):
        assert (_core.gaussian_blur(np.full((40, 50, 3), 255, np.uint8), sigma) == 255).all()


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf"), 1e20])
def test_sigma_must_be_positive_and_not_huge(sigma: float) -> None:
    with pytest.raises(InputError, match=r"sigma is .*expected above 0 and up to 10000"):
        _core.gaussian_blur(np.zeros((4, 4, 3), np.uint8), sigma)


@pytest.mark.parametrize("sigma", [float("nan"), float("inf"), 1e20])
def test_a_frame_is_checked_too(sigma: float) -> None:
    frame, result = np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)
    options = _core.FrameOptions("composite", False, "", False, False, None, sigma)
    pipeline = _core.Pipeline([fakes.known(np.zeros((4, 4), np.float32))])
    with pytest.raises(InputError, match=r"sigma is .*expected at most 10000"):
        pipeline.run(frame, result, "bgr", options)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_surroundings_are_blurred_without_the_subject(channels: int) -> None:
    # A matte of the frame's own size, left white and right black, over a frame that is red there and gray here.
    height, width, sigma = 40, 60, 4.0
    matte = np.zeros((height, width), np.float32)
    matte[:, :30] = 1.0
    frame = np.random.default_rng(1).integers(100, 140, (height, width, channels), dtype=np.uint8)
    frame[:, :30] = 250
    if channels == 4:
        frame[..., 3] = 255
    frame = frame[..., 0] if channels == 1 else frame
    pipeline = _core.Pipeline([fakes.known(matte)], stretch="fixed")
    alpha, got = np.empty((height, width), np.uint8), np.empty((height, width, 3), np.uint8)
    pipeline.run(frame, alpha, "rgb", _core.FrameOptions())
    pipeline.run(frame, got, "rgb", _core.FrameOptions("composite", blur_sigma=sigma, decontaminate=True))

    colors = (np.repeat(frame[..., None], 3, 2) if channels == 1 else frame[..., :3]).astype(np.uint32)
    weight = 255 - alpha.astype(np.uint32)
    sums = reference.blur(((colors * weight[..., None] * 2 + 255) // 510).astype(np.uint8), sigma).astype(np.uint32)
    weights = reference.blur(np.repeat(weight[..., None], 3, 2).astype(np.uint8), sigma).astype(np.uint32)
    expected = np.minimum((sums * 255 + weights // 2) // np.maximum(weights, 1), 255)
    np.testing.assert_array_equal(got[:, 30:], expected[:, 30:])
    assert got[:, 32:].max() < 145  # the subject does not glow
    plain = np.empty_like(got)
    pipeline.run(frame, plain, "rgb", _core.FrameOptions("composite", blur_sigma=sigma))
    assert plain[:, 32].max() > 150  # as it does without
