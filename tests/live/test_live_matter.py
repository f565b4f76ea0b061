# SPDX-License-Identifier: Apache-2.0
"""The whole of it over a known source and a known network: latency, order, pairs, switches, losses and ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import fakes
from tests.live.parts import (
    BLOCK,
    HEIGHT,
    WIDTH,
    Kept,
    NumberedSource,
    SlowMatter,
    both_numbers,
    coded,
    our_threads,
    read_blocks,
    until,
)
from tests.video import restless
from tests.video.clips import make_clip, pictures, smooth, times

from rmbg_trt import Engine, VideoMatter
from rmbg_trt.errors import Error, InputError, NetworkError
from rmbg_trt.live import Clip, GoneError, LiveMatter, LiveOptions, LiveReport, Matted, Recorder, Show, Sink, capture

BLACK = (0, 0, 0)


@pytest.fixture(autouse=True)
def no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(capture, "_FIRST_WAIT_S", 0.01)
    yield
    assert list(our_threads()) == []


class Running:
    """A run in a thread of its own, to be spoken to from the test."""

    def __init__(self, source: Any, matter: Any, *sinks: Sink, recording: Path | None = None, **options: Any) -> None:
        self.said: list[str] = []
        self.live = LiveMatter(
            source, matter, sinks, LiveOptions(**options), recording=recording, tell=self.said.append
        )
        self.report: LiveReport | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        until(lambda: len(self.live.report().sinks) == len(sinks))

    def _run(self) -> None:
        self.report = self.live.run()

    def end(self) -> LiveReport:
        self.live.stop()
        self.thread.join(20)
        assert self.report is not None
        return self.report


def thirds(values: list[float]) -> tuple[float, float]:
    """Medians of the first and of the last third."""
    third = len(values) // 3
    return float(np.median(values[:third])), float(np.median(values[-third:]))


def test_latency_stays_below_two_frames_of_the_network_and_does_not_grow() -> None:
    kept = Kept()
    live = LiveMatter(NumberedSource(30), SlowMatter(0.1), [kept])
    report = live.run(seconds=4)
    assert report.matted > 30
    assert np.percentile(kept.latency_ms, 95) < 200
    assert float(np.median(kept.latency_ms)) < 160
    first, last = thirds(kept.latency_ms)
    assert last < first + 25
    assert report.dropped == pytest.approx(report.frames - report.matted, abs=2)
    assert report.dropped > report.matted
    assert kept.numbers == sorted(set(kept.numbers))
    assert report.latency.p95_ms < 200


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_every_mask_belongs_to_its_own_frame_in_order_none_twice(slots: int) -> None:
    kept, matter = Kept(keep=1000), SlowMatter(0.01, slots=3)
    report = LiveMatter(NumberedSource(500), matter, [kept], LiveOptions(slots=slots)).run(seconds=0.5)
    assert len(kept.matted) == report.matted > 20
    assert matter.most_in_flight == min(slots, 3)
    numbers = [both_numbers(each.result) for each in kept.matted]
    assert all(frame == alpha == each.number for (frame, alpha), each in zip(numbers, kept.matted, strict=True))
    assert kept.numbers == sorted(set(kept.numbers))


def test_a_recorded_clip_of_a_file_has_pairs_and_the_times_at_which_frames_came(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", [coded(number) for number in range(45)], rate=60, audio=True)
    recorder, kept = Recorder(tmp_path / "out.mp4", "composite"), Kept(keep=1000)
    matter = SlowMatter(0.025)
    report = LiveMatter(Clip(clip), matter, [recorder, kept], LiveOptions(backgrounds=[BLACK])).run()
    assert report.frames == 45
    assert report.seconds > 0.7
    found = [both_numbers(picture) for picture in pictures(tmp_path / "out.mp4")]
    assert len(found) == report.matted == report.sinks[recorder.name].written > 10
    assert all(frame == alpha for frame, alpha in found)
    assert [frame for frame, _ in found] == kept.numbers == sorted(set(kept.numbers))
    came = [each.captured_s - kept.matted[0].captured_s for each in kept.matted]
    assert [float(each) for each in times(tmp_path / "out.mp4")] == pytest.approx(came, abs=1e-4)
    assert came[-1] == pytest.approx((kept.numbers[-1] - kept.numbers[0]) / 60, abs=0.1)


def test_over_an_engine(fake_engine: Callable[..., Engine]) -> None:
    engine = fake_engine(fakes.read_tag, color="rgb", stretch="none")
    source = NumberedSource(100, [40], live=False, picture=lambda number: fakes.tagged(number)[..., ::-1].copy())
    kept = Kept(keep=100)
    LiveMatter(source, engine, [kept], LiveOptions(slots=2)).run()
    assert len(kept.matted) > 5
    for each in kept.matted:
        assert (each.result[..., 0] == each.number).all()
        assert (each.result[..., 3] == each.number).all()


@pytest.mark.parametrize("slots", [1, 3])
def test_over_a_video_matter_frames_follow_one_another_and_a_new_scene_does_not(
    fake_engine: Callable[..., Engine], slots: int
) -> None:
    """What is dropped is not there for the matter either: each result is that of the frames that were taken."""
    matter = VideoMatter(fake_engine(restless.predict, size=restless.SIZE, slots=slots, color="rgb", stretch="none"))
    kept = Kept(keep=100)
    source = NumberedSource(100, [12, 12, 0], picture=restless.frame)
    with pytest.raises(Error, match="is lost"):
        LiveMatter(source, matter, [kept], LiveOptions(slots=slots, reconnect=2)).run()
    scenes = [[each for each in kept.matted if (each.number < 12) == first] for first in (True, False)]
    for scene in scenes:
        assert len(scene) > 3
        wanted = restless.expected(fake_engine, [restless.frame(each.number) for each in scene])
        assert restless.same([each.result for each in scene], wanted)


def test_a_sink_that_blocks_holds_up_nobody_and_stays_bounded() -> None:
    slow, queued, quick = Kept(0.15), Kept(0.05, keep=4), Kept(keep=1)
    slow.name, queued.name = "slow", "queued"
    report = LiveMatter(NumberedSource(100), SlowMatter(0.01), [slow, queued, quick]).run(seconds=1.2)
    assert max(quick.latency_ms[5:]) < 150
    assert len(quick.matted) > 40
    assert max(slow.latency_ms) < 2 * 150 + 150
    assert max(queued.latency_ms) < 5 * 50 + 150
    for sink in (slow, queued):
        told = report.sinks[sink.name]
        assert told.written == len(sink.matted)
        assert told.dropped > 5
        assert told.written + told.dropped == report.matted
        assert sink.numbers == sorted(set(sink.numbers))
        assert sink.finished == 1


def test_no_memory_piles_up_where_nothing_is_shown() -> None:
    report = LiveMatter(NumberedSource(0, [150], live=False), SlowMatter(), []).run()
    assert report.frames == 150
    assert report.matted + report.dropped == 150


# ---- what the network's side is told ---------------------------------------------------------------------------------


def test_reset_comes_with_a_reconnect_and_with_nothing_in_flight() -> None:
    matter, kept = SlowMatter(0.01), Kept(keep=100)
    source = NumberedSource(100, [20, 20, 20], live=True)
    run = Running(source, matter, kept, slots=3)
    until(lambda: len(matter.resets) >= 2)
    assert run.end().reconnects >= 2
    assert 0 < matter.resets[0] < matter.resets[1]
    assert any("is lost" in line for line in run.said)
    assert any("there again" in line for line in run.said)


def test_reset_comes_with_a_loop(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 4, rate=50)
    matter = SlowMatter(alpha=lambda frame: frame[..., 0])
    run = Running(Clip(clip), matter, loop=True)
    until(lambda: len(matter.resets) >= 3)
    run.end()


def test_another_size_on_the_way_is_brought_to_the_first_and_said() -> None:
    def picture(number: int) -> Any:
        return np.full((40, 60, 3) if number < 10 else (40, 30, 3), 200, np.uint8)

    matter, kept = SlowMatter(alpha=lambda frame: np.full(frame.shape[:2], 9, np.uint8)), Kept(keep=100)
    run = Running(NumberedSource(100, [30], live=False, picture=picture), matter, kept)
    run.thread.join(10)
    assert run.said == ["the picture changed from 60x40 to 30x40; results stay 60x40, with black beside it if need be"]
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
def test_sizes_that_are_asked_for_and_odd_ones(
    width: int | None, height: int | None, expected: tuple[int, int], tmp_path: Path
) -> None:
    source = NumberedSource(100, [5], live=False, picture=lambda _: np.full((33, 51, 3), 90, np.uint8))
    kept = Kept(keep=100)
    recorder = Recorder(tmp_path / "o.mp4", "composite")
    matter = SlowMatter(alpha=lambda frame: np.full(frame.shape[:2], 255, np.uint8))
    options = LiveOptions(backgrounds=["navy"], width=width, height=height)
    LiveMatter(source, matter, [kept, recorder], options).run()
    assert kept.show is not None
    assert kept.show.size == kept.matted[0].result.shape[:2] == expected
    shape = pictures(tmp_path / "o.mp4")[0].shape
    assert shape[:2] == tuple(side + side % 2 for side in expected)


def test_what_is_no_matte_is_refused() -> None:
    matter = SlowMatter(alpha=lambda frame: frame[..., 0].astype(np.float32))
    with pytest.raises(NetworkError, match=r"submit gave \(32, 192\) float32 for output 'alpha'; expected \(32, 192\)"):
        LiveMatter(NumberedSource(50), matter, [], LiveOptions(output="alpha")).run()


def test_a_network_that_fails_ends_the_run_and_the_recording_is_whole(tmp_path: Path) -> None:
    def alpha(frame: Any) -> Any:
        if read_blocks(frame[:BLOCK, :, 0]) >= 20:
            raise NetworkError("no more")
        return frame[..., 0]

    recorder = Recorder(tmp_path / "o.mov", "cutout")
    with pytest.raises(NetworkError, match="no more"):
        LiveMatter(NumberedSource(50), SlowMatter(alpha=alpha), [recorder]).run()
    assert len(pictures(tmp_path / "o.mov")) > 5


# ---- switches --------------------------------------------------------------------------------------------------------


def test_mirror_background_and_alpha_view() -> None:
    matter, kept = SlowMatter(alpha=lambda frame: frame[..., 0]), Kept(keep=10_000)
    half = np.zeros((20, 40, 3), np.uint8)
    half[:, :10] = 255
    picture_behind = np.full((10, 20, 3), 7, np.uint8)
    run = Running(
        NumberedSource(100, picture=lambda _: half), matter, kept, backgrounds=["red", picture_behind, "blur:2"]
    )

    def after(change: Callable[[], None]) -> Matted:
        change()
        count = len(kept.matted) + 3  # what is on its way is of before
        until(lambda: len(kept.matted) > count)
        return kept.matted[-1]

    assert after(lambda: None).result[0, [0, 39]].tolist() == [[255, 255, 255], [255, 0, 0]]
    assert after(run.live.toggle_mirror).result[0, [0, 39]].tolist() == [[255, 0, 0], [255, 255, 255]]
    assert after(run.live.next_background).result[0, [0, 39]].tolist() == [[7, 7, 7], [255, 255, 255]]
    seen = after(run.live.toggle_alpha_view)  # cutouts are made now; others still get the composite
    assert (matter.submitted[-1], seen.made_kind, seen.kind) == (("cutout", None), "cutout", "composite")
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


def test_a_pause_stops_results_and_keeps_them_out_of_the_drops() -> None:
    kept = Kept(keep=1000)
    run = Running(NumberedSource(100), SlowMatter(), kept)
    until(lambda: len(kept.matted) > 3)
    run.live.toggle_pause()
    time.sleep(0.1)
    count, dropped = len(kept.matted), run.live.report().dropped
    time.sleep(0.2)
    assert len(kept.matted) == count
    assert run.live.status().notes == ("paused",)
    run.live.toggle_pause()
    until(lambda: len(kept.matted) > count)
    assert kept.matted[-1].number > count + 15
    assert run.end().dropped <= dropped + 3


def test_recordings_are_started_and_stopped_and_numbered(tmp_path: Path) -> None:
    first = Recorder(tmp_path / "a.mkv", "cutout")
    run = Running(NumberedSource(50), SlowMatter(), first, Kept())
    until(lambda: run.live.report().sinks[first.name].written > 5)
    assert run.live.status().notes == (f"recording {tmp_path / 'a.mkv'}",)
    run.live.toggle_recording()
    run.live.toggle_recording()
    second = str(tmp_path / "a_2.mkv")
    until(lambda: run.live.report().sinks[second].written > 5)
    until(lambda: (tmp_path / "a.mkv").exists())
    assert not (tmp_path / "a_2.mkv").exists()
    report = run.end()
    for name in (first.name, second):
        found = [both_numbers(picture) for picture in pictures(Path(name), "rgba")]
        assert len(found) == report.sinks[name].written
        assert all(frame == alpha for frame, alpha in found)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.mkv", "a_2.mkv"]


def test_a_recording_with_no_frame_leaves_no_file(tmp_path: Path) -> None:
    run = Running(NumberedSource(50), SlowMatter(), Recorder(tmp_path / "a.mkv", "cutout"))
    run.live.toggle_pause()
    run.end()
    assert not [each for each in tmp_path.iterdir() if each.suffix == ".mkv" and each.stat().st_size == 0]


def test_snapshots(tmp_path: Path) -> None:
    kept = Kept()
    run = Running(NumberedSource(50), SlowMatter(), kept, snapshots=tmp_path / "shots")
    until(lambda: kept.matted)
    run.live.snapshot()
    run.live.snapshot()
    run.end()
    files = sorted((tmp_path / "shots").iterdir())
    assert len(files) == 2
    with Image.open(files[0]) as picture:
        assert (picture.mode, picture.size) == ("RGBA", (WIDTH, HEIGHT))
        pixels = np.asarray(picture)
    assert read_blocks(pixels[:BLOCK, :, 0]) == read_blocks(pixels[BLOCK:, :, 3])
    assert run.said[0].startswith("saved ")


# ---- ends ------------------------------------------------------------------------------------------------------------


class Failing(Sink):
    name = "failing"

    def __init__(self, error: Exception, after: int) -> None:
        self.error, self.left, self.finished = error, after, 0

    def start(self, show: Show) -> None:
        if self.left < 0:
            raise self.error

    def write(self, matted: Matted) -> None:
        self.left -= 1
        if self.left < 0:
            raise self.error

    def finish(self) -> None:
        self.finished += 1


def test_a_sink_that_cannot_begin_ends_the_run() -> None:
    with pytest.raises(Error, match="no such device"):
        LiveMatter(NumberedSource(50), SlowMatter(), [Kept(), Failing(Error("no such device"), -1)]).run()


def test_a_sink_that_fails_later_is_noted_and_the_rest_goes_on() -> None:
    kept, failing = Kept(), Failing(Error("the disk is full"), 3)
    report = LiveMatter(NumberedSource(50), SlowMatter(), [kept, failing]).run(seconds=0.6)
    assert report.errors == ["failing: the disk is full"]
    assert failing.finished == 1
    assert report.sinks["failing"].written == 3
    assert len(kept.matted) > 10


@pytest.mark.parametrize("error", [GoneError(), Error("the disk is full")])
def test_with_the_last_sink_the_run_ends(error: Exception) -> None:
    report = LiveMatter(NumberedSource(50), SlowMatter(), [Failing(error, 3)]).run(seconds=20)
    assert report.seconds < 5
    assert report.errors == ([] if isinstance(error, GoneError) else ["failing: the disk is full"])


def test_a_mistake_in_a_sink_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        LiveMatter(NumberedSource(50), SlowMatter(), [Failing(ZeroDivisionError(), 3), Kept()]).run(seconds=0.5)


@pytest.mark.skipif(os.name == "nt", reason="signals of processes are others there")
def test_ctrl_c_finishes_the_recording(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.mov", "cutout")
    live = LiveMatter(NumberedSource(50), SlowMatter(), [recorder])
    timer = threading.Timer(0.4, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        live.run(seconds=20)
    timer.join()
    assert len(pictures(tmp_path / "a.mov")) == live.report().sinks[recorder.name].written > 5
    assert [each.name for each in tmp_path.iterdir()] == ["a.mov"]


def test_a_stream_that_is_lost_for_good_ends_with_a_whole_recording(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.mov", "cutout")
    with pytest.raises(Error, match="a fake camera is lost after 2 tries: nobody there"):
        LiveMatter(NumberedSource(50, [15], absent=99), SlowMatter(), [recorder], LiveOptions(reconnect=2)).run()
    assert len(pictures(tmp_path / "a.mov")) > 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "composite"}, "a composite needs a background"),
        ({"output": "alpha", "backgrounds": ["red"]}, "a background is for a composite"),
        ({"output": "matte"}, "the output is 'matte'"),
        ({"backgrounds": ["reddish"]}, "'reddish' is not a colour"),
        ({"fps": 0.0}, "the frame rate is 0"),
        ({"reconnect": -1}, "reconnect is -1"),
        ({"slots": 0}, "slots is 0"),
        ({"width": 0}, "the width is 0"),
    ],
)
def test_options_that_make_no_sense(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LiveMatter(NumberedSource(), SlowMatter(), [], LiveOptions(**options))


def test_a_video_behind_goes_on_while_it_is_shown(tmp_path: Path) -> None:
    behind = make_clip(tmp_path / "b.mp4", [np.full((48, 64, 3), 16 + 8 * n, np.uint8) for n in range(25)], rate=25)
    matter = SlowMatter(alpha=lambda frame: np.zeros(frame.shape[:2], np.uint8))
    kept = Kept(keep=1000)
    source = NumberedSource(50, picture=lambda _: smooth())
    LiveMatter(source, matter, [kept], LiveOptions(backgrounds=[behind])).run(seconds=0.9)
    shades = [int(each.result[20, 30, 0]) for each in kept.matted]
    seconds = [each.captured_s - kept.matted[0].captured_s for each in kept.matted]
    assert shades == sorted(shades)
    expected = [16 + 8 * int(25 * each) for each in seconds]
    assert np.abs(np.subtract(shades, expected)).max() <= 2 * 8 + 2
    assert shades[-1] > 100
