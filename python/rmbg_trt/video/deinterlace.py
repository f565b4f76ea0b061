# SPDX-License-Identifier: Apache-2.0
"""Makes interlaced frames progressive with FFmpeg's filter bwdif, one frame for each. Progressive frames pass through.

Source: FFmpeg's documentation of the filter bwdif (the w3fdif and yadif algorithms combined).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import av
import av.filter
from av.video.frame import VideoFrame

from .frame_times import Timed


def deinterlaced(
    frames: Iterator[Timed[VideoFrame]], on_first: Callable[[], None] = lambda: None
) -> Iterator[Timed[VideoFrame]]:
    """Yields the same frames at the same times; interlaced ones are deinterlaced.

    Up to the first interlaced frame nothing is copied or delayed. From there on the filter sees all frames, because it
    needs the ones before and after.

    Args:
        frames: In order.
        on_first: Called at the first interlaced frame.
    """
    bwdif: _Filter | None = None
    for timed in frames:
        frame = timed.frame
        if bwdif is None and not frame.interlaced_frame:
            yield timed
            continue
        if bwdif is None:
            on_first()
        if bwdif is None or not bwdif.fits(frame):
            if bwdif is not None:
                yield from bwdif.push(None)
            bwdif = _Filter(frame)
        yield from bwdif.push(timed)
    if bwdif is not None:
        yield from bwdif.push(None)


class _Filter:
    """A filter graph for frames of one size and format."""

    def __init__(self, frame: VideoFrame) -> None:
        self._kind = frame.width, frame.height, frame.format.name
        self._waiting: deque[Timed[VideoFrame]] = deque()
        self._graph = graph = av.filter.Graph()
        graph.link_nodes(
            graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base),
            graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced"),
            graph.add("buffersink"),
        ).configure()

    def fits(self, frame: VideoFrame) -> bool:
        return self._kind == (frame.width, frame.height, frame.format.name)

    def push(self, timed: Timed[VideoFrame] | None) -> Iterator[Timed[VideoFrame]]:
        """Takes a frame, or None at the end; yields what is ready."""
        if timed is not None:
            self._waiting.append(timed)
        self._graph.vpush(timed.frame if timed is not None else None)
        while self._waiting:
            try:
                frame = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            given = self._waiting.popleft()
            before = given.frame
            frame.colorspace, frame.color_range = before.colorspace, before.color_range
            frame.color_primaries, frame.color_trc = before.color_primaries, before.color_trc
            yield Timed(frame, given.pts, given.duration, given.count)
