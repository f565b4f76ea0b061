# SPDX-License-Identifier: Apache-2.0
"""What a matte takes over from the frames before it: the temporal filter in double, and what it is meant to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from tests import reference

from rmbg_trt import _core

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]

REACH, SLOW, LARGE, CUT = 7, 0.1, 0.5, 40
SURE, QUICK = 0.02, 0.5
GRAY = np.zeros((4, 4, 3), np.uint8)


class Clip:
    """Frames of one track; ``play`` shows predictions to the filter and gives what it makes of them."""

    def __init__(self, size: tuple[int, int], *, stabilize: bool = True, running: bool = False, **options: Any) -> None:
        self._tensors: tuple[Floats, Floats] | None = None
        self._prediction: Any = 0.0
        network = _core.python_network(
            _core.TensorSpec("input", (1, 3, *size)), _core.TensorSpec("output", (1, 1, *size)), self._bind, self._run
        )
        self._pipeline = _core.Pipeline([network], **{"stretch": "fixed", **options})
        self.track: _core.Track | None = _core.Track(stabilize, running)

    def _bind(self, source: Floats, target: Floats) -> None:
        self._tensors = source, target

    def _run(self, stream: int) -> None:
        assert self._tensors is not None
        self._tensors[1][...] = self._prediction

    def show(self, prediction: Any, frame: NDArray[np.uint8] = GRAY) -> Floats:
        """The prediction (h, w) as the filter leaves it, in the network's own memory."""
        assert self._tensors is not None
        self.alpha(prediction, frame)
        return self._tensors[1][0, 0].copy()

    def alpha(self, prediction: Any, frame: NDArray[np.uint8] = GRAY) -> NDArray[np.uint8]:
        self._prediction = prediction
        result = np.empty(frame.shape[:2], np.uint8)
        self._pipeline.run(frame, result, "rgb", _core.FrameOptions(), self.track)
        return result

    def play(self, predictions: Iterable[Any]) -> list[Floats]:
        return [self.show(prediction) for prediction in predictions]


def after(now: Any, before: Numbers) -> Numbers:
    """One step of the filter: what lies in the range around it is likely, and followed the faster the larger it is."""
    now = np.asarray(now, np.float64)
    side = 2 * REACH + 1
    low, high = (extreme(before, side, mode="nearest") for extreme in (ndimage.minimum_filter, ndimage.maximum_filter))
    likely = now.clip(low, high)
    change = likely - before
    share = np.minimum(1.0, SLOW + (1 - SLOW) * np.abs(change) / LARGE)
    share = np.where(np.abs(now - 0.5) > 0.5 - SURE, np.maximum(share, QUICK), share)
    result: Numbers = before + share * change + SLOW * (now - likely)
    return result


