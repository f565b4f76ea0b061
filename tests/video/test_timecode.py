# SPDX-License-Identifier: Apache-2.0
"""Time codes moved by seconds, against a count of frames one by one."""

from __future__ import annotations

from fractions import Fraction

import pytest

from rmbg_trt.video.timecode import moved

NTSC, DOUBLE = Fraction(30000, 1001), Fraction(60000, 1001)


def counted(frames: int, per_second: int, skipped: int, mark: str) -> str:
    """The time code after so many frames from 0, by counting: each minute but each tenth skips its first numbers."""
    hours = minutes = seconds = frame = 0
    for _ in range(frames):
        frame += 1
        if frame == per_second:
            seconds, frame = seconds + 1, 0
        if seconds == 60:
            minutes, seconds = minutes + 1, 0
            frame = skipped if minutes % 10 else 0
        if minutes == 60:
            hours, minutes = hours + 1, 0
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{mark}{frame:02d}"


@pytest.mark.parametrize(("rate", "skipped", "mark"), [(Fraction(25), 0, ":"), (NTSC, 2, ";"), (DOUBLE, 4, ";")])
@pytest.mark.parametrize(
    "frames", [0, 1, 1798, 1799, 1800, 3596, 3597, 17981, 17982, 17983, 19780, 19781, 36000, 107892]
)
def test_moved(rate: Fraction, skipped: int, mark: str, frames: int) -> None:
    first = f"00:00:00{mark}00"
    expected = counted(frames, round(rate), skipped, mark)
    assert moved(first, frames / rate, rate) == expected
    assert moved(expected, 1001 / rate, rate) == counted(frames + 1001, round(rate), skipped, mark)


def test_after_midnight_and_what_is_no_time_code() -> None:
    assert moved("23:59:59:24", Fraction(1, 25), Fraction(25)) == "00:00:00:00"
    assert moved("01:00:00:30", Fraction(0), Fraction(25)) is None  # there is no frame 30
    assert moved("01:00:00;10", Fraction(0), Fraction(25)) is None
    assert moved("one o'clock", Fraction(0), Fraction(25)) is None
