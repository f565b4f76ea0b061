# SPDX-License-Identifier: Apache-2.0
"""Sources, networks and sinks whose behaviour is known. A frame and its alpha each say the frame's number in blocks.

The upper half of a frame holds the number, white on black. The network reads it there and writes it into the lower
half of the alpha, whose upper half is opaque; so a cutout, and a composite over black, say it twice.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmbg_trt.errors import Error
from rmbg_trt.live import Matted, Show, Sink

Array = NDArray[np.uint8]
BLOCK, BITS = 16, 12
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
    """Gives coded frames at a rate, and loses them, or itself, on request.

    Args:
        rate: Frames a second; 0 is as fast as it can.
        ends: After how many frames it ends, once for each time that it is opened; the last holds for all that follow.
        absent: How often `open` fails, for each time after the first loss.
    """

    name = "a fake camera"

    def __init__(
        self,
        rate: float = 0.0,
        ends: Iterable[int] = (1 << 30,),
        *,
        live: bool = True,
        absent: int = 0,
        picture: Callable[[int], Array] = coded,
    ) -> None:
        self.live = live
        self.number = 0
        self.opened = self.closed = 0
        self._rate, self._ends, self._absent, self._picture = rate, list(ends), absent, picture
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
        return lambda: self._picture(number)

    def close(self) -> None:
        self.closed += 1


class Answer:
    def __init__(self) -> None:
        self.there = threading.Event()
        self.value: Any = None

    def result(self) -> Any:
        assert self.there.wait(20)
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class SlowMatter:
    """A network that takes a while for each frame, one after the other, in a thread of its own, as a device does."""

    def __init__(self, seconds: float = 0.0, slots: int = 4, alpha: Callable[[Array], Array] = coded_alpha) -> None:
        self.info = SimpleNamespace(slots=slots)
        self.resets: list[int] = []
        self.submitted: list[tuple[str, Any]] = []
        self.most_in_flight = self._in_flight = self.finished = 0
        self._seconds, self._alpha = seconds, alpha
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def submit(self, frame: Array, *, output: str, background: Any) -> Answer:
        assert frame.dtype == np.uint8
        assert frame.flags["C_CONTIGUOUS"] or frame.strides[1:] == (3, 1)
        answer = Answer()
        self.submitted.append((output, background))
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        self._jobs.put((frame, output, background, answer))
        return answer

    def reset(self) -> None:
        assert self._in_flight == 0, "reset while a frame is in flight"
        self.resets.append(self.finished)

    def _work(self) -> None:
        while True:
            frame, output, background, answer = self._jobs.get()
            time.sleep(self._seconds)
            self._in_flight -= 1
            self.finished += 1
            try:
                answer.value = self._made(frame, output, background)
            except Exception as error:
                answer.value = error
            answer.there.set()

    def _made(self, frame: Array, output: str, background: Any) -> Array:
        alpha = self._alpha(frame)
        if output == "alpha":
            return alpha
        if output == "cutout":
            return np.dstack([frame, alpha])
        share = alpha[..., None] / 255
        back = np.broadcast_to(np.asarray(background, float), frame.shape)
        return np.asarray(np.rint(frame * share + back * (1 - share)), np.uint8)


class Kept(Sink):
    """Keeps what it gets, and when; takes its time for each."""

    name = "kept"

    def __init__(self, seconds: float = 0.0, keep: int = 1) -> None:
        self.keep = keep
        self.matted: list[Matted] = []
        self.latency_ms: list[float] = []
        self.show: Show | None = None
        self.finished = 0
        self._seconds = seconds

    def start(self, show: Show) -> None:
        self.show = show

    def write(self, matted: Matted) -> None:
        time.sleep(self._seconds)
        self.matted.append(matted)
        self.latency_ms.append(1e3 * (time.monotonic() - matted.captured_s))

    def finish(self) -> None:
        self.finished += 1

    @property
    def numbers(self) -> list[int]:
        return [each.number for each in self.matted]


def our_threads() -> Iterator[str]:
    return (thread.name for thread in threading.enumerate() if thread.name.startswith("rmbg-"))


def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Waits for something that another thread does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
