# SPDX-License-Identifier: Apache-2.0
"""The foreground's colours against least squares in double, against scenes whose colours are known, and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from tests import fakes, reference

from rmbg_trt import _core

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.float64]

CHANNELS = {"alpha": 1, "cutout": 4, "composite": 3}
GRID = 320  # blocks along the longer side, at most
WINDOWS = ((12, 0.01), (2, 0.03), (0, 0.1))  # blocks around a block, and the ridge there
NEAR = 2


def run(matte: Bytes, frame: Bytes, output: str = "cutout", *, color: str = "rgb", **options: Any) -> Bytes:
    """What the pipeline makes of a frame whose alpha is this matte; of the frame's size it is taken as it is."""
    prediction = (matte.astype(np.float32) + np.float32(0.25)) / np.float32(255)
    height, width = frame.shape[:2]
    last = () if output == "alpha" else (CHANNELS[output],)
    result = np.full((height, width, *last), 77, np.uint8)
    pipeline = _core.Pipeline([fakes.network(lambda _: prediction, matte.shape)], stretch="fixed")
    pipeline.run(frame, result, color, _core.FrameOptions(output, **{"decontaminate": True, **options}))
    return result


# ---- the oracle ------------------------------------------------------------------------------------------------


def block_means(values: Numbers, side: int) -> Numbers:
    """(H, W, ...) to means over blocks; those at the right and at the bottom may be smaller."""
    rows, columns = (np.arange(0, length, side) for length in values.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
    counts = np.outer(*(np.diff([*at, length]) for at, length in zip((rows, columns), values.shape[:2], strict=True)))
    return sums / counts.reshape(counts.shape + (1,) * (values.ndim - 2))


def window_means(means: Numbers, radius: int) -> Numbers:
    side = 2 * radius + 1
    return ndimage.uniform_filter(means, (side, side) + (1,) * (means.ndim - 2), mode="nearest")


def grounds(frame: Bytes, alpha: Bytes, side: int) -> tuple[Numbers, NDArray[np.bool_]]:
    """Foreground and background (blocks, blocks, 2, 3) of each block, and which blocks are near an edge."""
    a = alpha / 255.0
    shares = np.stack([a, 1 - a], axis=-1)  # of the two grounds in a pixel
    products = block_means(shares[..., :, np.newaxis] * shares[..., np.newaxis, :], side)
    with_color = block_means(shares[..., :, np.newaxis] * frame[..., np.newaxis, :], side)
    means, colors = block_means(shares, side), block_means(frame.astype(np.float64), side)

    weights = window_means(means, WINDOWS[0][0])[..., np.newaxis]
    blurred = window_means(with_color, WINDOWS[0][0]) / np.maximum(weights, 1e-9)
    mean_color = window_means(colors, WINDOWS[0][0])[..., np.newaxis, :]
    both = np.where(weights > 1e-3, blurred.clip(0, 255), mean_color)
    for radius, ridge in WINDOWS:
        matrix = window_means(products, radius) + ridge * np.eye(2)
        both = np.linalg.solve(matrix, window_means(with_color, radius) + ridge * both).clip(0, 255)

    front = window_means(means[..., 0], NEAR)
    return both, (front > 1e-9) & (front < 1 - 1e-9)


def foreground(frame: Bytes, alpha: Bytes) -> Numbers:
    """The colours (H, W, 3) that a cutout shows, before they are rounded."""
    height, width = alpha.shape
    side = -(-max(height, width) // GRID)
    both, near = grounds(frame, alpha, side)
    y, x = ((np.arange(length) + 0.5) / side - 0.5 for length in (height, width))
    places = np.meshgrid(y, x, indexing="ij")
    planes = both.reshape(*both.shape[:2], 6)
    at_pixels = [ndimage.map_coordinates(planes[..., i], places, order=1, mode="nearest") for i in range(6)]
    front, back = np.split(np.stack(at_pixels, axis=-1), 2, axis=-1)
    share = alpha[..., np.newaxis] / 255.0
    found = front + share * (frame - share * front - (1 - share) * back)
    is_near = np.repeat(np.repeat(near, side, axis=0), side, axis=1)[:height, :width]
    return np.where(is_near[..., np.newaxis], found.clip(0, 255), frame)


def noise(seed: int, *shape: int) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def disc(height: int, width: int, soft: float = 3.0) -> Bytes:
    """A matte with a soft edge, flat inside and outside."""
    y, x = np.mgrid[:height, :width]
    distance = 0.3 * min(height, width) - np.hypot(y - height / 2, x - width / 2.2)
    return ((distance / soft + 0.5).clip(0, 1) * 255).astype(np.uint8)


def assert_is(got: Bytes, exact: Numbers) -> None:
    """To the nearest byte; a little more is float against double where the grounds hardly differ."""
    assert got.shape == exact.shape
    assert np.abs(got - exact).max() <= 0.6


# ---- against the oracle ----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(size=st.tuples(st.integers(1, 70), st.integers(1, 70)), seed=st.integers(0, 2**32), plain=st.booleans())
def test_colours_are_those_of_least_squares(size: tuple[int, int], seed: int, plain: bool) -> None:
    frame = noise(seed, *size, 3)
    alpha = noise(seed + 1, *size) if plain else disc(*size, soft=1 + seed % 20)
    got = run(alpha, frame)
    np.testing.assert_array_equal(got[:, :, 3], alpha)
    assert_is(got[:, :, :3], foreground(frame, alpha))


@pytest.mark.parametrize("size", [(321, 200), (640, 333), (100, 961), (1, 700), (700, 1), (1, 1)])
@pytest.mark.parametrize("kind", ["photograph", "noise"])
def test_blocks_of_several_pixels_and_cut_ones(size: tuple[int, int], kind: str) -> None:
    frame = noise(2, *size, 3) if kind == "noise" else reference.resize(reference.photograph("coffee"), size)
    alpha = noise(3, *size) if min(size) == 1 else disc(*size, soft=9)
    assert_is(run(alpha, frame)[:, :, :3], foreground(frame, alpha))


# ---- scenes whose colours are known ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(150, 190), (500, 700)])
def test_two_colours_are_told_apart(size: tuple[int, int]) -> None:
    alpha = disc(*size, soft=12)
    front, back, share = np.array([200, 40, 60]), np.array([20, 180, 90]), alpha[..., np.newaxis] / 255
    frame = np.rint(share * front + (1 - share) * back).astype(np.uint8)
    seen = alpha > 25
    error = np.abs(run(alpha, frame)[:, :, :3] - front.astype(int))[seen]
    assert error.max() <= 12
    assert error.mean() < 0.5
    assert np.abs(frame - front.astype(int))[seen].max() > 120, "the scene is too easy"


def test_a_new_background_shows_no_halo_of_the_old_one() -> None:
    # A dark subject before a bright sky, put over a dark picture: where the subject ends nothing may shine.
    alpha = disc(300, 400, soft=10)
    share = alpha[..., np.newaxis] / 255
    frame = np.rint(share * 30 + (1 - share) * 250).repeat(3, axis=2).astype(np.uint8)
    naive = run(alpha, frame, "composite", background=(20, 20, 20), decontaminate=False)
    cleaned = run(alpha, frame, "composite", background=(20, 20, 20))
    assert naive.max() > 70
    assert cleaned.max() <= 36


# ---- what it leaves alone --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("output", ["cutout", "composite"])
def test_without_an_edge_nothing_changes(value: int, output: str) -> None:
    frame, alpha = noise(5, 333, 400, 3), np.full((333, 400), value, np.uint8)
    plain = run(alpha, frame, output, background=(1, 2, 3), decontaminate=False)
    np.testing.assert_array_equal(run(alpha, frame, output, background=(1, 2, 3)), plain)


def test_colours_change_near_the_edge_only() -> None:
    frame, alpha = noise(6, 400, 700, 3), disc(400, 700)  # blocks of 3 pixels
    edge = ndimage.binary_dilation((alpha > 0) & (alpha < 255), iterations=3)
    edge |= ndimage.grey_dilation(alpha, 3) != ndimage.grey_erosion(alpha, 3)
    within = ndimage.maximum_filter(edge, 2 * (3 * NEAR + 3) + 1)
    changed = (run(alpha, frame)[:, :, :3] != frame).any(axis=2)
    assert changed.any()
    assert not changed[~within].any()


def test_alpha_itself_does_not_change() -> None:
    frame, alpha = noise(7, 90, 120, 3), noise(8, 90, 120)
    np.testing.assert_array_equal(run(alpha, frame, "alpha"), alpha)
    np.testing.assert_array_equal(run(alpha, frame)[:, :, 3], alpha)
    assert (run(alpha, frame)[:, :, :3] != frame).any()


# ---- outputs and formats ---------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(size=st.tuples(st.integers(1, 400), st.integers(1, 60)), turned=st.booleans(), seed=st.integers(0, 2**32))
def test_premultiplied_and_composite_show_the_straight_colours(size: tuple[int, int], turned: bool, seed: int) -> None:
    height, width = size[::-1] if turned else size
    frame, alpha, back = noise(seed, height, width, 3), disc(height, width, 8), noise(seed + 1, height, width, 3)
    straight = run(alpha, frame)
    colors = np.ascontiguousarray(straight[:, :, :3])
    premultiplied = run(alpha, frame, premultiplied=True)
    for c in range(3):
        np.testing.assert_array_equal(premultiplied[:, :, c], reference.multiply(colors[:, :, c], alpha))
    np.testing.assert_array_equal(premultiplied[:, :, 3], alpha)
    composite = run(alpha, frame, "composite", background=back)
    np.testing.assert_array_equal(composite, reference.over(colors, back, alpha))


def test_over_the_blurred_surroundings_lie_the_foregrounds_colours() -> None:
    frame, alpha = noise(9, 120, 150, 3), disc(120, 150, 20)
    weight = np.repeat(255 - alpha[..., np.newaxis], 3, axis=2)
    weighted = np.dstack([reference.multiply(frame[:, :, c], weight[:, :, c]) for c in range(3)])
    sums, weights = (reference.blur(each, 6.0).astype(float) for each in (weighted, weight))
    back = np.floor(255 * sums / np.maximum(weights, 1) + 0.5).clip(0, 255).astype(np.uint8)
    colors = np.ascontiguousarray(run(alpha, frame)[:, :, :3])
    got = run(alpha, frame, "composite", blur_sigma=6.0)
    np.testing.assert_array_equal(got, reference.over(colors, back, alpha))


def test_gray_frames_are_three_equal_colours() -> None:
    gray, alpha = noise(10, 131, 97), disc(131, 97)
    np.testing.assert_array_equal(run(alpha, gray), run(alpha, reference.to_rgb(gray, "rgb")))


@pytest.mark.parametrize("premultiplied", [False, True])
def test_the_frames_own_alpha_is_kept_and_multiplied_in(premultiplied: bool) -> None:
    frame, alpha = noise(11, 131, 97, 4), disc(131, 97)
    colors = np.ascontiguousarray(run(alpha, np.ascontiguousarray(frame[:, :, :3]))[:, :, :3])
    own = reference.multiply(alpha, frame[:, :, 3])
    got = run(alpha, frame, premultiplied=premultiplied)
    np.testing.assert_array_equal(got[:, :, 3], own)
    for c in range(3):
        expected = reference.multiply(colors[:, :, c], own) if premultiplied else colors[:, :, c]
        np.testing.assert_array_equal(got[:, :, c], expected)


def test_bgr_is_rgb_swapped() -> None:
    frame, alpha = noise(12, 131, 97, 3), disc(131, 97)
    turned = np.ascontiguousarray(frame[:, :, ::-1])
    got = run(alpha, turned, color="bgr")
    np.testing.assert_array_equal(got[:, :, [2, 1, 0, 3]], run(alpha, frame))


def test_padded_rows_and_a_coarse_matte() -> None:
    wide, matte = noise(13, 333, 420, 3), disc(48, 64)
    frame = wide[:, 7:407]
    for refine in (False, True):
        got = run(matte, frame, refine=refine)
        np.testing.assert_array_equal(got, run(matte, np.ascontiguousarray(frame), refine=refine))
        alpha = run(matte, frame, "alpha", refine=refine)
        np.testing.assert_array_equal(got[:, :, 3], alpha)
        assert_is(got[:, :, :3], foreground(np.ascontiguousarray(frame), alpha))
