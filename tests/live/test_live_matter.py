# SPDX-License-Identifier: Apache-2.0
"""The whole of it over a known source and a known network: latency, order, pairs, switches, losses and ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import fakes
from tests.live.parts import (
    BLOCK,
    HEIGHT,
    TIMEOUT_S,
    WIDTH,
    Kept,
    NumberedSource,
    Patient,
    Running,
    SlowMatter,
    both_numbers,
    coded,
    coded_alpha,
    our_threads,
    read_blocks,
    until,
)
from tests.video import restless
from tests.video.clips import make_clip, pictures, smooth, times

from rmbg_trt import Engine, VideoMatter
from rmbg_trt.errors import Error, InputError, NetworkError
from rmbg_trt.live import Clip, GoneError, LiveMatter, LiveOptions, Matted, Recorder, Show, Sink, capture

BLACK = (0, 0, 0)


@pytest.fixture(autouse=True)
def no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(capture, "_FIRST_WAIT_S", 0.01)
    yield
    assert list(our_threads()) == []


class Clockwork(NumberedSource):
    """A camera and a network with a clock of their own: a frame takes 2 ticks to come, and 7 to be matted.

    The clock goes on only while the network works, and at each tick waits until the run has dealt with all that there
    is. So the figures are exact, on every machine.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now, self.come, self.asked_for = 0, 1, -1
        self.network = SlowMatter(alpha=self.matte)
        self.settled: Callable[[], bool] = lambda: True
        self.over = threading.Event()

    def seconds(self) -> float:
        return self.now / 20

    def read(self, stop: threading.Event) -> Callable[[], Any] | None:
        self.asked_for = self.number  # so all before are on the shelf
        until(lambda: stop.is_set() or self.number < self.come)
        return super().read(stop)

    def matte(self, frame: Any) -> Any:
        until(lambda: self.over.is_set() or self.settled())
        for _ in range(7):
            self.now += 1
            self.come += self.now % 2 == 0
            until(lambda: self.over.is_set() or self.asked_for == self.come)
        return coded_alpha(frame)


