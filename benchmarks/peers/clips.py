# SPDX-License-Identifier: Apache-2.0
"""The clip that all programs get, and what became of it: frames, times, rate, sound, alpha."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

TONE_RATE = 48_000  # samples a second
BLOCK = 1024  # samples of one AAC frame


def prepare(clip: Path, target: Path, seconds: float | None) -> None:
    """Copies the images of a clip as they are, at most so many seconds, and its sound; a silent clip gets a tone."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as out:
        images = source.streams.video[0]
        sounds = source.streams.audio[:1]
        copies = {stream.index: out.add_stream_from_template(stream) for stream in (images, *sounds)}
        tone = None if sounds else out.add_stream("aac", rate=TONE_RATE, layout="mono")
        first: dict[int, float] = {}
        last = 0.0
        for packet in source.demux(images, *sounds):
            if packet.dts is None:
                continue
            begins = float(packet.dts * packet.time_base)
            if begins - first.setdefault(packet.stream_index, begins) >= (seconds or float("inf")):
                continue
            if packet.stream_index == images.index:
                last = max(last, begins + float((packet.duration or 0) * packet.time_base))
            packet.stream = copies[packet.stream_index]
            out.mux(packet)
        if tone is not None:
            out.mux(_tone(tone, round(last * TONE_RATE)))


def _tone(stream: Any, samples: int) -> list[Any]:
    """440 Hz, so long."""
    packets = []
    wave = (0.2 * np.sin(2 * np.pi * 440 / TONE_RATE * np.arange(samples))).astype(np.float32)
    for begin in range(0, samples, BLOCK):
        frame = av.AudioFrame.from_ndarray(wave[np.newaxis, begin : begin + BLOCK], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = TONE_RATE, begin, Fraction(1, TONE_RATE)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def facts(path: Path) -> dict[str, Any]:
    """What a clip holds. Frames are counted by decoding; `times` are theirs, in seconds from the first."""
    with av.open(str(path)) as clip:
        stream = clip.streams.video[0]
        times = [frame.time for frame in clip.decode(stream)]
        size, rate, codec = [stream.width, stream.height], stream.average_rate, stream.codec_context.name
        pixels = stream.codec_context.pix_fmt
    sound, samples = None, 0.0
    with av.open(str(path)) as clip:
        if clip.streams.audio:
            sound = clip.streams.audio[0].codec_context.name
            samples = sum(frame.samples / frame.sample_rate for frame in clip.decode(clip.streams.audio[0]))
    return {
        "frames": len(times),
        "size": size,
        "rate": str(rate),
        "codec": f"{codec}, {pixels}",
        "sound": sound,
        "seconds_of_sound": round(samples, 3),
        "times": [time - times[0] for time in times],
    }


def held_against(source: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Whether a result has the frames, the times, the size and the sound of its source."""
    same_count = source["frames"] == result["frames"]
    pairs = zip(source["times"], result["times"], strict=False)
    off_ms = 1e3 * max((abs(a - b) for a, b in pairs), default=0.0)
    return {
        "frame_count_right": same_count,
        "rate_right": source["rate"] == result["rate"],
        "largest_error_of_a_frames_time_ms": round(off_ms, 2),
        "size_right": source["size"] == result["size"],
        "sound_kept": result["sound"] is not None
        and abs(source["seconds_of_sound"] - result["seconds_of_sound"]) < 0.1,
    }


def alphas(path: Path, every: int) -> list[NDArray[np.uint8]]:
    """The alpha of every so many-th frame, (H, W) uint8."""
    with av.open(str(path)) as clip:
        frames = [frame for index, frame in enumerate(clip.decode(video=0)) if index % every == 0]
        return [frame.to_ndarray(format="rgba")[:, :, 3] for frame in frames]
