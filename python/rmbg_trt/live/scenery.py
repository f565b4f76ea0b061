# SPDX-License-Identifier: Apache-2.0
"""The backgrounds to choose from, each scaled when it is needed; a video among them goes on while it is shown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from ..video.background import BackgroundSource, read_background

_LONGEST_STEP_S = 0.5  # after a pause a video goes on from where it was


class Scenery:
    """Backgrounds in a row. One thread at a time.

    Args:
        given: As in `LiveOptions.backgrounds`.

    Raises:
        InputError: One of them is no background.
    """

    def __init__(self, given: Sequence[Any]) -> None:
        self._given = [read_background(each) for each in given]
        self._shown: tuple[int, tuple[int, int]] | None = None
        self._behind: BackgroundSource | None = None
        self._clock_s, self._last_s = 0.0, 0.0

    def __len__(self) -> int:
        return len(self._given)

    def at(self, which: int, size: tuple[int, int]) -> Any:
        """The background number ``which`` now, for frames of ``size`` (height, width)."""
        if not self._given:
            return None
        which %= len(self._given)
        now = time.monotonic()
        if self._behind is None or self._shown != (which, size):
            self.close()
            self._behind, self._shown = BackgroundSource(self._given[which], size), (which, size)
            self._clock_s, self._last_s = 0.0, now
        self._clock_s += min(now - self._last_s, _LONGEST_STEP_S)
        self._last_s = now
        return self._behind.at(Fraction(self._clock_s))

    def close(self) -> None:
        """Closes a video."""
        if self._behind is not None:
            self._behind.close()
            self._behind = None
