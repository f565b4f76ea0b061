# SPDX-License-Identifier: Apache-2.0
"""The matting threads: each mask with its own frame, slots, resets, sizes, switches, backgrounds and bad networks."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests import fakes
from tests.live.parts import (
    BLOCK,
    CollectingSink,
    GatedSource,
    LiveRun,
    NumberedSource,
    SlowMatter,
    both_numbers,
    read_blocks,
)
from tests.video import restless
from tests.video.clips import make_clip, pictures, smooth

from rmbg_trt import Engine, FrameOptions, VideoMatter
from rmbg_trt.errors import Error, NetworkError
from rmbg_trt.live import Clip, LiveMatter, LiveOptions, MattedFrame, Recorder


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_every_mask_belongs_to_its_own_frame_in_order_and_once(slots: int) -> None:
    kept, matter = CollectingSink(), SlowMatter(0.002, slots=3)
    matter.go.clear()
    run = LiveRun(NumberedSource(500), matter, kept, slots=slots)
    run.until(lambda: matter.in_flight == min(slots, 3))
    time.sleep(0.05)  # time for one too many to be submitted
    matter.go.set()
    run.until(lambda: len(kept.matted) > 20)
    report = run.end()
    assert len(kept.matted) == report.matted
    assert matter.most_in_flight == min(slots, 3)
    numbers = [both_numbers(each.result) for each in kept.matted]
    assert all(frame == alpha == each.number for (frame, alpha), each in zip(numbers, kept.matted, strict=True))
    assert kept.numbers == sorted(set(kept.numbers))


def test_with_an_engine(fake_engine: Callable[..., Engine]) -> None:
    engine = fake_engine(fakes.read_tag, color="rgb", stretch="none")
    source = NumberedSource(100, make_frame=lambda number: fakes.tagged(number % 256)[..., ::-1].copy())
    kept = CollectingSink()
    run = LiveRun(source, engine, kept, slots=2)
    run.until(lambda: len(kept.matted) > 5)
    run.end()
    for each in kept.matted:
        assert (each.result[..., 0] == each.number % 256).all()
        assert (each.result[..., 3] == each.number % 256).all()


@pytest.mark.parametrize("slots", [1, 3])
def test_with_a_video_matter_a_new_scene_starts_afresh(fake_engine: Callable[..., Engine], slots: int) -> None:
    """The matter never sees dropped frames: each result depends only on the frames that were matted before."""
    matter = VideoMatter(fake_engine(restless.predict, size=restless.SIZE, slots=slots, color="rgb", stretch="none"))
    kept = CollectingSink()
    # Frames arrive three at a time, and the newest of them is always matted. A new scene starts with two of them.
    frames = NumberedSource(ends=[12, 12, 0], make_frame=restless.frame)
    source = GatedSource(frames, lambda number: number % 3 != 1 or kept.numbers[-1:] == [number - 1])
    with pytest.raises(Error, match="is lost"):
        LiveMatter(source, matter, [kept], LiveOptions(slots=slots, reconnect=2)).run()
    scenes = [[each for each in kept.matted if (each.number < 12) == first] for first in (True, False)]
    for scene in scenes:
        assert len(scene) > 3
        wanted = restless.expected(fake_engine, [restless.frame(each.number) for each in scene])
        assert restless.same([each.result for each in scene], wanted)


def test_a_reconnect_resets_the_matter_with_nothing_in_flight() -> None:
    matter = SlowMatter(0.01)
    run = LiveRun(NumberedSource(200, [10], live=True), matter, CollectingSink(), slots=3)
    run.until(lambda: len(matter.resets) >= 2)
    assert run.end().reconnects >= 2
    assert 0 < matter.resets[0] < matter.resets[1]
    assert any("is lost" in line for line in run.messages)
    assert any("is back" in line for line in run.messages)


def test_a_loop_resets_the_matter(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 4, rate=50)
    matter = SlowMatter(alpha=lambda frame: frame[..., 0])
    run = LiveRun(Clip(clip), matter, loop=True)
    run.until(lambda: len(matter.resets) >= 2)
    run.end()


def test_a_change_of_size_is_letterboxed_with_a_message() -> None:
    def make_frame(number: int) -> Any:
        return np.full((40, 60, 3) if number < 10 else (40, 30, 3), 200, np.uint8)

    matter, kept = SlowMatter(alpha=lambda frame: np.full(frame.shape[:2], 9, np.uint8)), CollectingSink()
    frames = NumberedSource(100, [20], live=False, make_frame=make_frame)
    run = LiveRun(GatedSource(frames, lambda number: number != 10 or kept.matted), matter, kept)
    run.result()
    assert run.messages == ["the frame size changed from 60x40 to 30x40; results stay 60x40, letterboxed"]
    assert {each.result.shape for each in kept.matted} == {(40, 60, 4)}
    last = kept.matted[-1].frame
    assert (last[:, 15:45] == 200).all()
    assert not last[:, :15].any()
    assert not last[:, 45:].any()
    assert len(matter.resets) == 1


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(None, None, (33, 51)), (100, None, (64, 100)), (None, 66, (66, 102)), (80, 80, (80, 80))],
)
def test_requested_and_odd_sizes(
    width: int | None, height: int | None, expected: tuple[int, int], tmp_path: Path
) -> None:
    source = NumberedSource(100, [5], live=False, make_frame=lambda _: np.full((33, 51, 3), 90, np.uint8))
    kept = CollectingSink()
    recorder = Recorder(tmp_path / "o.mp4", "composite")
    matter = SlowMatter(alpha=lambda frame: np.full(frame.shape[:2], 255, np.uint8))
    options = LiveOptions(backgrounds=["navy"], width=width, height=height)
    LiveMatter(source, matter, [kept, recorder], options).run()
    assert kept.info is not None
    assert kept.info.size == kept.matted[0].result.shape[:2] == expected
    shape = pictures(tmp_path / "o.mp4")[0].shape
    assert shape[:2] == tuple(side + side % 2 for side in expected)


@pytest.mark.parametrize("premultiplied", [False, True])
def test_options_of_frames_reach_the_engine_and_the_sinks(
    fake_engine: Callable[..., Engine], premultiplied: bool
) -> None:
    shown = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    ramp = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (32, 1))
    kept, engine = CollectingSink(), fake_engine(lambda _: ramp, color="rgb")
    options = LiveOptions(FrameOptions("cutout", premultiplied=premultiplied))
    source = NumberedSource(100, [3], live=False, make_frame=lambda _: shown)
    LiveMatter(source, engine, [kept], options).run()
    result = kept.matted[-1]
    np.testing.assert_array_equal(result.result, engine.run(shown, output="cutout", premultiplied=premultiplied))
    opaque = engine.run(shown, output="composite", background="navy")
    assert np.abs(result.opaque("navy").astype(int) - opaque).max() <= 2


@pytest.mark.parametrize("refine", [False, True])
def test_the_matter_decides_refine(fake_engine: Callable[..., Engine], refine: bool) -> None:
    kept, engine = CollectingSink(), fake_engine(restless.predict, size=restless.SIZE, color="rgb")
    source = NumberedSource(100, [1], live=False, make_frame=restless.frame)
    matter = VideoMatter(engine, refine=refine, decontaminate=False)
    LiveMatter(source, matter, [kept], LiveOptions(FrameOptions("cutout", refine=not refine))).run()
    matter.reset()
    np.testing.assert_array_equal(kept.matted[0].result, matter.run(kept.matted[0].frame, output="cutout"))


def test_a_result_of_the_wrong_type_is_refused() -> None:
    matter = SlowMatter(alpha=lambda frame: frame[..., 0].astype(np.float32))
    with pytest.raises(
        NetworkError, match=r"submit returned \(32, 320\) float32 for output 'alpha'; expected \(32, 320\)"
    ):
        LiveMatter(NumberedSource(50), matter, [], LiveOptions(FrameOptions(output="alpha"))).run()


def test_a_failing_network_ends_the_run_and_the_recording_is_complete(tmp_path: Path) -> None:
    def alpha(frame: Any) -> Any:
        if read_blocks(frame[:BLOCK, :, 0]) >= 20:
            raise NetworkError("no more")
        return frame[..., 0]

    recorder, matter = Recorder(tmp_path / "o.mov", "cutout"), SlowMatter(alpha=alpha)
    recorder.queue_length = 20
    with pytest.raises(NetworkError, match="no more"):
        LiveMatter(GatedSource(NumberedSource(), lambda number: matter.finished >= number), matter, [recorder]).run()
    assert len(pictures(tmp_path / "o.mov")) == 20


def test_mirror_background_and_alpha_view() -> None:
    matter, kept = SlowMatter(alpha=lambda frame: frame[..., 0]), CollectingSink()
    half = np.zeros((20, 40, 3), np.uint8)
    half[:, :10] = 255
    image = np.full((10, 20, 3), 7, np.uint8)
    source = NumberedSource(100, make_frame=lambda _: half)
    run = LiveRun(source, matter, kept, backgrounds=["red", image, "blur:2"])

    def after(change: Callable[[], None]) -> MattedFrame:
        change()
        number = source.number  # earlier frames may still be in flight
        run.until(lambda: kept.matted and kept.matted[-1].number > number)
        return kept.matted[-1]

    assert after(lambda: None).result[0, [0, 39]].tolist() == [[255, 255, 255], [255, 0, 0]]
    assert after(run.live.toggle_mirror).result[0, [0, 39]].tolist() == [[255, 0, 0], [255, 255, 255]]
    assert after(run.live.next_background).result[0, [0, 39]].tolist() == [[7, 7, 7], [255, 255, 255]]
    seen = after(run.live.toggle_alpha_view)  # the network computes cutouts now; other sinks still get the composite
    assert (matter.submitted[-1], seen.computed_kind, seen.kind) == (("cutout", None), "cutout", "composite")
    assert seen.alpha is not None
    assert seen.alpha[0, [0, 39]].tolist() == [0, 255]
    assert seen.result[0, [0, 39]].tolist() == [[7, 7, 7], [255, 255, 255]]
    run.live.next_background()
    blurred = after(lambda: None).result
    assert blurred[0, 0].tolist() == [0, 0, 0]
    assert 0 < blurred[0, 29, 0] < 255
    assert after(run.live.next_background).result[0, 0].tolist() == [255, 0, 0]
    assert after(run.live.toggle_alpha_view).alpha is None
    run.end()


def test_a_background_video_plays_while_it_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    background = make_clip(tmp_path / "b.mp4", [np.full((48, 64, 3), 16 + 8 * n, np.uint8) for n in range(25)], rate=32)
    matter = SlowMatter(alpha=lambda frame: np.zeros(frame.shape[:2], np.uint8))
    kept = CollectingSink()

    def seconds() -> float:  # 1/64 s per frame, and a pause before the tenth
        return 1000 + len(matter.submitted) / 64 + 60 * (len(matter.submitted) >= 10)

    monkeypatch.setattr("rmbg_trt.live.matting.time", SimpleNamespace(monotonic=seconds))
    run = LiveRun(NumberedSource(500, make_frame=lambda _: smooth()), matter, kept, backgrounds=[background])
    run.until(lambda: len(kept.matted) >= 60)
    run.end()
    shades = [int(each.result[20, 30, 0]) for each in kept.matted]
    # The pause advances it by half a second, which is 16 of its frames; after its last frame it starts again.
    shown = [n // 2 if n < 10 else (9 + 32 + n - 10) // 2 % 25 for n in range(60)]
    assert np.abs(np.subtract(shades[:60], [16 + 8 * n for n in shown])).max() <= 2
