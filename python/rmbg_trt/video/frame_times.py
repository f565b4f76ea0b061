# SPDX-License-Identifier: Apache-2.0
"""When frames are shown, in whole ticks so that nothing is rounded; conversion to a constant frame rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

from ..errors import InputError

Frame = TypeVar("Frame")


@dataclass(frozen=True)
class Timed(Generic[Frame]):
    """A frame and when it is shown.

    Attributes:
        frame: Of any type.
        pts: Presentation timestamp in ticks of the stream's time base.
        duration: How long, in ticks; 0 if the file does not tell.
        count: How often it is shown in a row, each time for ``duration``.
    """

    frame: Frame
    pts: int
    duration: int
    count: int = 1


class FrameTimes:
    """Gives each decoded frame a time later than that of the frame before: its own, if possible.

    A frame without a time follows its predecessor at the usual distance. A frame whose time is not later than its
    predecessor's (a clock that jumps back) follows one tick after it. ``repaired`` counts both.

    Args:
        usual: Usual distance of two frames, in ticks.
    """

    def __init__(self, usual: int) -> None:
        self.repaired = 0
        self._usual = max(1, usual)
        self._last: int | None = None
        self._step = self._usual

    def next(self, pts: int | None, duration: int) -> int:
        """Returns the time of the next frame, in ticks."""
        time = pts
        if time is None:
            time = 0 if self._last is None else self._last + self._step
        if self._last is not None and time <= self._last:
            time = self._last + 1
        self.repaired += time != pts
        self._last, self._step = time, duration or self._usual
        return time


def at_rate(frames: Iterable[Timed[Frame]], time_base: Fraction, rate: Fraction) -> Iterator[Timed[Frame]]:
    """Converts frames to a constant rate: at each tick of the rate, the frame that is shown then.

    Args:
        frames: In order, in ticks of ``time_base``.
        time_base: Seconds per tick.
        rate: Frames per second.

    Yields:
        The frames that are shown at some tick, in ticks of 1 / ``rate``. The first is moved to the tick at or before
        its time; ``count`` says for how many ticks a frame is shown.
    """

    def tick(time: int) -> Fraction:
        return time * time_base * rate

    last: Timed[Frame] | None = None
    position, shown = 0, False
    for frame in frames:
        if last is None:
            position = math.floor(tick(frame.pts))
        else:
            end = math.ceil(tick(frame.pts))
            if end > position:
                yield Timed(last.frame, position, 1, end - position)
                position, shown = end, True
        last = frame
    if last is not None:
        end = math.ceil(tick(last.pts + last.duration)) if last.duration else position + 1
        if end > position or not shown:
            yield Timed(last.frame, position, 1, max(1, end - position))


def exact(value: Fraction | float | None) -> Fraction | None:
    """The number as it was written: 0.1 is a tenth. None stays None."""
    return None if value is None else value if isinstance(value, Fraction) else Fraction(str(value))


def parse_seconds(text: str, option: str) -> Fraction:
    """Parses "12.5", "1:02.5" or "1:00:02.5" as seconds.

    Raises:
        InputError: It is not a time; the message names ``option``.
    """
    parts = text.strip().split(":")
    try:
        numbers = [Fraction(part) for part in parts]
        if len(parts) > 3 or "/" in text or any(number < 0 for number in numbers) or "e" in text.lower():
            raise ValueError
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{option} is {text!r}; expected seconds or [H:]M:S, such as 12.5 or 1:02.5") from None
    return sum((number * 60**place for place, number in enumerate(reversed(numbers))), Fraction(0))


def parse_frame_rate(text: str) -> Fraction:
    """Parses "25", "29.97" or "30000/1001" as frames per second; rounded NTSC rates become exact.

    Raises:
        InputError: It is not a rate above 0 and up to 1000.
    """
    try:
        rate = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise InputError(f"the frame rate is {text!r}; expected frames per second, such as 25, 29.97 or 30000/1001")
    exact = Fraction(1000 * round(rate * 1001 / 1000), 1001)
    is_ntsc = "/" not in text and rate.denominator != 1 and abs(rate - exact) < Fraction(1, 200)
    return exact if is_ntsc else rate
