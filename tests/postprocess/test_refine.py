# SPDX-License-Identifier: Apache-2.0
"""Guided refinement against the guided filter written out in double, by hand, and against what it must not change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests import fakes, reference

from rmbg_trt import Engine, InputError, _core

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.float64]

CHANNELS: dict[str, tuple[int, ...]] = {"alpha": (), "cutout": (4,), "composite": (3,)}
RIDGE = 1e-4 * 255**2
FIT, SMOOTH = 5, 3  # windows, in cells


def pipeline_of(prediction: Any, filter: str = "lanczos") -> _core.Pipeline:
    network = fakes.network(lambda _: prediction, np.shape(prediction))
    return _core.Pipeline([network], filter=filter, stretch="fixed")


def run(
    prediction: Any, frame: Bytes, output: str = "alpha", *, filter: str = "lanczos", color: str = "rgb", **options: Any
) -> Bytes:
    """What a network that predicts this (h, w) makes of a frame, without a stretch; refined unless told otherwise."""
    pipeline = pipeline_of(prediction, filter)
    result = np.full((*frame.shape[:2], *CHANNELS[output]), 77, np.uint8)
    pipeline.run(frame, result, color, _core.FrameOptions(output, **{"refine": True, **options}))
    return result


def predicts(matte: Any) -> NDArray[np.float32]:
    """The prediction whose matte, truncated, are these bytes."""
    return (np.asarray(matte, np.float32) + np.float32(0.25)) / np.float32(255)


# ---- the oracle ------------------------------------------------------------------------------------------------


def windows(grid: Numbers, side: int) -> Numbers:
    """(h, w, ...) to (h, w, side * side, ...): each cell's neighbourhood, the outermost cells repeated."""
    reach = side // 2
    padded = np.pad(grid, [(reach, reach), (reach, reach)] + [(0, 0)] * (grid.ndim - 2), "edge")
    views = [padded[y : y + grid.shape[0], x : x + grid.shape[1]] for y in range(side) for x in range(side)]
    return np.stack(views, axis=2)


def to_pixels(grid: Numbers, size: tuple[int, int]) -> Numbers:
    """Bilinear between cells; pixel and cell centres match, the outermost cells reach to the border."""
    for axis, pixels in enumerate(size):
        cells = grid.shape[axis]
        at = (np.arange(pixels) + 0.5) * cells / pixels - 0.5
        weights = np.stack([np.interp(at, np.arange(cells), unit) for unit in np.eye(cells)], axis=1)
        grid = np.moveaxis(np.tensordot(weights, grid, axes=(1, axis)), 0, axis)
    return grid


def refined(rgb: Bytes, matte: Bytes, filter: str = "lanczos") -> Numbers:
    """Alpha (H, W), 0..255, before it is rounded: He & Sun's fast guided filter whose lines meet the coarse matte."""
    guide = reference.resize(rgb, matte.shape, filter).astype(np.float64)
    coarse = matte.astype(np.float64)
    colors, alphas = windows(guide, FIT), windows(coarse, FIT)
    from_mean = colors - colors.mean(axis=2, keepdims=True)
    covariance = np.einsum("yxni,yxnj->yxij", from_mean, from_mean) / FIT**2 + RIDGE * np.eye(3)
    with_alpha = np.einsum("yxni,yxn->yxi", from_mean, alphas) / FIT**2
    slopes = np.linalg.solve(covariance, with_alpha[..., np.newaxis])[..., 0]
    offsets = alphas.mean(axis=2) - (slopes * colors.mean(axis=2)).sum(axis=-1)

    slopes, offsets = windows(slopes, SMOOTH).mean(axis=2), windows(offsets, SMOOTH).mean(axis=2)
    offsets += coarse - ((slopes * guide).sum(axis=-1) + offsets).clip(0, 255)

    size = rgb.shape[0], rgb.shape[1]
    alpha: Numbers = (to_pixels(slopes, size) * rgb).sum(axis=-1) + to_pixels(offsets, size)
    return alpha.clip(0, 255)


def assert_is(got: Bytes, exact: Numbers) -> None:
    """To the nearest byte; a little more is float against double where colours hardly differ."""
    assert got.shape == exact.shape
    assert np.abs(got - exact).max() <= 0.6


