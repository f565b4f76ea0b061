# SPDX-License-Identifier: Apache-2.0
"""When frames are shown: whole numbers of ticks, so that nothing is rounded; and a constant frame rate on request."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

from ..errors import InputError

Picture = TypeVar("Picture")


@dataclass(frozen=True)
class Timed(Generic[Picture]):
    """A picture and when it is shown.

    Attributes:
        picture: Of any kind.
        pts: When, in ticks of the stream's time base.
        duration: How long, in ticks; 0 if the file does not say.
        count: How often it is shown in a row, each time for ``duration``.
    """

    picture: Picture
    pts: int
    duration: int
    count: int = 1


class FrameTimes:
    """Gives each decoded frame its time: its own, as long as that can be.

    A frame without a time follows its predecessor at the usual distance; one that does not come after its
    predecessor (clocks that jump back) is put a tick after it. ``mended`` counts both.
    """

    def __init__(self, usual: int) -> None:
        self.mended = 0
        self._usual = max(1, usual)
        self._last: int | None = None
        self._step = self._usual

    def time_of(self, pts: int | None, duration: int) -> int:
        """The time of the next frame, in ticks, later than that of all frames before it."""
        mended = pts
        if mended is None:
            mended = 0 if self._last is None else self._last + self._step
        if self._last is not None and mended <= self._last:
            mended = self._last + 1
        self.mended += mended != pts
        self._last, self._step = mended, duration or self._usual
        return mended


def at_rate(frames: Iterable[Timed[Picture]], time_base: Fraction, rate: Fraction) -> Iterator[Timed[Picture]]:
    """Brings frames to a constant rate: at each tick of it the frame that is being shown then.

    Args:
        frames: In order, in ticks of ``time_base`` seconds.
        time_base: Seconds.
        rate: Frames a second.

    Yields:
        Those frames that are shown at some tick, in ticks of 1 / ``rate``. The first is put on the tick at or before
        its time; a frame is repeated (``count``) while nothing follows.
    """

    def tick(time: int) -> Fraction:
        return time * time_base * rate

    last: Timed[Picture] | None = None
    position, shown = 0, False
    for frame in frames:
        if last is None:
            position = math.floor(tick(frame.pts))
        else:
            end = math.ceil(tick(frame.pts))
            if end > position:
                yield Timed(last.picture, position, 1, end - position)
                position, shown = end, True
        last = frame
    if last is not None:
        end = math.ceil(tick(last.pts + last.duration)) if last.duration else position + 1
        if end > position or not shown:
            yield Timed(last.picture, position, 1, max(1, end - position))


def seconds(text: str, what: str) -> Fraction:
    """Reads "12.5", "1:02.5" or "1:00:02.5" as seconds.

    Raises:
        InputError: It is no time; ``what`` says which option it was for.
    """
    parts = text.strip().split(":")
    try:
        numbers = [Fraction(part) for part in parts]
        if len(parts) > 3 or "/" in text or any(number < 0 for number in numbers) or "e" in text.lower():
            raise ValueError
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{what} is {text!r}; expected seconds or [H:]M:S, as 12.5 or 1:02.5") from None
    return sum((number * 60**place for place, number in enumerate(reversed(numbers))), Fraction(0))


def frame_rate(text: str) -> Fraction:
    """Reads "25", "29.97", "23.976" or "30000/1001" as frames a second; the usual shortened ones become exact.

    Raises:
        InputError: It is no rate from 0 (without) to 1000.
    """
    try:
        rate = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise InputError(f"the frame rate is {text!r}; expected frames a second, as 25, 29.97 or 30000/1001")
    exact = Fraction(1000 * round(rate * 1001 / 1000), 1001)
    is_ntsc = "/" not in text and rate.denominator != 1 and abs(rate - exact) < Fraction(1, 200)
    return exact if is_ntsc else rate
