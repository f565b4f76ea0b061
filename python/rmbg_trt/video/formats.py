# SPDX-License-Identifier: Apache-2.0
"""Chooses the container, the codec and its options for a result, from the file's suffix and the user's options."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import av
from av.codec.context import CodecContext
from av.video.format import VideoFormat

from ..errors import InputError
from ..options import Output
from .hdr_metadata import HdrMetadata
from .options import VideoOptions


@dataclass(frozen=True)
class Codec:
    """An encoder.

    Attributes:
        encoder: FFmpeg's name.
        alpha: Pixel format for alpha alone.
        composite: Pixel format for an opaque result.
        cutout: Pixel format for a transparent result; None if it has no alpha.
        options: Options that are always given.
        crf: Default quality, and the largest number (the worst); None if it takes neither crf nor a bit rate.
        lossless: Options for lossless encoding; None if it cannot, empty if it always is.
        deep: Pixel formats with more than 8 bits for outputs that can have them.
        even: Whether sides must be even; an odd one gets its last line twice.
        full_range: Whether alpha alone is stored as 0..255; otherwise as 16..235, as editing programs expect.
    """

    encoder: str
    alpha: str
    composite: str
    cutout: str | None
    options: Mapping[str, str] = field(default_factory=dict)
    crf: tuple[int, int] | None = None
    lossless: Mapping[str, str] | None = None
    deep: Mapping[str, str] = field(default_factory=dict)
    even: bool = True
    full_range: bool = True


# At the same constant quality a third of the work of the encoders' own default, and hardly a larger file.
_FAST = {"preset": "veryfast"}
# fastest first
_X26X = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
_PRESETS = {"h264": _X26X, "hevc": _X26X, "av1": tuple(map(str, range(13, -1, -1)))}
# With B-frames, x265 writes wrong times into very short clips.
_X265 = {**_FAST, "x265-params": "log-level=error:bframes=0"}
# VP9 stores alpha as a second stream, to which alternate reference frames would not fit.
_VP9 = {"auto-alt-ref": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}
_AV1 = {"preset": "8"}
_PRORES = {"composite": "yuv422p10le", "cutout": "yuva444p10le"}
_FFV1 = {"level": "3", "slicecrc": "1"}
_DEEP_FFV1 = {"composite": "gbrp12le", "cutout": "gbrap12le"}  # 12 bits of RGB hold 10 of YUV
_LOSSLESS_WEBP = {"lossless": "1", "quality": "50"}

CODECS: dict[str, Codec] = {
    "h264": Codec("libx264", "yuv420p", "yuv420p", None, _FAST, (18, 51), {"crf": "0"}),
    "hevc": Codec("libx265", "yuv420p", "yuv420p", None, _X265, (20, 51), deep={"composite": "yuv420p10le"}),
    "av1": Codec("libsvtav1", "yuv420p", "yuv420p", None, _AV1, (30, 63), deep={"composite": "yuv420p10le"}),
    "vp9": Codec("libvpx-vp9", "yuv420p", "yuv420p", "yuva420p", _VP9, (20, 63), {"lossless": "1"}, even=False),
    "prores": Codec(
        "prores_ks",
        "yuv422p10le",
        _PRORES["composite"],
        _PRORES["cutout"],
        {"vendor": "apl0"},
        deep=_PRORES,
        full_range=False,
    ),
    "ffv1": Codec("ffv1", "gray", "bgr0", "bgra", _FFV1, lossless={}, deep=_DEEP_FFV1, even=False),
    "webp": Codec("libwebp_anim", "bgra", "bgra", "bgra", {"quality": "90"}, lossless=_LOSSLESS_WEBP, even=False),
    "png": Codec("png", "gray", "rgb24", "rgba", lossless={}, even=False),
}


@dataclass(frozen=True)
class Container:
    """A file format.

    Attributes:
        muxer: FFmpeg's name.
        codecs: What it can hold. A cutout takes the first with alpha, everything else the first.
        options: Options that are always given to the muxer.
    """

    muxer: str
    codecs: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)


_FASTSTART = {"movflags": "+faststart"}
CONTAINERS: dict[str, Container] = {
    "mp4": Container("mp4", ("h264", "hevc", "av1"), _FASTSTART),
    "m4v": Container("mp4", ("h264", "hevc", "av1"), _FASTSTART),
    "mov": Container("mov", ("h264", "prores", "hevc"), _FASTSTART),
    "mkv": Container("matroska", ("h264", "ffv1", "hevc", "vp9", "prores", "av1")),
    "webm": Container("webm", ("vp9", "av1")),
    "webp": Container("webp", ("webp",), {"loop": "0"}),
    "png": Container("image2", ("png",)),
}
# 4:2:0 formats of encoders that also take 4:4:4
_FULL_CHROMA = {"yuv420p": "yuv444p", "yuv420p10le": "yuv444p10le"}
_ONLY_420 = ("libsvtav1",)
_PATTERN = re.compile(r"%0?(\d*)d")
_TRANSPARENT = "mov, webm, mkv, webp or a PNG sequence (NAME_%06d.png in a folder of its own)"


@dataclass(frozen=True)
class OutputFormat:
    """How a result is written.

    Attributes:
        output: "alpha", "cutout" or "composite".
        container: File format.
        codec: Encoder.
        pixel_format: The encoder's pixel format.
        options: The encoder's options.
        bit_rate: Bits per second; None encodes by quality.
        deep: Whether its frames have 16 bits a channel, for a codec with more than 8.
    """

    output: Output
    container: Container
    codec: Codec
    pixel_format: str
    options: Mapping[str, str]
    bit_rate: int | None
    deep: bool = False

    @property
    def chroma(self) -> str:
        """Its chroma, "4:2:0", "4:2:2" or "4:4:4"; "" for RGB and gray."""
        return chroma_of(VideoFormat(self.pixel_format))

    @property
    def even(self) -> bool:
        """Whether sides must be even."""
        return self.codec.even and self.pixel_format not in _FULL_CHROMA.values()

    def for_source(
        self, size: tuple[int, int], chroma: str, bits: int, hdr_metadata: HdrMetadata
    ) -> tuple[OutputFormat, list[str]]:
        """Adapts it to a clip.

        Args:
            size: (height, width) of the frames.
            chroma: The clip's, as from `chroma_of`.
            bits: The clip's bits a channel.
            hdr_metadata: The clip's; empty unless it is HDR.

        Returns:
            The format, with 4:4:4 chroma and more than 8 bits if the clip has them and the codec can; what is lost.
        """
        adapted, notes = self, []
        if bits > 8 and self.output in self.codec.deep:
            adapted = dataclasses.replace(self, pixel_format=self.codec.deep[self.output], deep=True)
        elif bits > 8 and self.output != "alpha":
            able = ", ".join(name for name, codec in CODECS.items() if self.output in codec.deep)
            notes.append(f"the clip has {bits} bits a channel; {self.codec.encoder} stores 8 here, and {able} more")
        full = _FULL_CHROMA.get(adapted.pixel_format)
        if chroma == "4:4:4" and self.output == "composite" and full and self.codec.encoder not in _ONLY_420:
            adapted = dataclasses.replace(adapted, pixel_format=full)
        rank = ("4:2:0", "4:2:2", "4:4:4")
        if self.output != "alpha" and chroma in rank and adapted.chroma in rank[: rank.index(chroma)]:
            notes.append(f"the clip has {chroma} chroma; {self.codec.encoder} stores {adapted.chroma} here")
        height, width = size
        if adapted.even and (height % 2 or width % 2):
            notes.append(
                f"{self.codec.encoder} needs even sides here: the last row or column is repeated, and the result is "
                f"{width + width % 2}x{height + height % 2}"
            )
        if hdr_metadata != HdrMetadata() and not hdr_metadata.options(self.codec.encoder):
            notes.append("the metadata of HDR (mastering display, light levels) are left out; hevc and av1 keep them")
        return adapted, notes


def chroma_of(pixel_format: VideoFormat) -> str:
    """The chroma of a YUV format: "4:2:0", "4:2:2", "4:4:4", or another, such as "4:1:1"; "" for RGB and gray."""
    if pixel_format.is_rgb or len(pixel_format.components) < 3:
        return ""
    across, down = 64 // pixel_format.chroma_width(64), 64 // pixel_format.chroma_height(64)
    return {(2, 2): "4:2:0", (2, 1): "4:2:2", (1, 1): "4:4:4"}.get((across, down), "4:1:1")


def choose_format(target: Path, options: VideoOptions) -> OutputFormat:
    """Chooses how a result is written.

    Args:
        target: The file; its suffix decides the container.
        options: Its output, codec and quality.

    Raises:
        InputError: These do not go together, or this build of FFmpeg lacks the encoder.
    """
    output = options.frame.output
    suffix = target.suffix.lower().lstrip(".")
    if suffix not in CONTAINERS:
        raise InputError(f"{target} ends in {target.suffix or 'no suffix'!r}; expected .{', .'.join(CONTAINERS)}")
    if suffix == "png" and not _PATTERN.search(target.name):
        raise InputError(f"{target} is one image; name a PNG sequence {target.stem}/%06d.png")
    container = CONTAINERS[suffix]
    name = options.codec or _default_codec(suffix, container, output)
    if name not in CODECS:
        raise InputError(f"the codec is {name!r}; expected {', '.join(CODECS)}")
    if name not in container.codecs:
        raise InputError(f"a {suffix} file takes {' or '.join(container.codecs)} here, not {name}")
    codec = CODECS[name]
    pixel_format = {"alpha": codec.alpha, "cutout": codec.cutout, "composite": codec.composite}[output]
    if pixel_format is None:
        raise InputError(
            f"{name} in {suffix} has no transparency; write a cutout to {_TRANSPARENT}, or give a background"
        )
    codec_options = {**codec.options, **_preset(name, options.preset), **_quality(name, codec, options)}
    if name == "prores":
        codec_options["profile"] = "4444" if output == "cutout" else "hq"
    bit_rate = None if options.bitrate is None else _parse_bit_rate(options.bitrate)
    try:
        CodecContext.create(codec.encoder, "w")
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"this PyAV has no encoder {codec.encoder}; choose another codec") from error
    return OutputFormat(output, container, codec, pixel_format, codec_options, bit_rate)


def _default_codec(suffix: str, container: Container, output: Output) -> str:
    transparent = [name for name in container.codecs if CODECS[name].cutout]
    if transparent and (output == "cutout" or (output == "alpha" and suffix in ("mov", "mkv"))):
        return transparent[0]
    return container.codecs[0]


def _preset(name: str, preset: str | None) -> dict[str, str]:
    """Returns the encoder's option for the requested speed."""
    if preset is None:
        return {}
    presets = _PRESETS.get(name, ())
    if not presets:
        raise InputError(f"{name} takes no preset; {', '.join(_PRESETS)} do")
    if preset not in presets:
        raise InputError(f"the preset is {preset!r}; {name} takes {', '.join(presets)} (fastest first)")
    return {"preset": preset}


