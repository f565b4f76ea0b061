# SPDX-License-Identifier: Apache-2.0
"""What a live run did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .latency import Spread


@dataclass(frozen=True)
class SinkReport:
    """What became of the results in one sink.

    Attributes:
        written: Results that it took.
        dropped: Results that fell because it was too slow.
        latency: From a frame's arrival until it was shown or written.
        error: What went wrong; "" if nothing did.
    """

    written: int
    dropped: int
    latency: Spread
    error: str = ""


@dataclass(frozen=True)
class LiveReport:
    """What a run did so far.

    Attributes:
        seconds: That it took.
        frames: That the source gave.
        matted: That the network worked on.
        dropped: That were stale before the network was free. (What ``fps`` or a pause left out is not among them.)
        reconnects: How often a lost source was found again.
        latency: From a frame's arrival until its result was there.
        sinks: By their names; recordings by their files.
    """

    seconds: float
    frames: int
    matted: int
    dropped: int
    reconnects: int
    latency: Spread
    sinks: Mapping[str, SinkReport] = field(default_factory=dict)

    @property
    def errors(self) -> list[str]:
        """What went wrong in sinks, while the rest went on."""
        return [f"{name}: {sink.error}" for name, sink in self.sinks.items() if sink.error]
