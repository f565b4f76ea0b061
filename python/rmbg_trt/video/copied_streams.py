# SPDX-License-Identifier: Apache-2.0
"""Copies the other streams of a clip beside the new video: sound, subtitles, further videos, cover images, data, fonts.

Each stream that the file format cannot hold is named in ``dropped``.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from typing import Any

import av
from av.packet import Packet
from av.stream import Disposition, Stream

log = logging.getLogger(__name__)

_COPIED_TAGS = ("language", "title", "handler_name", "filename", "mimetype")
_USUAL_LAYOUTS = {"1 channels": "mono", "2 channels": "stereo"}  # of PCM that does not tell, which MP4 must know
_PCM_BYTES = 64 * 8 * 64  # whole samples of up to 64 channels
_DISCARDED = 48  # AVDISCARD_ALL: FFmpeg itself reads the track, such as that of a QuickTime file's chapters
KEEP_TIMECODE = ("mov", "mp4", "matroska", "webm")  # from the video's tag


class CopiedStreams:
    """Streams of another file in a file that is written. Make it before the file's header is written.

    Args:
        file: The file to write, an `av.container.OutputContainer`.
        streams: The streams to copy.

    Attributes:
        dropped: Descriptions of the streams that the file cannot hold.
        lost: Packets that the file did not accept.
    """

    def __init__(self, file: Any, streams: Sequence[Stream]) -> None:
        self.dropped: list[str] = []
        self.lost = 0
        self._file = file
        self._copies: dict[int, Any] = {}
        for source in streams:
            if is_timecode(source) and file.format.name in KEEP_TIMECODE:
                continue
            if not _can_hold(file.format.name, source):
                self.dropped.append(describe(source))
                continue
            copied = _add(file, source)
            copied.metadata.update({key: source.metadata[key] for key in _COPIED_TAGS if key in source.metadata})
            copied.disposition = source.disposition
            if source.type == "video":
                copied.disposition = source.disposition & ~Disposition.default  # players show ours
            self._copies[source.index] = copied

    def write(self, packet: Packet[Any]) -> None:
        """Writes a packet. Skips those of dropped streams, and counts those that the file does not accept."""
        stream = self._copies.get(packet.stream.index)
        if stream is None:
            return
        packet.stream = stream
        try:
            self._file.mux(packet)
        except (av.ArgumentError, av.InvalidDataError) as error:
            log.debug("a packet of stream %d is not accepted: %s", stream.index, error)
            self.lost += 1


def describe(stream: Stream) -> str:
    """What a stream is, for messages."""
    kind = "cover image" if is_cover(stream) else "time code" if is_timecode(stream) else stream.type
    codec = stream.codec_context.name if stream.codec_context else stream.metadata.get("filename", "unknown")
    return f"{kind} stream {stream.index} ({codec})"


def is_cover(stream: Stream) -> bool:
    """Whether a stream is one image that stands for the clip."""
    return bool(stream.disposition & Disposition.attached_pic)


def is_timecode(stream: Stream) -> bool:
    """Whether a stream holds the time code of a QuickTime or MP4 file."""
    return stream.type == "data" and "timecode" in stream.metadata


def is_copied(stream: Stream) -> bool:
    """Whether a stream has something to copy."""
    return stream.discard != _DISCARDED


def _add(file: Any, source: Stream) -> Any:
    copied = file.add_stream_from_template(source, opaque=True)  # opaque: there need not be an encoder for its codec
    layout = getattr(source.codec_context, "layout", None)
    if layout is not None and layout.name in _USUAL_LAYOUTS:
        copied.codec_context.layout = _USUAL_LAYOUTS[layout.name]
    return copied


def _can_hold(muxer: str, stream: Stream) -> bool:
    """Whether a file format can hold a stream. Only the muxer knows, so this tries it."""
    if is_cover(stream) and muxer == "mov":
        return False  # the muxer accepts it, and does not write it
    try:
        trial = av.open(io.BytesIO(), "w", format=muxer)
        copied = _add(trial, stream)
        copied.disposition = stream.disposition
        trial.start_encoding()
        if stream.codec_context and stream.codec_context.name.startswith("pcm_"):  # of others, only the header decides
            packet: Packet[Any] = Packet(bytes(_PCM_BYTES))
            packet.pts = packet.dts = 0
            packet.stream = copied
            trial.mux(packet)
        trial.close()
    except (av.FFmpegError, ValueError) as error:
        log.debug("%s cannot hold stream %d: %s", muxer, stream.index, error)
        return False
    return True