def test_the_newest_frame_is_matted_and_latency_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    both, kept = Clockwork(), Kept()
    for module in ("capture", "latency"):
        monkeypatch.setattr(f"rmbg_trt.live.{module}.time", SimpleNamespace(monotonic=both.seconds))
    run = Running(both, both.network, kept)

    def shown() -> int:
        return run.live.report().sinks["kept"].latency.count

    both.settled = lambda: shown() == both.network.finished < 20  # and then it stands still
    run.until(lambda: shown() == 20)
    report = run.live.report()
    both.over.set()
    run.end()
    assert kept.numbers[:20] == [7 * count // 2 for count in range(20)]
    waited = [tick % 2 for tick in range(0, 7 * 20, 7)]  # since the last frame came, when the network was free
    assert report.latency.max_ms == pytest.approx(1e3 * 8 / 20)
    assert report.latency.p50_ms == pytest.approx(1e3 * (7 + np.percentile(waited, 50, method="lower")) / 20, abs=0.51)
    assert report.sinks["kept"].latency == report.latency
    assert (report.frames, report.matted, report.dropped) == (71, 20, 50)  # and one is in the network


def test_the_run_itself_takes_less_time_than_a_frame_of_the_network() -> None:
    kept, matter = Kept(), SlowMatter(0.3)
    run = Running(NumberedSource(30), matter, kept)
    run.until(lambda: len(kept.matted) > 4)
    run.end()
    latency_s = [came_s - each.captured_s for came_s, each in zip(kept.came_s, kept.matted, strict=True)]
    assert np.median(latency_s) < 2 * np.median(matter.took_s)
    assert np.median(np.diff(kept.came_s)) < 2 * np.median(matter.took_s)  # the network is kept busy


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_every_mask_belongs_to_its_own_frame_in_order_none_twice(slots: int) -> None:
    kept, matter = Kept(), SlowMatter(0.002, slots=3)
    matter.go.clear()
    run = Running(NumberedSource(500), matter, kept, slots=slots)
    run.until(lambda: matter.in_flight == min(slots, 3))
    time.sleep(0.05)  # in which there could be one too many
    matter.go.set()
    run.until(lambda: len(kept.matted) > 20)
    report = run.end()
    assert len(kept.matted) == report.matted
    assert matter.most_in_flight == min(slots, 3)
    numbers = [both_numbers(each.result) for each in kept.matted]
    assert all(frame == alpha == each.number for (frame, alpha), each in zip(numbers, kept.matted, strict=True))
    assert kept.numbers == sorted(set(kept.numbers))


def test_a_recorded_clip_of_a_file_has_pairs_and_the_times_at_which_frames_came(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", [coded(number) for number in range(30)], rate=60, audio=True)
    recorder, kept = Recorder(tmp_path / "out.mp4", "composite"), Kept()
    recorder.keep = kept.keep
    matter = SlowMatter(0.025)
    report = LiveMatter(Clip(clip), matter, [recorder, kept], LiveOptions(backgrounds=[BLACK])).run()
    assert (report.frames, report.matted + report.dropped) == (30, 30)
    assert kept.numbers[-1] == 29
    assert report.seconds >= 29 / 60
    found = [both_numbers(picture) for picture in pictures(tmp_path / "out.mp4")]
    assert len(found) == report.matted == report.sinks[recorder.name].written
    assert all(frame == alpha for frame, alpha in found)
    assert [frame for frame, _ in found] == kept.numbers == sorted(set(kept.numbers))
    came = [each.captured_s - kept.matted[0].captured_s for each in kept.matted]
    assert [float(each) for each in times(tmp_path / "out.mp4")] == pytest.approx(came, abs=1e-4)


def test_over_an_engine(fake_engine: Callable[..., Engine]) -> None:
    engine = fake_engine(fakes.read_tag, color="rgb", stretch="none")
    source = NumberedSource(100, picture=lambda number: fakes.tagged(number % 256)[..., ::-1].copy())
    kept = Kept()
    run = Running(source, engine, kept, slots=2)
    run.until(lambda: len(kept.matted) > 5)
    run.end()
    for each in kept.matted:
        assert (each.result[..., 0] == each.number % 256).all()
        assert (each.result[..., 3] == each.number % 256).all()


@pytest.mark.parametrize("slots", [1, 3])
def test_over_a_video_matter_frames_follow_one_another_and_a_new_scene_does_not(
    fake_engine: Callable[..., Engine], slots: int
) -> None:
    """What is dropped is not there for the matter either: each result is that of the frames that were taken."""
    matter = VideoMatter(fake_engine(restless.predict, size=restless.SIZE, slots=slots, color="rgb", stretch="none"))
    kept = Kept()
    # Frames come by threes at once, the newest of which is matted in any case; two of them come with a new scene.
    frames = NumberedSource(ends=[12, 12, 0], picture=restless.frame)
    source = Patient(frames, lambda number: number % 3 != 1 or kept.numbers[-1:] == [number - 1])
    with pytest.raises(Error, match="is lost"):
        LiveMatter(source, matter, [kept], LiveOptions(slots=slots, reconnect=2)).run()
    scenes = [[each for each in kept.matted if (each.number < 12) == first] for first in (True, False)]
    for scene in scenes:
        assert len(scene) > 3
        wanted = restless.expected(fake_engine, [restless.frame(each.number) for each in scene])
        assert restless.same([each.result for each in scene], wanted)


def test_sinks_that_stand_still_hold_up_nobody_and_then_get_the_newest() -> None:
    slow, queued, quick, matter = Kept(1), Kept(4), Kept(), SlowMatter()
    slow.name, queued.name = "slow", "queued"
    slow.go.clear()
    queued.go.clear()

    def ready(number: int) -> bool:
        return matter.finished >= number and (number != 1 or (slow.busy and queued.busy))

    run = Running(Patient(NumberedSource(ends=[60], live=False), ready), matter, slow, queued, quick)
    run.until(lambda: quick.numbers == list(range(60)))
    slow.go.set()
    queued.go.set()
    report = run.result()
    assert slow.numbers == [0, 59]  # the first was in its hands all the time
    assert queued.numbers == [0, 56, 57, 58, 59]
    assert [(sink.written, sink.dropped) for sink in report.sinks.values()] == [(2, 58), (5, 55), (60, 0)]
    assert [sink.finished for sink in (slow, queued, quick)] == [1, 1, 1]


def test_no_memory_piles_up_where_nothing_is_shown() -> None:
    report = LiveMatter(NumberedSource(0, [150], live=False), SlowMatter(), []).run()
    assert report.frames == 150
    assert report.matted + report.dropped == 150


# ---- what the network's side is told ---------------------------------------------------------------------------------


def test_reset_comes_with_a_reconnect_and_with_nothing_in_flight() -> None:
    matter = SlowMatter(0.01)
    run = Running(NumberedSource(200, [10], live=True), matter, Kept(), slots=3)
    run.until(lambda: len(matter.resets) >= 2)
    assert run.end().reconnects >= 2
    assert 0 < matter.resets[0] < matter.resets[1]
    assert any("is lost" in line for line in run.said)
    assert any("there again" in line for line in run.said)


def test_reset_comes_with_a_loop(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 4, rate=50)
    matter = SlowMatter(alpha=lambda frame: frame[..., 0])
    run = Running(Clip(clip), matter, loop=True)
    run.until(lambda: len(matter.resets) >= 2)
    run.end()


def test_another_size_on_the_way_is_brought_to_the_first_and_said() -> None:
    def picture(number: int) -> Any:
        return np.full((40, 60, 3) if number < 10 else (40, 30, 3), 200, np.uint8)

    matter, kept = SlowMatter(alpha=lambda frame: np.full(frame.shape[:2], 9, np.uint8)), Kept()
    frames = NumberedSource(100, [20], live=False, picture=picture)
    run = Running(Patient(frames, lambda number: number != 10 or kept.matted), matter, kept)
    run.result()
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
    kept = Kept()
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
    with pytest.raises(NetworkError, match=r"submit gave \(32, 320\) float32 for output 'alpha'; expected \(32, 320\)"):
        LiveMatter(NumberedSource(50), matter, [], LiveOptions(output="alpha")).run()


def test_a_network_that_fails_ends_the_run_and_the_recording_is_whole(tmp_path: Path) -> None:
    def alpha(frame: Any) -> Any:
        if read_blocks(frame[:BLOCK, :, 0]) >= 20:
            raise NetworkError("no more")
        return frame[..., 0]

    recorder, matter = Recorder(tmp_path / "o.mov", "cutout"), SlowMatter(alpha=alpha)
    recorder.keep = 20
    with pytest.raises(NetworkError, match="no more"):
        LiveMatter(Patient(NumberedSource(), lambda number: matter.finished >= number), matter, [recorder]).run()
    assert len(pictures(tmp_path / "o.mov")) == 20


# ---- switches --------------------------------------------------------------------------------------------------------


def test_mirror_background_and_alpha_view() -> None:
    matter, kept = SlowMatter(alpha=lambda frame: frame[..., 0]), Kept()
    half = np.zeros((20, 40, 3), np.uint8)
    half[:, :10] = 255
    picture_behind = np.full((10, 20, 3), 7, np.uint8)
    source = NumberedSource(100, picture=lambda _: half)
    run = Running(source, matter, kept, backgrounds=["red", picture_behind, "blur:2"])

    def after(change: Callable[[], None]) -> Matted:
        change()
        number = source.number  # what came before it may be on its way
        run.until(lambda: kept.matted and kept.matted[-1].number > number)
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
    source, kept = NumberedSource(200), Kept()
    run = Running(source, SlowMatter(), kept)
    run.until(lambda: len(kept.matted) > 3)
    run.live.toggle_pause()
    begin = source.number
    run.until(lambda: source.number > begin + 1)  # the one that was being read has been dealt with
    dropped = run.live.report().dropped
    run.until(lambda: source.number > begin + 20)
    assert run.live.report().dropped == dropped
    assert run.live.status().notes == ("paused",)
    end = source.number
    run.live.toggle_pause()
    run.until(lambda: kept.matted[-1].number >= end)
    run.end()
    assert [number for number in kept.numbers if begin <= number < end - 1] == []


def test_recordings_are_started_and_stopped_and_numbered(tmp_path: Path) -> None:
    first = Recorder(tmp_path / "a.mkv", "cutout")
    run = Running(NumberedSource(50), SlowMatter(), first, Kept())
    run.until(lambda: run.live.report().sinks[first.name].written > 5)
    assert run.live.status().notes == (f"recording {tmp_path / 'a.mkv'}",)
    run.live.toggle_recording()
    run.live.toggle_recording()
    second = str(tmp_path / "a_2.mkv")
    run.until(lambda: run.live.report().sinks[second].written > 5)
    run.until(lambda: (tmp_path / "a.mkv").exists())
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
    run.until(lambda: kept.matted)
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
    run = Running(NumberedSource(200), SlowMatter(), kept, failing)
    run.until(lambda: run.live.report().errors)
    time.sleep(0.25)  # in which the run could end
    count = len(kept.matted)
    run.until(lambda: len(kept.matted) > count + 10)
    report = run.end()
    assert report.errors == ["failing: the disk is full"]
    assert failing.finished == 1
    assert report.sinks["failing"].written == 3


@pytest.mark.parametrize("error", [GoneError(), Error("the disk is full")])
def test_with_the_last_sink_the_run_ends(error: Exception) -> None:
    report = Running(NumberedSource(200), SlowMatter(), Failing(error, 3)).result()
    assert report.errors == ([] if isinstance(error, GoneError) else ["failing: the disk is full"])


def test_a_mistake_in_a_sink_is_not_hidden() -> None:
    failing = Failing(ZeroDivisionError(), 3)
    run = Running(NumberedSource(200), SlowMatter(), failing, Kept())
    run.until(lambda: failing.left < 0)
    with pytest.raises(ZeroDivisionError):
        run.end()


@pytest.mark.skipif(os.name == "nt", reason="signals of processes are others there")
def test_ctrl_c_finishes_the_recording(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.mov", "cutout")
    live = LiveMatter(NumberedSource(50), SlowMatter(), [recorder])

    def interrupt() -> None:
        until(lambda: live.report().sinks and live.report().sinks[recorder.name].written > 5)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        live.run(seconds=2 * TIMEOUT_S)
    thread.join()
    assert len(pictures(tmp_path / "a.mov")) == live.report().sinks[recorder.name].written > 5
    assert [each.name for each in tmp_path.iterdir()] == ["a.mov"]


def test_a_stream_that_is_lost_for_good_ends_with_a_whole_recording(tmp_path: Path) -> None:
    recorder, matter = Recorder(tmp_path / "a.mov", "cutout"), SlowMatter()
    source = Patient(NumberedSource(ends=[15], absent=99), lambda number: matter.finished >= number)
    with pytest.raises(Error, match="a fake camera is lost after 2 tries: nobody there"):
        LiveMatter(source, matter, [recorder], LiveOptions(reconnect=2)).run()
    assert len(pictures(tmp_path / "a.mov")) == 15


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


def test_a_video_behind_goes_on_while_it_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    behind = make_clip(tmp_path / "b.mp4", [np.full((48, 64, 3), 16 + 8 * n, np.uint8) for n in range(25)], rate=32)
    matter = SlowMatter(alpha=lambda frame: np.zeros(frame.shape[:2], np.uint8))
    kept = Kept()

    def seconds() -> float:  # 1/64 s a frame, and a pause before the tenth
        return 1000 + len(matter.submitted) / 64 + 60 * (len(matter.submitted) >= 10)

    monkeypatch.setattr("rmbg_trt.live.scenery.time", SimpleNamespace(monotonic=seconds))
    run = Running(NumberedSource(500, picture=lambda _: smooth()), matter, kept, backgrounds=[behind])
    run.until(lambda: len(kept.matted) >= 60)
    run.end()
    shades = [int(each.result[20, 30, 0]) for each in kept.matted]
    # Through the pause it goes on by half a second, which is 16 of its frames; and after its last it begins again.
    shown = [n // 2 if n < 10 else (9 + 32 + n - 10) // 2 % 25 for n in range(60)]
    assert np.abs(np.subtract(shades[:60], [16 + 8 * n for n in shown])).max() <= 2
