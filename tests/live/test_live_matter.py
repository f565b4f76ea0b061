# SPDX-License-Identifier: Apache-2.0
"""Whole runs over a known source and a known network: latency, recordings, pauses, snapshots and how runs end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.live.parts import (
    BLOCK,
    HEIGHT,
    TIMEOUT_S,
    WIDTH,
    CollectingSink,
    GatedSource,
    LiveRun,
    NumberedSource,
    SlowMatter,
    both_numbers,
    coded,
    coded_alpha,
    read_blocks,
    until,
)
from tests.video.clips import make_clip, pictures, times

from rmbg_trt.errors import Error
from rmbg_trt.live import Clip, LiveMatter, LiveOptions, Recorder

BLACK = (0, 0, 0)


class Clockwork(NumberedSource):
    """A camera and a network with their own clock: a frame takes 2 ticks to arrive and 7 to be matted.

    The clock advances only while the network works, and at each tick waits until the run has handled all frames so far.
    So the figures are exact on every machine.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now, self.available, self.requested = 0, 1, -1
        self.network = SlowMatter(alpha=self.matte)
        self.settled: Callable[[], bool] = lambda: True
        self.over = threading.Event()

    def seconds(self) -> float:
        return self.now / 20

    def read(self, stop: threading.Event) -> Callable[[], Any] | None:
        self.requested = self.number  # so all earlier frames are in the queue
        until(lambda: stop.is_set() or self.number < self.available)
        return super().read(stop)

    def matte(self, frame: Any) -> Any:
        until(lambda: self.over.is_set() or self.settled())
        for _ in range(7):
            self.now += 1
            self.available += self.now % 2 == 0
            until(lambda: self.over.is_set() or self.requested == self.available)
        return coded_alpha(frame)


def test_the_newest_frame_is_matted_and_latency_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    clockwork, kept = Clockwork(), CollectingSink()
    for module in ("capture", "stats"):
        monkeypatch.setattr(f"rmbg_trt.live.{module}.time", SimpleNamespace(monotonic=clockwork.seconds))
    run = LiveRun(clockwork, clockwork.network, kept)

    def shown() -> int:
        return run.live.report().sinks["kept"].latency.count

    clockwork.settled = lambda: shown() == clockwork.network.finished < 20  # and then it stops
    run.until(lambda: shown() == 20)
    report = run.live.report()
    clockwork.over.set()
    run.end()
    assert kept.numbers[:20] == [7 * count // 2 for count in range(20)]
    waited = [tick % 2 for tick in range(0, 7 * 20, 7)]  # age of the newest frame whenever the network is free
    assert report.latency.max_ms == pytest.approx(1e3 * 8 / 20)
    assert report.latency.p50_ms == pytest.approx(1e3 * (7 + np.percentile(waited, 50, method="lower")) / 20, abs=0.51)
    assert report.sinks["kept"].latency == report.latency
    assert (report.frames, report.matted, report.dropped) == (71, 20, 50)  # one is in the network


@pytest.mark.slow
def test_the_overhead_is_less_than_one_frame_of_the_network() -> None:
    kept, matter = CollectingSink(), SlowMatter(0.3)
    run = LiveRun(NumberedSource(30), matter, kept)
    run.until(lambda: len(kept.matted) > 4)
    run.end()
    latency_s = [came_s - each.captured_s for came_s, each in zip(kept.came_s, kept.matted, strict=True)]
    assert np.median(latency_s) < 2 * np.median(matter.durations_s)
    assert np.median(np.diff(kept.came_s)) < 2 * np.median(matter.durations_s)  # the network is kept busy


def test_a_recording_keeps_pairs_and_capture_times(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", [coded(number) for number in range(30)], rate=60, audio=True)
    recorder, kept = Recorder(tmp_path / "out.mp4", "composite"), CollectingSink()
    recorder.queue_length = kept.queue_length
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


def test_a_run_without_sinks() -> None:
    report = LiveMatter(NumberedSource(0, [150], live=False), SlowMatter(), []).run()
    assert report.frames == 150
    assert report.matted + report.dropped == 150


# ---- controls --------------------------------------------------------------------------------------------------------


def test_a_pause_stops_results_and_does_not_count_as_drops() -> None:
    source, kept = NumberedSource(200), CollectingSink()
    run = LiveRun(source, SlowMatter(), kept)
    run.until(lambda: len(kept.matted) > 3)
    run.live.toggle_pause()
    begin = source.number
    run.until(lambda: source.number > begin + 1)  # the one that was being read has been handled
    dropped = run.live.report().dropped
    run.until(lambda: source.number > begin + 20)
    assert run.live.report().dropped == dropped
    assert run.live.status().notes == ("paused",)
    end = source.number
    run.live.toggle_pause()
    run.until(lambda: kept.matted[-1].number >= end)
    run.end()
    assert [number for number in kept.numbers if begin <= number < end - 1] == []


def test_recordings_are_started_stopped_and_numbered(tmp_path: Path) -> None:
    first = Recorder(tmp_path / "a.mkv", "cutout")
    run = LiveRun(NumberedSource(50), SlowMatter(), first, CollectingSink())
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


def test_a_recording_without_frames_leaves_no_file(tmp_path: Path) -> None:
    run = LiveRun(NumberedSource(50), SlowMatter(), Recorder(tmp_path / "a.mkv", "cutout"))
    run.live.toggle_pause()
    run.end()
    assert not [each for each in tmp_path.iterdir() if each.suffix == ".mkv" and each.stat().st_size == 0]


def test_snapshots(tmp_path: Path) -> None:
    kept = CollectingSink()
    run = LiveRun(NumberedSource(50), SlowMatter(), kept, snapshots=tmp_path / "shots")
    run.until(lambda: kept.matted)
    run.live.snapshot()
    run.live.snapshot()
    run.end()
    files = sorted((tmp_path / "shots").iterdir())
    assert len(files) == 2
    with Image.open(files[0]) as image:
        assert (image.mode, image.size) == ("RGBA", (WIDTH, HEIGHT))
        pixels = np.asarray(image)
    assert read_blocks(pixels[:BLOCK, :, 0]) == read_blocks(pixels[BLOCK:, :, 3])
    assert run.messages[0].startswith("saved ")


# ---- how runs end ----------------------------------------------------------------------------------------------------


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


def test_a_stream_lost_for_good_leaves_a_complete_recording(tmp_path: Path) -> None:
    recorder, matter = Recorder(tmp_path / "a.mov", "cutout"), SlowMatter()
    source = GatedSource(NumberedSource(ends=[15], absent=99), lambda number: matter.finished >= number)
    with pytest.raises(Error, match="a fake camera is lost after 2 tries: nobody there"):
        LiveMatter(source, matter, [recorder], LiveOptions(reconnect=2)).run()
    assert len(pictures(tmp_path / "a.mov")) == 15