def noise(seed: int, *shape: int) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def blobs(seed: int, *shape: int) -> Bytes:
    """A matte with flat parts, soft edges and noise."""
    rng = np.random.default_rng(seed)
    values = reference.resize(noise(seed, max(1, shape[0] // 5), max(1, shape[1] // 5)), shape).astype(float)
    return ((values - 128) * 4 + 128 + rng.normal(0, 5, shape)).clip(0, 255).astype(np.uint8)


# ---- against the oracle ----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    grid=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    filter=st.sampled_from(sorted(reference.FILTERS)),
    plain=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_alpha_is_the_guided_filters(
    grid: tuple[int, int], size: tuple[int, int], filter: str, plain: bool, seed: int
) -> None:
    frame = noise(seed, *size, 3) if plain else reference.resize(noise(seed, 9, 9, 3), size, "bilinear")
    matte = noise(seed, *grid) if plain else blobs(seed, *grid)
    assert_is(run(predicts(matte), frame, filter=filter), refined(frame, matte, filter))


@pytest.mark.parametrize("name", ["astronaut", "chelsea portrait dark"])
def test_photographs_well_above_the_grid(name: str) -> None:
    frame = reference.resize(reference.photograph(name), (547, 723))
    matte = reference.resize(reference.photograph("coffee")[:, :, 1], (160, 160))
    assert_is(run(predicts(matte), frame), refined(frame, matte))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3), (8, 8)])
@pytest.mark.parametrize("grid", [(1, 1), (8, 8), (1, 9), (9, 1), (32, 20)])
def test_frames_of_one_row_and_below_the_grid(size: tuple[int, int], grid: tuple[int, int]) -> None:
    frame, matte = noise(1, *size, 3), noise(2, *grid)
    assert_is(run(predicts(matte), frame), refined(frame, matte))


# ---- by hand ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_a_constant_matte_is_constant_whatever_the_frame(value: int) -> None:
    assert (run(predicts(np.full((20, 24), value)), noise(3, 131, 97, 3)) == value).all()


def test_a_frame_of_one_colour_adds_nothing_to_the_matte() -> None:
    # Without variance there is no slope: bilinear interpolation of two cells, 0 and 200, over four pixels.
    frame = np.full((1, 4, 3), (90, 30, 200), np.uint8)
    assert run(predicts([[0, 200]]), frame).tolist() == [[0, 50, 150, 200]]


@pytest.mark.parametrize(("front", "back"), [((255, 255, 255), (0, 0, 0)), ((0, 0, 255), (255, 0, 0))])
def test_where_colours_tell_the_subject_alpha_is_exact(front: tuple[int, ...], back: tuple[int, ...]) -> None:
    # A disc with a hair of two pixels, on a grid eight times as coarse: plain resampling blurs both.
    y, x = np.mgrid[:256, :256]
    truth = np.hypot(y - 128, x - 120) < 60
    truth |= (abs(x - y) <= 1) & (y > 128)
    frame = np.where(truth[..., np.newaxis], front, back).astype(np.uint8)
    matte = reference.resize((truth * 255).astype(np.uint8), (32, 32), "area")
    got = run(predicts(matte), frame, filter="area").astype(int)
    plain = run(predicts(matte), frame, filter="area", refine=False).astype(int)
    assert np.abs(got - 255 * truth).max() <= 2
    assert np.abs(plain - 255 * truth).max() > 100


# ---- formats ---------------------------------------------------------------------------------------------------


def test_gray_frames_are_three_equal_colours() -> None:
    gray, matte = noise(4, 61, 83), blobs(4, 24, 30)
    got = run(predicts(matte), gray)
    assert_is(got, refined(reference.to_rgb(gray, "rgb"), matte))
    np.testing.assert_array_equal(got, run(predicts(matte), gray[:, :, np.newaxis]))


@pytest.mark.parametrize("output", ["alpha", "cutout", "composite"])
def test_the_frames_own_alpha_is_multiplied_in_and_leads_nothing(output: str) -> None:
    frame, matte = noise(5, 61, 83, 4), blobs(5, 24, 30)
    colors = np.ascontiguousarray(frame[:, :, :3])
    alpha = reference.multiply(run(predicts(matte), colors), frame[:, :, 3])
    got = run(predicts(matte), frame, output, background=(7, 8, 9))
    if output == "composite":
        np.testing.assert_array_equal(got, reference.over(colors, np.full_like(colors, (7, 8, 9)), alpha))
    else:
        np.testing.assert_array_equal(got if output == "alpha" else got[:, :, 3], alpha)
    if output == "cutout":
        np.testing.assert_array_equal(got[:, :, :3], colors)


def test_bgr_is_rgb_swapped() -> None:
    matte = blobs(6, 24, 30)
    for channels in (3, 4):
        frame = noise(6, 61, 83, channels)
        turned = frame.copy()
        turned[:, :, :3] = frame[:, :, 2::-1]
        np.testing.assert_array_equal(run(predicts(matte), frame), run(predicts(matte), turned, color="bgr"))


