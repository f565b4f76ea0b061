# SPDX-License-Identifier: Apache-2.0
"""What a video job tells its caller: progress, what was found while reading the clip, and the result."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        frames: Frames matted so far.
        seconds: Seconds of the clip matted so far.
        total_s: Seconds to do in all; None if the file does not tell.
    """

    frames: int
    seconds: float
    total_s: float | None


@dataclass
class ClipReport:
    """What was found so far while reading a clip.

    Attributes:
        damaged: Frames, or pieces of the stream, that could not be decoded.
        repaired: Frames whose time was missing, or not later than that of the frame before.
        missing_s: Seconds that are missing at the end, compared with the length that the file states.
        broken_off: Why reading ended before the end of the clip; "" if it did not.
        notes: What the user should know about the clip, each once.
    """

    damaged: int = 0
    repaired: int = 0
    missing_s: float = 0.0
    broken_off: str = ""
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Adds a note, unless it is there already."""
        if text not in self.notes:
            self.notes.append(text)
            log.info("%s", text)


@dataclass(frozen=True)
class VideoResult:
    """What a job did.

    Attributes:
        target: The file, or the name pattern of the files.
        frames: Frames written.
        seconds: Time from the first frame to the last, in seconds.
        elapsed_s: Seconds that the job took.
        damaged, repaired, missing_s, broken_off, notes: As in `ClipReport`. Damaged frames are missing from the result.
        dropped: Streams that this file format cannot hold.
        lost: Packets of copied streams that the file did not accept.
    """

    target: Path
    frames: int
    seconds: float
    elapsed_s: float
    damaged: int = 0
    repaired: int = 0
    missing_s: float = 0.0
    broken_off: str = ""
    notes: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    lost: int = 0

    @property
    def complete(self) -> bool:
        """Whether the clip did not end early and at least nine frames in ten could be decoded."""
        return self.missing_s == 0 and not self.broken_off and self.damaged * 10 <= self.frames + self.damaged
