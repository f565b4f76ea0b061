# SPDX-License-Identifier: Apache-2.0
"""Ratios where slow contenders took part in fewer rounds than the others."""

from __future__ import annotations

from collections.abc import Mapping

from _timing import ratio


def times_as_fast(times: Mapping[str, list[float]], rival: str, ours: str) -> dict[str, float]:
    """Spread of the rival's time over ours within each round that both took part in."""
    rounds = min(len(times[rival]), len(times[ours]))
    return ratio({name: times[name][:rounds] for name in (rival, ours)}, rival, ours)
