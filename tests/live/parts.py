# SPDX-License-Identifier: Apache-2.0
"""A source, a network and a sink whose behaviour is known. Each frame and its alpha contain the frame's number.

The upper half of a frame holds the number as white blocks on black. The network reads it there and writes it into the
lower half of the alpha, whose upper half is opaque; so a cutout, and a composite over black, contain it twice.

No test depends on speed: tests wait for what a run does (`until`), and where it matters which frame comes when, the
source waits for the network (`GatedSource`) or both follow a clock that the test moves.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmbg_trt import FrameOptions
from rmbg_trt.errors import Error
from rmbg_trt.live import LiveMatter, LiveOptions, LiveReport, MattedFrame, Sink, StreamInfo

Array = NDArray[np.uint8]
TIMEOUT_S = 60.0  # for what takes a moment; only a program that hangs takes that long
BLOCK, BITS = 16, 20
HEIGHT, WIDTH = 2 * BLOCK, BITS * BLOCK


def blocks(number: int) -> Array:
    """(BLOCK, WIDTH) of 0 and 255."""
    bits = [255 * (number >> bit & 1) for bit in range(BITS)]
    return np.tile(np.repeat(np.array(bits, np.uint8), BLOCK), (BLOCK, 1))


def read_blocks(row: Array) -> int:
    """The number in (BLOCK, WIDTH), from the middle of each block."""
    return sum(int(row[BLOCK // 2, BLOCK * bit + BLOCK // 2] > 127) << bit for bit in range(BITS))


def coded(number: int) -> Array:
    """A frame (HEIGHT, WIDTH, 3)."""
    frame = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    frame[:BLOCK] = blocks(number)[..., None]
    return frame


def coded_alpha(frame: Array) -> Array:
    alpha = np.full(frame.shape[:2], 255, np.uint8)
    alpha[BLOCK:] = blocks(read_blocks(frame[:BLOCK, :, 0]))
    return alpha


def both_numbers(result: Array) -> tuple[int, int]:
    """The number in the frame's part and in the alpha's part of a cutout, or of a composite over black."""
    return read_blocks(result[:BLOCK, :, 0]), read_blocks(result[BLOCK:, :, -1])


class NumberedSource:
    """Delivers coded frames at a rate, and ends or is lost on request.

    Args:
        rate: Frames per second; 0 is as fast as possible.
        ends: After how many frames it ends, for each time that it is opened; the last value holds for all that follow.
        absent: How many times `open` fails, counted from the first loss.
    """

    name = "a fake camera"

    def __init__(
        self,
        rate: float = 0.0,
        ends: Iterable[int] = (1 << 30,),
        *,
        live: bool = True,
        absent: int = 0,
        make_frame: Callable[[int], Array] = coded,
    ) -> None:
        self.live = live
        self.number = 0
        self.opened = self.closed = 0
        self._rate, self._ends, self._absent, self._make_frame = rate, list(ends), absent, make_frame
        self._left = 0

    @property
    def rate(self) -> float:
        return self._rate or 30.0

    def open(self) -> None:
        if self.opened and self._absent:
            self._absent -= 1
            raise Error("nobody there")
        self.opened += 1
        self._left = self._ends.pop(0) if len(self._ends) > 1 else self._ends[0]
        self._next_s = time.monotonic()

    def read(self, stop: threading.Event) -> Callable[[], Array] | None:
        if self._left == 0:
            return None
        self._left -= 1
        if self._rate:
            self._next_s += 1 / self._rate
            stop.wait(max(0.0, self._next_s - time.monotonic()))
        else:
            time.sleep(0.001)
        number, self.number = self.number, self.number + 1
        return lambda: self._make_frame(number)

    def close(self) -> None:
        self.closed += 1


class GatedSource:
    """A source whose next frame comes only when ``ready(number)`` is true, where number is how many came before.

    With ``lambda number: matter.finished >= number`` the network has finished all of them, so no frame is dropped,
    however slow the machine is.
    """

    def __init__(self, source: Any, ready: Callable[[int], Any]) -> None:
        self._source, self._ready, self._count = source, ready, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def read(self, stop: threading.Event) -> Any:
        until(lambda: stop.is_set() or self._ready(self._count))
        read_pixels = self._source.read(stop)
        self._count += read_pixels is not None
        return read_pixels


class FakeTicket:
    def __init__(self) -> None:
        self.there = threading.Event()
        self.value: Any = None

    def result(self) -> Any:
        assert self.there.wait(TIMEOUT_S)
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class SlowMatter:
    """A network that takes a while for each frame, one after the other, in a thread of its own, as a device does.

    It stops while ``go`` is not set.
    """

    def __init__(self, seconds: float = 0.0, slots: int = 4, alpha: Callable[[Array], Array] = coded_alpha) -> None:
        self.info = SimpleNamespace(slots=slots)
        self.resets: list[int] = []
        self.submitted: list[tuple[str, Any]] = []
        self.most_in_flight = self.in_flight = self.finished = 0
        self.go = threading.Event()
        self.go.set()
        self.durations_s: list[float] = []
        self._lock = threading.Lock()
        self._seconds, self._alpha = seconds, alpha
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def submit(self, frame: Array, *, options: FrameOptions) -> FakeTicket:
        assert frame.dtype == np.uint8
        assert frame.flags["C_CONTIGUOUS"] or frame.strides[1:] == (3, 1)
        ticket = FakeTicket()
        self.submitted.append((options.output, options.background))
        with self._lock:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self._jobs.put((frame, options, ticket))
        return ticket

    def reset(self) -> None:
        assert self.in_flight == 0, "reset while a frame is in flight"
        self.resets.append(self.finished)

    def _work(self) -> None:
        while True:
            frame, options, ticket = self._jobs.get()
            begin = time.monotonic()
            time.sleep(self._seconds)
            assert self.go.wait(TIMEOUT_S)
            with self._lock:
                self.in_flight -= 1
            try:
                ticket.value = self._result(frame, options.output, options.background)
            except Exception as error:
                ticket.value = error
            self.finished += 1
            self.durations_s.append(time.monotonic() - begin)
            ticket.there.set()

    def _result(self, frame: Array, output: str, background: Any) -> Array:
        alpha = self._alpha(frame)
        if output == "alpha":
            return alpha
        if output == "cutout":
            return np.dstack([frame, alpha])
        share = alpha[..., None] / 255
        back = np.broadcast_to(np.asarray(background, float), frame.shape)
        return np.asarray(np.rint(frame * share + back * (1 - share)), np.uint8)


class CollectingSink(Sink):
    """Collects results. While ``go`` is not set, its ``write`` blocks.

    Args:
        queue_length: Results that may wait for it; by default all, so that none is dropped.
    """

    name = "kept"
    finish_timeout_s = TIMEOUT_S

    def __init__(self, queue_length: int = 1 << 20) -> None:
        self.queue_length = queue_length
        self.matted: list[MattedFrame] = []
        self.came_s: list[float] = []
        self.info: StreamInfo | None = None
        self.busy = False
        self.finished = 0
        self.go = threading.Event()
        self.go.set()

    def start(self, info: StreamInfo) -> None:
        self.info = info

    def write(self, matted: MattedFrame) -> None:
        self.busy = True
        assert self.go.wait(TIMEOUT_S)
        self.busy = False
        self.matted.append(matted)
        self.came_s.append(time.monotonic())

    def finish(self) -> None:
        self.finished += 1

    @property
    def numbers(self) -> list[int]:
        return [frame.number for frame in self.matted]


class LiveRun:
    """A run in a thread of its own, which the test controls.

    Attributes:
        live: The run.
        messages: Its messages.
    """

    def __init__(self, source: Any, matter: Any, *sinks: Sink, recording: Path | None = None, **options: Any) -> None:
        self.messages: list[str] = []
        self.live = LiveMatter(
            source, matter, sinks, LiveOptions(**options), recording=recording, on_message=self.messages.append
        )
        self._report: LiveReport | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        until(lambda: len(self.live.report().sinks) == len(sinks))

    def _run(self) -> None:
        try:
            self._report = self.live.run()
        except BaseException as error:
            self._error = error

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait for something that the run does."""
        until(lambda: condition() or not self._thread.is_alive())
        assert condition(), f"the run ended before: {self._error or self._report}"

    def end(self) -> LiveReport:
        """Stop it. Raises what it raised."""
        self.live.stop()
        return self.result()

    def result(self) -> LiveReport:
        """Wait until it ends by itself. Raises what it raised."""
        self._thread.join(TIMEOUT_S)
        if self._error is not None:
            raise self._error
        assert self._report is not None, "it does not end"
        return self._report


def our_threads() -> Iterator[str]:
    return (thread.name for thread in threading.enumerate() if thread.name.startswith("rmbg-"))


def until(condition: Callable[[], Any]) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)
