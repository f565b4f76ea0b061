# SPDX-License-Identifier: Apache-2.0
"""The time code of a clip, moved to the beginning of a part.

Source: SMPTE ST 12-1 for time codes that skip numbers (drop-frame), so that they keep up with the clock at 29.97 fps.
"""

from __future__ import annotations

import re
from fractions import Fraction

_FORM = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d+)")


def moved(timecode: str, seconds: Fraction, rate: Fraction) -> str | None:
    """Returns the time code ``seconds`` later, at ``rate`` frames per second; None if it is not one for that rate."""
    match = _FORM.fullmatch(timecode.strip())
    per_second = round(rate)
    if match is None or per_second < 1 or int(match[5]) >= per_second:
        return None
    hours, minutes, whole_seconds, frames = (int(match[group]) for group in (1, 2, 3, 5))
    drops = match[4] != ":"
    if drops and per_second % 30:
        return None
    skipped = per_second // 15 if drops else 0  # numbers that each minute lacks, except each tenth
    total_minutes = 60 * hours + minutes
    count = (60 * total_minutes + whole_seconds) * per_second + frames
    count -= skipped * (total_minutes - total_minutes // 10)
    count += round(seconds * rate)
    if skipped:
        in_minute, in_ten = 60 * per_second - skipped, 600 * per_second - 9 * skipped
        tens, rest = divmod(count, in_ten)
        count += skipped * (9 * tens + max(0, (rest - skipped) // in_minute))
    count %= 24 * 3600 * per_second
    whole, frames = divmod(count, per_second)
    clock = f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{clock}{match[4]}{frames:0{len(match[5])}d}"
