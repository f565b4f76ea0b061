# SPDX-License-Identifier: Apache-2.0
"""Claim: in live matting, a frame is never older than two network times when it is shown, however long it runs.

A made clip is played at 30 frames a second, in real time and in a loop, before a network that takes 100 ms a frame (it
sleeps, so that the figure is that of the loop and not of this processor); two sinks take the results, of which one
blocks for half a second each time. With --model a real network takes its place, and its own time is measured first.

Examples:
  python benchmarks/live_latency.py
  python benchmarks/live_latency.py --model u2netp --minutes 1
"""

from __future__ import annotations

import queue
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
from _report import console, parser, save
from rich.table import Table

from rmbg_trt import Engine, FrameOptions
from rmbg_trt.live import Clip, LiveMatter, LiveOptions, MattedFrame, Sink

_PARTS = 10  # of the run, each with a figure of its own


def made_clip(path: Path) -> Path:
    """Ten seconds of moving gradients, 160 x 120, at 30 frames a second."""
    tile = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (120, 2, 3))
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(300):
            image = np.ascontiguousarray(np.roll(tile, -8 * number, 1)[:, :160])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        out.mux(stream.encode(None))
    return path


class Sleeping:
    """A network that takes a fixed time for each frame."""

    def __init__(self, seconds: float) -> None:
        self.info = SimpleNamespace(slots=2)
        self._seconds = seconds
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def submit(self, frame: Any, *, output: str, background: Any) -> Any:
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._jobs.put((frame, answer))
        return SimpleNamespace(result=answer.get)

    def _work(self) -> None:
        while True:
            frame, answer = self._jobs.get()
            time.sleep(self._seconds)
            answer.put(np.zeros(frame.shape[:2], np.uint8))


class Measured(Sink):
    """Notes how old each image is, after a while that stands for showing it."""

    def __init__(self, name: str, seconds: float) -> None:
        self.name, self._seconds = name, seconds
        self.latency_ms: list[float] = []

    def write(self, matted: MattedFrame) -> None:
        time.sleep(self._seconds)
        self.latency_ms.append(1e3 * (time.monotonic() - matted.captured_s))


def network_ms(engine: Engine, size: tuple[int, int]) -> float:
    """The median of the network's own time for a frame, alone."""
    frame = np.zeros((*size, 3), np.uint8)
    times = []
    for _ in range(12):
        begin = time.perf_counter()
        engine.run(frame)
        times.append(1e3 * (time.perf_counter() - begin))
    return float(np.median(times[2:]))


def figures_of(latency_ms: list[float]) -> dict[str, Any]:
    low, high, most = (round(float(each), 1) for each in np.percentile(latency_ms, (50, 95, 100)))
    medians = [round(float(np.median(part)), 1) for part in np.array_split(latency_ms, _PARTS)]
    return {"results": len(latency_ms), "p50_ms": low, "p95_ms": high, "max_ms": most, "p50_of_each_tenth_ms": medians}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--minutes", type=float, default=5.0, help="(default: %(default)s)")
    made.add_argument("--network-ms", type=float, default=100.0, help="of the made network (default: %(default)s)")
    made.add_argument("--model", help="a real network in its place")
    made.add_argument("--slots", type=int, default=1, help="frames in flight (default: %(default)s)")
    options = made.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clip = Clip(made_clip(folder / "made.mp4"))
        matter: Any = Sleeping(options.network_ms / 1e3)
        frame_ms = options.network_ms
        if options.model:
            matter = stack.enter_context(Engine(options.model, color="rgb", stretch="none", slots=options.slots))
            frame_ms = network_ms(matter, (120, 160))
        quick, blocking = Measured("quick", 0.0), Measured("blocking", 0.5)
        live_options = LiveOptions(FrameOptions(output="alpha"), loop=True, slots=options.slots)
        report = LiveMatter(clip, matter, [quick, blocking], live_options).run(seconds=60 * options.minutes)
    figures = {
        "network_ms": round(frame_ms, 1),
        "frames": report.frames,
        "matted": report.matted,
        "dropped_as_stale": report.dropped,
        "latency": figures_of(quick.latency_ms),
        "latency_of_the_sink_that_blocks": figures_of(blocking.latency_ms),
        "p95_in_frames_of_the_network": round(float(np.percentile(quick.latency_ms, 95)) / frame_ms, 2),
    }
    table = Table(title="live latency", title_justify="left", show_header=False)
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), str(value))
    console.print(table)
    save("live_latency", options, figures)


if __name__ == "__main__":
    main()
