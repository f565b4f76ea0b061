# SPDX-License-Identifier: Apache-2.0
"""From a known prediction to alpha, cutout and composite, against Pillow and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests import fakes, reference

from rmbg_trt import _core

CHANNELS = {"alpha": 1, "cutout": 4, "composite": 3}
RNG = np.random.default_rng(11)


def random_frame(height: int, width: int, *channels: int) -> NDArray[np.uint8]:
    return RNG.integers(0, 256, (height, width, *channels), dtype=np.uint8)


def run(
    prediction: Any,
    frame: NDArray[np.uint8],
    output: str = "alpha",
    *,
    filter: str = "lanczos",
    stretch: str = "minmax",
    color: str = "bgr",
    **options: Any,
) -> NDArray[np.uint8]:
    """The result of a network that predicts this (h, w); it lies in rows of odd length, whose ends stay untouched."""
    network = fakes.known(np.asarray(prediction, np.float32))
    pipeline = _core.Pipeline([network], filter=filter, stretch=stretch)
    height, width = frame.shape[:2]
    last = () if output == "alpha" else (CHANNELS[output],)
    canvas = np.full((height, width + 3, *last), 77, np.uint8)
    result = canvas[:, 1 : 1 + width]
    pipeline.run(frame, result, color, _core.FrameOptions(output, **options))
    assert (canvas[:, 0] == 77).all()
    assert (canvas[:, 1 + width :] == 77).all()
    return np.ascontiguousarray(result)


def prediction(height: int = 24, width: int = 31) -> NDArray[np.float32]:
    return RNG.random((height, width), dtype=np.float32) * np.float32(0.7) + np.float32(0.1)


def test_the_stretch_truncates() -> None:
    # (p - 0.25) / 0.5 is 0, 1/4, 1/2, 3/4, 1; times 255: 0, 63.75, 127.5, 191.25, 255.
    assert run([[0.25, 0.375, 0.5, 0.625, 0.75]], np.zeros((1, 5, 3), np.uint8)).tolist() == [[0, 63, 127, 191, 255]]


def test_without_a_stretch_the_probability_is_kept_and_clipped() -> None:
    got = run([[-0.5, 0.0, 0.25, 0.999, 1.0, 2.0]], np.zeros((1, 6), np.uint8), stretch="fixed")
    assert got.tolist() == [[0, 0, 63, 254, 255, 255]]


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0, -5.0])
def test_a_constant_prediction_gives_zeros(value: float) -> None:
    assert not run(np.full((8, 9), value), random_frame(20, 30, 3)).any()


def test_nan_counts_as_background() -> None:
    nan = float("nan")
    assert run([[nan, 0.0, 0.5, 1.0, nan]], np.zeros((1, 5), np.uint8)).tolist() == [[0, 0, 127, 255, 0]]
    assert not run(np.full((4, 4), nan), np.zeros((4, 4), np.uint8)).any()
    assert run([[nan, 0.5]], np.zeros((1, 2), np.uint8), stretch="fixed").tolist() == [[0, 127]]


def test_nan_after_the_extremes_does_not_hide_them() -> None:
    values = prediction(37, 41)
    values[0, :2] = 0.0, 1.0
    values[20:22] = np.nan
    expected = reference.matte(np.where(np.isnan(values), np.float32(0), values))
    np.testing.assert_array_equal(run(values, np.zeros((37, 41), np.uint8)), expected)


def test_infinities_do_no_harm() -> None:
    assert run([[-np.inf, 0.5, np.inf]], np.zeros((1, 3), np.uint8), stretch="fixed").tolist() == [[0, 127, 255]]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_alpha_is_pillows(data: st.DataObject) -> None:
    inner = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    outer = data.draw(st.tuples(st.integers(1, 80), st.integers(1, 80)))
    filter = data.draw(st.sampled_from(sorted(reference.FILTERS)))
    stretch = data.draw(st.sampled_from(["minmax", "fixed"]))
    values = np.random.default_rng(data.draw(st.integers(0, 2**32))).random(inner, dtype=np.float32)
    shape = data.draw(st.sampled_from([(), (1,), (3,)]))
    got = run(values, np.zeros((*outer, *shape), np.uint8), filter=filter, stretch=stretch)
    np.testing.assert_array_equal(got, reference.alpha(values, outer, filter, stretch))


def test_a_large_frame_is_cut_into_pieces_correctly() -> None:
    values = prediction(320, 320)
    got = run(values, np.zeros((1081, 1917, 3), np.uint8))
    np.testing.assert_array_equal(got, reference.alpha(values, (1081, 1917)))


@pytest.mark.parametrize("shape", [(45, 61), (45, 61, 1), (45, 61, 3)])
def test_a_straight_cutout_keeps_the_colours(shape: tuple[int, ...]) -> None:
    frame, values = random_frame(*shape), prediction()
    got = run(values, frame, "cutout")
    np.testing.assert_array_equal(got[:, :, :3], np.broadcast_to(frame.reshape(45, 61, -1), (45, 61, 3)))
    np.testing.assert_array_equal(got[:, :, 3], reference.alpha(values, (45, 61)))


def test_a_premultiplied_cutout_is_pillows() -> None:
    frame, values = random_frame(45, 61, 3), prediction()
    alpha = reference.alpha(values, (45, 61))
    got = run(values, frame, "cutout", premultiplied=True)
    for c in range(3):
        np.testing.assert_array_equal(got[:, :, c], reference.multiply(frame[:, :, c], alpha))
    np.testing.assert_array_equal(got[:, :, 3], alpha)


@pytest.mark.parametrize("output", ["alpha", "cutout", "composite"])
@pytest.mark.parametrize("premultiplied", [False, True])
def test_the_frames_own_alpha_is_multiplied_in(output: str, premultiplied: bool) -> None:
    frame, values = random_frame(45, 61, 4), prediction()
    alpha = reference.multiply(reference.alpha(values, (45, 61)), frame[:, :, 3])
    colors = np.ascontiguousarray(frame[:, :, :3])
    got = run(values, frame, output, premultiplied=premultiplied, background=(10, 20, 30))
    if output == "alpha":
        np.testing.assert_array_equal(got, alpha)
    elif output == "composite":
        np.testing.assert_array_equal(got, reference.over(colors, np.full_like(colors, (10, 20, 30)), alpha))
    else:
        np.testing.assert_array_equal(got[:, :, 3], alpha)
        for c in range(3):
            expected = reference.multiply(colors[:, :, c], alpha) if premultiplied else colors[:, :, c]
            np.testing.assert_array_equal(got[:, :, c], expected)


@pytest.mark.parametrize("shape", [(45, 61), (45, 61, 3)])
def test_a_composite_over_a_colour_a_picture_and_the_blur(shape: tuple[int, ...]) -> None:
    frame, values, back = random_frame(*shape), prediction(), random_frame(45, 61, 3)
    colors = np.ascontiguousarray(np.broadcast_to(frame.reshape(45, 61, -1), (45, 61, 3)))
    alpha = reference.alpha(values, (45, 61))
    flat = np.full_like(colors, (1, 100, 254))
    got = run(values, frame, "composite", background=(1, 100, 254))
    np.testing.assert_array_equal(got, reference.over(colors, flat, alpha))
    got = run(values, frame, "composite", background=back)
    np.testing.assert_array_equal(got, reference.over(colors, back, alpha))
    got = run(values, frame, "composite", blur_sigma=3.5)
    np.testing.assert_array_equal(got, reference.over(colors, reference.blur(colors, 3.5), alpha))


def test_every_product_of_bytes_is_rounded_to_nearest() -> None:
    # All 256 x 256 pairs of colour and alpha; alpha comes in as the frame's own, under a matte of 255.
    color, alpha = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    frame = np.stack([color, 255 - color, np.full_like(color, 255), alpha], axis=2).astype(np.uint8)
    ones = np.ones((4, 4))
    cutout = run(ones, frame, "cutout", stretch="fixed", premultiplied=True)
    np.testing.assert_array_equal(cutout[:, :, 0], np.rint(color * alpha / 255))
    np.testing.assert_array_equal(cutout[:, :, 3], alpha)
    composite = run(ones, frame, "composite", stretch="fixed", background=(200, 0, 13))
    for c, back in enumerate((200, 0, 13)):
        exact = (frame[:, :, c].astype(float) * alpha + back * (255.0 - alpha)) / 255
        np.testing.assert_array_equal(composite[:, :, c], np.rint(exact))


def test_one_pixel() -> None:
    frame = np.array([[[200, 100, 50]]], np.uint8)
    half = [[0.5]]  # 127
    assert run(half, frame, stretch="fixed").tolist() == [[127]]
    assert run(half, frame, "cutout", stretch="fixed").tolist() == [[[200, 100, 50, 127]]]
    # 200 * 127 / 255 = 99.6, 49.8, 24.9
    premultiplied = run(half, frame, "cutout", stretch="fixed", premultiplied=True)
    assert premultiplied.tolist() == [[[100, 50, 25, 127]]]
    # + 10 * 128 / 255 = 5.02: 104.6, 54.8, 29.9
    assert run(half, frame, "composite", stretch="fixed", background=(10, 10, 10)).tolist() == [[[105, 55, 30]]]
    assert run(half, frame).tolist() == [[0]]  # one value is a constant picture


def test_padded_rows_of_frame_and_background() -> None:
    wide, back = random_frame(30, 47, 3), random_frame(30, 50, 3)
    values = prediction()
    frame, behind = wide[:, 2:43], back[:, 5:46]
    expected = run(values, np.ascontiguousarray(frame), "composite", background=np.ascontiguousarray(behind))
    np.testing.assert_array_equal(run(values, frame, "composite", background=behind), expected)


@pytest.mark.parametrize(
    ("shape", "output"), [((30, 41), "alpha"), ((30, 41, 3), "composite"), ((30, 41, 4), "cutout")]
)
def test_the_result_may_lie_on_the_frame(shape: tuple[int, ...], output: str) -> None:
    frame = random_frame(*shape)
    options = {"blur_sigma": 2.0} if output == "composite" else {}
    expected = run(np.eye(24, 31), frame, output, **options)
    pipeline = _core.Pipeline([fakes.known(np.eye(24, 31, dtype=np.float32))])
    pipeline.run(frame, frame, "bgr", _core.FrameOptions(output, **options))
    np.testing.assert_array_equal(frame, expected)