def _quality(name: str, codec: Codec, options: VideoOptions) -> dict[str, str]:
    """Returns the encoder's options for the requested quality."""
    crf, bitrate, lossless = options.crf, options.bitrate, options.lossless
    if sum((crf is not None, bitrate is not None, lossless)) > 1:
        raise InputError("crf, bitrate and lossless contradict each other; give one of them")
    if lossless:
        if codec.lossless is None:
            able = ", ".join(name for name, other in CODECS.items() if other.lossless is not None)
            raise InputError(f"{name} is not lossless here; {able} can be")
        return dict(codec.lossless)
    if codec.crf is None and (crf is not None or bitrate is not None):
        raise InputError(f"{name} takes no {'bit rate' if crf is None else 'crf'}")
    if codec.crf is None or bitrate is not None:
        return {}
    default, worst = codec.crf
    if crf is not None and not 0 <= crf <= worst:
        raise InputError(f"the crf is {crf}; {name} takes 0 (best) to {worst}")
    return {"crf": str(default if crf is None else crf)}


def _parse_bit_rate(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kM]?)", text.strip())
    bits = int(float(match[1]) * {"": 1, "k": 1e3, "M": 1e6}[match[2]]) if match else 0
    if not 1000 <= bits <= 2_000_000_000:
        raise InputError(f"the bit rate is {text!r}; expected bits per second, such as 800k or 4M")
    return bits
