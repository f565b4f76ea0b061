# SPDX-License-Identifier: Apache-2.0
"""What can be written: which codec a file of some suffix takes for which kind of result, and its options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..errors import InputError

Kind = Literal["alpha", "cutout", "composite"]


@dataclass(frozen=True)
class Codec:
    """An encoder.

    Attributes:
        encoder: FFmpeg's name.
        alpha: Pixel format for the alpha alone.
        composite: Pixel format for an opaque result.
        cutout: Pixel format for a transparent result; None: it has no alpha.
        options: Always given.
        crf: Quality by default, and the largest number (the worst); None: it has no such option.
        lossless: Options that make it lossless; None: it has none. Empty: it always is.
        bitrate: Whether a bit rate can be asked for.
        even: Whether sides must be even, so that an odd one gets its last line twice.
        full_range: Whether the alpha alone is stored as 0..255; else as 16..235, which programs for cutting expect.
    """

    encoder: str
    alpha: str
    composite: str
    cutout: str | None
    options: Mapping[str, str] = field(default_factory=dict)
    crf: tuple[int, int] | None = None
    lossless: Mapping[str, str] | None = None
    bitrate: bool = True
    even: bool = True
    full_range: bool = True


# At the same constant quality a third of the work of the encoders' own default, and hardly a larger file.
_FAST = {"preset": "veryfast"}
# With frames that are stored out of order, x265 puts anything into the times of very short clips.
_X265 = {**_FAST, "x265-params": "log-level=error:bframes=0"}

CODECS: dict[str, Codec] = {
    "h264": Codec("libx264", "yuv420p", "yuv420p", None, _FAST, (18, 51), {"crf": "0"}),
    "hevc": Codec("libx265", "yuv420p", "yuv420p", None, _X265, (20, 51)),
    "vp9": Codec(
        "libvpx-vp9",
        *("yuv420p", "yuv420p", "yuva420p"),
        # Alpha is a second stream inside, which alternate reference frames would not fit.
        {"auto-alt-ref": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"},
        (20, 63),
        {"lossless": "1"},
        even=False,
    ),
    "prores": Codec(
        *("prores_ks", "yuv422p10le", "yuv422p10le", "yuva444p10le"),
        {"vendor": "apl0"},
        bitrate=False,
        full_range=False,
    ),
    "ffv1": Codec(
        *("ffv1", "gray", "bgr0", "bgra"),
        {"level": "3", "slicecrc": "1"},
        lossless={},
        bitrate=False,
        even=False,
    ),
    "webp": Codec(
        *("libwebp_anim", "bgra", "bgra", "bgra"),
        {"quality": "90"},
        lossless={"lossless": "1", "quality": "50"},
        bitrate=False,
        even=False,
    ),
    "png": Codec("png", "gray", "rgb24", "rgba", lossless={}, bitrate=False, even=False),
}


@dataclass(frozen=True)
class Container:
    """A kind of file.

    Attributes:
        muxer: FFmpeg's name.
        codecs: What it can hold. The first with alpha is taken for a cutout, else the first without.
        options: Always given to the muxer.
    """

    muxer: str
    codecs: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)


_FASTSTART = {"movflags": "+faststart"}
CONTAINERS: dict[str, Container] = {
    "mp4": Container("mp4", ("h264", "hevc"), _FASTSTART),
    "m4v": Container("mp4", ("h264", "hevc"), _FASTSTART),
    "mov": Container("mov", ("h264", "prores", "hevc"), _FASTSTART),
    "mkv": Container("matroska", ("h264", "ffv1", "hevc", "vp9", "prores")),
    "webm": Container("webm", ("vp9",)),
    "webp": Container("webp", ("webp",), {"loop": "0"}),
    "png": Container("image2", ("png",)),
}
_PATTERN = re.compile(r"%0?(\d*)d")
_TRANSPARENT = "mov, webm, mkv, webp or a PNG sequence (NAME_%06d.png in a folder of its own)"


@dataclass(frozen=True)
class Recipe:
    """How a result is written.

    Attributes:
        kind: What it is.
        container: The kind of file.
        codec: The encoder.
        pixel_format: Of the encoder.
        options: Of the encoder.
        bit_rate: Bits a second; None: by quality.
    """

    kind: Kind
    container: Container
    codec: Codec
    pixel_format: str
    options: Mapping[str, str]
    bit_rate: int | None


def choose(
    target: Path,
    kind: Kind,
    *,
    codec: str | None = None,
    crf: int | None = None,
    bitrate: str | None = None,
    lossless: bool = False,
) -> Recipe:
    """Chooses how a result is written.

    Args:
        target: Its suffix says the container.
        kind: "alpha", "cutout" (transparent) or "composite" (opaque).
        codec: A name of `CODECS`; None: what suits best.
        crf: Constant quality; smaller is better.
        bitrate: Bits a second, as "4M"; in place of ``crf``.
        lossless: Without loss, if the codec can.

    Raises:
        InputError: These do not go together; the message says what does.
    """
    suffix = target.suffix.lower().lstrip(".")
    if suffix not in CONTAINERS:
        raise InputError(f"{target} ends in {target.suffix or 'no suffix'!r}; expected .{', .'.join(CONTAINERS)}")
    if suffix == "png" and not _PATTERN.search(target.name):
        raise InputError(f"{target} is one picture; a PNG sequence is named as {target.stem}/%06d.png")
    container = CONTAINERS[suffix]
    name = codec or _suited(suffix, container, kind)
    if name not in CODECS:
        raise InputError(f"the codec is {name!r}; expected {', '.join(CODECS)}")
    if name not in container.codecs:
        raise InputError(f"a {suffix} file takes {' or '.join(container.codecs)} here, not {name}")
    chosen = CODECS[name]
    pixel_format = {"alpha": chosen.alpha, "cutout": chosen.cutout, "composite": chosen.composite}[kind]
    if pixel_format is None:
        raise InputError(
            f"{name} in {suffix} has no transparency; write a cutout to {_TRANSPARENT}, or give a background"
        )
    options = {**chosen.options, **_quality(name, chosen, crf, bitrate, lossless)}
    if name == "prores":
        options["profile"] = "4444" if kind == "cutout" else "hq"
    return Recipe(kind, container, chosen, pixel_format, options, None if bitrate is None else _bits(bitrate))


def _suited(suffix: str, container: Container, kind: Kind) -> str:
    transparent = [name for name in container.codecs if CODECS[name].cutout]
    if kind == "cutout" or (kind == "alpha" and suffix in ("mov", "mkv")):
        return (transparent or [container.codecs[0]])[0]
    return container.codecs[0]


def _quality(name: str, codec: Codec, crf: int | None, bitrate: str | None, lossless: bool) -> dict[str, str]:
    if sum((crf is not None, bitrate is not None, lossless)) > 1:
        raise InputError("crf, bitrate and lossless contradict each other; give one of them")
    if lossless:
        if codec.lossless is None:
            able = ", ".join(each for each in CODECS if CODECS[each].lossless is not None)
            raise InputError(f"{name} is not lossless here; {able} can be")
        return dict(codec.lossless)
    if bitrate is not None:
        if not codec.bitrate:
            raise InputError(f"{name} takes no bit rate")
        return {}
    if codec.crf is None:
        if crf is not None:
            raise InputError(f"{name} takes no crf")
        return {}
    default, worst = codec.crf
    if crf is not None and not 0 <= crf <= worst:
        raise InputError(f"the crf is {crf}; {name} takes 0 (best) to {worst}")
    return {"crf": str(default if crf is None else crf)}


def _bits(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kM]?)", text.strip())
    bits = int(float(match[1]) * {"": 1, "k": 1e3, "M": 1e6}[match[2]]) if match else 0
    if not 1000 <= bits <= 2_000_000_000:
        raise InputError(f"the bit rate is {text!r}; expected bits a second, as 800k or 4M")
    return bits