def test_padded_rows_and_results() -> None:
    wide, matte = noise(7, 40, 60, 3), blobs(7, 24, 30)
    frame = wide[:, 3:50]
    expected = run(predicts(matte), np.ascontiguousarray(frame))
    canvas = np.full((40, 60), 77, np.uint8)
    pipeline_of(predicts(matte)).run(frame, canvas[:, 3:50], "rgb", _core.FrameOptions("alpha", refine=True))
    np.testing.assert_array_equal(canvas[:, 3:50], expected)
    canvas[:, 3:50] = 77
    assert (canvas == 77).all()


@pytest.mark.parametrize(("channels", "output"), [((), "alpha"), ((3,), "composite"), ((4,), "cutout")])
@pytest.mark.parametrize("decontaminate", [False, True])
def test_the_result_may_lie_on_the_frame(channels: tuple[int, ...], output: str, decontaminate: bool) -> None:
    frame, prediction = noise(8, 90, 133, *channels), predicts(blobs(8, 24, 30))
    expected = run(prediction, frame, output, decontaminate=decontaminate)
    pipeline_of(prediction).run(
        frame, frame, "rgb", _core.FrameOptions(output, refine=True, decontaminate=decontaminate)
    )
    np.testing.assert_array_equal(frame, expected)


def test_nv12_frames_are_led_by_their_colours() -> None:
    frame, prediction = noise(9, 90, 64), predicts(blobs(9, 24, 30))
    pipeline = pipeline_of(prediction)
    cutout = np.empty((60, 64, 4), np.uint8)
    pipeline.run(frame, cutout, "rgb", _core.FrameOptions("cutout", nv12="bt709", refine=True))
    colors = np.ascontiguousarray(cutout[:, :, :3])
    np.testing.assert_array_equal(cutout[:, :, 3], run(prediction, colors))


# ---- what it is not for ----------------------------------------------------------------------------------------


def test_a_network_whose_output_has_another_size_cannot_be_refined() -> None:
    pipeline = _core.Pipeline([fakes.network(lambda _: 0.5, (40, 56), (20, 28))], stretch="fixed")
    frame, result = noise(10, 33, 44, 3), np.zeros((33, 44), np.uint8)
    with pytest.raises(InputError, match=r"refine needs .* as large as its input; this one maps 56x40 to 28x20"):
        pipeline.run(frame, result, "rgb", _core.FrameOptions("alpha", refine=True))
    pipeline.run(frame, result, "rgb", _core.FrameOptions())
    assert (result == 127).all()


@pytest.mark.parametrize("stretch", ["minmax", "none", (0.25, 0.5)])
def test_off_means_the_recipe_to_the_bit(fake_engine: Callable[..., Engine], stretch: Any) -> None:
    prediction, frame = noise(11, 32, 32).astype(np.float32) / np.float32(255), noise(12, 70, 90, 3)
    low, high = {"minmax": (0.0, 1.0), "none": (0.0, 1.0)}.get(stretch, stretch)
    alpha = reference.alpha(((prediction - low) / np.float32(high - low)).astype(np.float32), (70, 90), stretch="none")
    for quality in ({}, {"refine": False, "decontaminate": False}):
        engine = fake_engine(lambda _: prediction, stretch=stretch, **quality)
        np.testing.assert_array_equal(engine.run(frame), alpha)
        np.testing.assert_array_equal(engine.run(frame, output="cutout"), np.dstack([frame, alpha]))
        red = np.full_like(frame, (0, 0, 255))
        composite = engine.run(frame, output="composite", background="red")
        np.testing.assert_array_equal(composite, reference.over(frame, red, alpha))
    refining = fake_engine(lambda _: prediction, stretch=stretch, refine=True)
    assert (refining.run(frame) != alpha).any()


THREADS = """
import hashlib, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from tests import fakes
from rmbg_trt import _core

rng, digest = np.random.default_rng(1), hashlib.sha256()
for height, width, channels in ((1, 1, 3), (1, 700, 3), (333, 257, 1), (701, 503, 3), (240, 961, 4)):
    track = _core.Track(True, True)
    side = int(rng.integers(8, 80))
    pipeline = _core.Pipeline([fakes.network(lambda _: rng.random((side, side)), (side, side))], stretch="fixed")
    frame = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    for output, last in (("alpha", ()), ("cutout", (4,)), ("composite", (3,)), ("cutout", (4,))):
        result = np.empty((height, width, *last), np.uint8)
        options = _core.FrameOptions(output, background=(1, 2, 3), refine=True, decontaminate=True)
        pipeline.run(frame, result, "bgr", options, track)
        digest.update(result.tobytes())
print(digest.hexdigest())
"""


def test_results_do_not_depend_on_the_number_of_threads(in_python: Callable[..., str]) -> None:
    root = str(Path(__file__).parents[2])
    assert len({in_python(THREADS, root, RMBG_NUM_THREADS=str(threads)) for threads in (1, 2, 3, 8)}) == 1
