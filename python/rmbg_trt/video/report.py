# SPDX-License-Identifier: Apache-2.0
"""What is found while a clip is read."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass
class Report:
    """What was found so far.

    Attributes:
        damaged: Frames, or pieces of a stream, that could not be decoded.
        mended: Frames whose time was missing or not after that of the frame before.
        missing_s: Seconds at the end that the file says it has and has not.
        notes: What a user should know about the clip, once each.
    """

    damaged: int = 0
    mended: int = 0
    missing_s: float = 0.0
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Adds a note that is not there yet."""
        if text not in self.notes:
            self.notes.append(text)
            log.info("%s", text)