def random_predictions(seed: int, size: tuple[int, int], count: int) -> Sequence[Floats]:
    """Soft blobs that move and change, in 0..1."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.random((count + 4, *size)), (1, 2, 2), mode="wrap")
    return list(((smooth - 0.5) * rng.uniform(2, 9) + 0.5).clip(0, 1).astype(np.float32))


# ---- against the oracle ----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(size=st.tuples(st.integers(1, 45), st.integers(1, 45)), seed=st.integers(0, 2**32))
def test_the_filter_is_the_one_of_its_definition(size: tuple[int, int], seed: int) -> None:
    predictions = random_predictions(seed, size, 12)
    expected = predictions[0].astype(np.float64)
    for number, got in enumerate(Clip(size).play(predictions)):
        if number:
            expected = after(predictions[number], expected)
        np.testing.assert_allclose(got, expected, atol=1e-5, rtol=0)


def test_alpha_is_made_of_the_filtered_prediction() -> None:
    clip, frame = Clip((24, 32)), np.zeros((47, 61, 3), np.uint8)
    expected = None
    for prediction in random_predictions(1, (24, 32), 5):
        alpha = clip.alpha(prediction, frame)
        expected = prediction.astype(np.float64) if expected is None else after(prediction, expected)
        exact = reference.alpha(expected.astype(np.float32), (47, 61), stretch="none").astype(int)
        assert np.abs(alpha - exact).max() <= 2  # a byte is truncated, and Lanczos overshoots a little
        assert (alpha == exact).mean() > 0.99


# ---- what it is meant to do ------------------------------------------------------------------------------------


def test_the_first_frame_is_unchanged_and_what_rests_rests() -> None:
    prediction = random_predictions(2, (20, 30), 1)[0]
    for got in Clip((20, 30)).play([prediction] * 20):
        np.testing.assert_array_equal(got, prediction)


def test_noise_is_held_back() -> None:
    rng = np.random.default_rng(3)
    truth = np.zeros((60, 60))
    truth[20:40, 10:50] = 0.9
    noisy = [truth + rng.normal(0, 0.03, truth.shape) for _ in range(80)]
    shown = np.array(Clip((60, 60)).play(noisy)[20:])
    assert shown.var(axis=0).mean() < 0.2 * np.var(noisy[20:], axis=0).mean()
    assert np.abs(shown.mean(axis=0) - truth).mean() < 0.01
    change = np.abs(np.diff(shown, axis=0)).mean() / np.abs(np.diff(noisy[20:], axis=0)).mean()
    assert change < 0.25


def half_plane(edge: int, width: int = 80) -> Numbers:
    return np.tile((np.arange(width) < edge).astype(float), (12, 1))


@pytest.mark.parametrize("step", [1, 3, 7, -1, -7])
def test_an_edge_that_moves_up_to_seven_cells_is_followed_at_once(step: int) -> None:
    edges = range(40, 40 + 5 * step, step)
    for edge, got in zip(edges, Clip((12, 80)).play(map(half_plane, edges)), strict=True):
        np.testing.assert_array_equal(got, half_plane(edge))


def test_beyond_seven_cells_the_rest_fades_in() -> None:
    got = Clip((12, 80)).play([half_plane(40), half_plane(49)])[1]
    np.testing.assert_array_equal(got[:, :47], 1)
    np.testing.assert_allclose(got[:, 47:49], SLOW)
    np.testing.assert_array_equal(got[:, 49:], 0)


@pytest.mark.parametrize("background", [0.0, 1.0])
def test_a_blob_or_a_hole_far_from_any_edge_takes_ten_frames(background: float) -> None:
    # As the likely range grows with what has come, the rest comes at the slow share: 1 - 0.9^n after n frames.
    changed = np.full((60, 60), background)
    changed[24:36, 24:36] = 1 - background
    shown = np.array(Clip((60, 60)).play([np.full((60, 60), background), *[changed] * 20]))
    progress = np.abs(shown[:, 30, 30] - background)
    np.testing.assert_allclose(progress, 1 - 0.9 ** np.arange(21), atol=1e-5)
    assert 5 <= int((progress < 0.5).sum()) <= 10


def test_a_flash_of_a_few_frames_is_hardly_seen() -> None:
    blob = np.zeros((60, 60))
    blob[24:36, 24:36] = 1
    shown = np.array(Clip((60, 60)).play([0 * blob, blob, blob, *[0 * blob] * 12]))
    assert shown.max() < 0.2
    assert shown[-1].max() < 0.02


# ---- cuts, other sizes, reset ----------------------------------------------------------------------------------


def flat(value: int, height: int = 30, width: int = 40) -> NDArray[np.uint8]:
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize(("change", "cut"), [(CUT, True), (-CUT, True), (CUT - 1, False), (0, False)])
def test_a_cut_is_taken_over_whole(change: int, cut: bool) -> None:
    clip = Clip((12, 80))
    clip.show(half_plane(10), flat(100))
    got = clip.show(half_plane(60), flat(100 + change))
    assert (got == half_plane(60)).all() == cut
    # What the cut's frame leaves behind is its own: the next one follows it.
    expected = half_plane(60) if cut else after(half_plane(60), after(half_plane(60), half_plane(10)))
    np.testing.assert_allclose(clip.show(half_plane(60), flat(100 + change)), expected, atol=1e-5)


def test_the_change_of_a_cut_is_a_mean_over_the_frame() -> None:
    for level, cut in ((80, True), (79, False)):
        clip, frame = Clip((30, 40)), flat(0)
        clip.show(np.zeros((30, 40)), frame)
        half = frame.copy()
        half[:15] = level
        assert (clip.show(np.ones((30, 40)), half) == 1).all() == cut


def test_a_slow_change_of_light_is_no_cut() -> None:
    clip, expected = Clip((12, 80)), half_plane(10)
    clip.show(half_plane(10), flat(0))
    for value in range(30, 250, 30):
        expected = after(half_plane(60), expected)
        np.testing.assert_allclose(clip.show(half_plane(60), flat(value)), expected, atol=1e-5)


@pytest.mark.parametrize("how", ["reset", "height", "width"])
def test_reset_and_another_size_of_frame_begin_anew(how: str) -> None:
    clip = Clip((12, 80))
    clip.show(half_plane(10), flat(0))
    assert not (clip.show(half_plane(60), flat(0)) == half_plane(60)).all()
    assert clip.track is not None
    if how == "reset":
        clip.track.reset()
    frame = {"reset": flat(0), "height": flat(0, height=31), "width": flat(0, width=39)}[how]
    np.testing.assert_array_equal(clip.show(half_plane(70), frame), half_plane(70))
    assert not (clip.show(half_plane(20), frame) == half_plane(20)).all()


def test_a_track_that_carries_nothing_changes_nothing() -> None:
    clip = Clip((20, 30), stabilize=False)
    for prediction in random_predictions(4, (20, 30), 4):
        np.testing.assert_array_equal(clip.show(prediction), prediction)


# ---- what is no number -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 1, 5])
@pytest.mark.parametrize("whole", [True, False])
def test_what_is_no_number_never_sticks(fault: float, at: int, whole: bool) -> None:
    predictions = [half_plane(30 + i) for i in range(12)]
    bad = np.full_like(predictions[at], fault) if whole else predictions[at].copy()
    bad[3:9, 20:50] = fault
    predictions[at] = bad
    clip = Clip((12, 80))
    shown = clip.play(predictions)
    assert all(np.isfinite(got).all() for got in shown[at + 1 :])
    np.testing.assert_allclose(shown[-1], half_plane(41), atol=1e-5)
    if at:
        assert np.isfinite(shown[at]).all(), "the frame before stands in"


def test_nan_after_a_cut_and_in_a_frame_of_its_own_is_background() -> None:
    clip = Clip((12, 80))
    clip.alpha(half_plane(40), flat(0))
    assert not clip.alpha(np.full((12, 80), np.nan), flat(200)).any()
    assert clip.alpha(half_plane(80), flat(200)).all()


# ---- the running stretch ---------------------------------------------------------------------------------------


def stretched(prediction: Any, low: float, high: float) -> Numbers:
    return ((np.asarray(prediction) - low) / (high - low)).clip(0, 1) * 255


@pytest.mark.parametrize("stretch", ["minmax", "fixed"])
def test_the_running_stretch_follows(stretch: str) -> None:
    rng = np.random.default_rng(5)
    clip, frame = Clip((10, 14), stabilize=False, running=True, stretch=stretch), flat(0, 10, 14)
    low = high = None
    for number in range(30):
        prediction = (rng.random((10, 14)) * (0.3 if number < 10 else 0.6) + 0.05).astype(np.float32)
        least, most = float(prediction.min()), float(prediction.max())
        low = least if low is None else low + 0.1 * (least - low)
        high = most if high is None else high + 0.1 * (most - high)
        exact = stretched(prediction, low, high)
        assert np.abs(clip.alpha(prediction, frame) + 0.5 - exact).max() <= 0.51  # truncated
    assert abs(high - 0.6) < 0.1


def test_the_running_stretch_begins_anew_after_a_reset() -> None:
    clip, frame = Clip((1, 3), stabilize=False, running=True), flat(0, 1, 3)
    assert clip.track is not None
    assert clip.alpha([[0.0, 0.25, 0.5]], frame).tolist() == [[0, 127, 255]]
    clip.track.reset()
    assert clip.alpha([[0.5, 0.75, 1.0]], frame).tolist() == [[0, 127, 255]]


def test_a_stretch_of_the_filtered_prediction() -> None:
    predictions = random_predictions(6, (20, 30), 8)
    both, filtered = Clip((20, 30), running=True), Clip((20, 30))
    low = high = None
    for prediction in predictions:
        held = filtered.show(0.6 * prediction, flat(0, 20, 30)).astype(np.float64)
        low = held.min() if low is None else low + 0.1 * (held.min() - low)
        high = held.max() if high is None else high + 0.1 * (held.max() - high)
        got = both.alpha(0.6 * prediction, flat(0, 20, 30))
        assert np.abs(got + 0.5 - stretched(held, low, high)).max() <= 0.51


@pytest.mark.parametrize("useless", [np.nan, np.inf, 0.3])
def test_a_range_begins_with_the_first_prediction_that_has_one(useless: float) -> None:
    clip, frame = Clip((1, 3), stabilize=False, running=True), flat(0, 1, 3)
    assert not clip.alpha(np.full((1, 3), useless), frame).any()
    assert clip.alpha([[0.0, 0.25, 0.5]], frame).tolist() == [[0, 127, 255]]
    if not np.isfinite(useless):  # leaves the range as it is
        clip.alpha(np.full((1, 3), useless), frame)
    assert clip.alpha([[0.0, 0.25, 0.5]], frame).tolist() == [[0, 127, 255]]
