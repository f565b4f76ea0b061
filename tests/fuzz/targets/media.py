# SPDX-License-Identifier: Apache-2.0
"""Fuzz targets: images and videos."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from tests import make
from tests.fuzz.targets.base import BrokenRuleError, folder, new_file, refusable

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "ICO", "TGA", "PPM", "AVIF", "JPEG2000")


def image_seeds() -> list[bytes]:
    seeds = []
    exif = Image.Exif()
    exif[0x0112] = 6
    for mode, channels in (("RGB", 3), ("RGBA", 4), ("L", 1)):
        pixels = make.noise(9, 13, channels) if channels > 1 else make.noise(9, 13)
        image = Image.fromarray(pixels, mode)
        for name in _FORMATS:
            for more in ({}, {"exif": exif.tobytes(), "dpi": (72, 72), "icc_profile": _profile()}):
                file = io.BytesIO()
                try:
                    image.save(file, name, **more)
                except (OSError, KeyError, ValueError):
                    continue
                seeds.append(file.getvalue())
    deep = io.BytesIO()
    Image.fromarray(np.arange(120, dtype=np.uint16).reshape(10, 12) * 500).save(deep, "TIFF")
    return [*seeds, deep.getvalue()]


def _profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def read_image(data: bytes) -> None:
    from rmbg_trt.image import read

    loaded = refusable(lambda: read.read_image(io.BytesIO(data), max_pixels=1_000_000, name="fuzzed"))
    if loaded is not None and 0 in loaded.pixels.shape:
        raise BrokenRuleError(f"an image of shape {loaded.pixels.shape}")


def video_seeds() -> list[bytes]:
    from tests.video.clips import make_clip

    kinds = {
        "mp4": {},
        "mkv": {"audio": True},
        "avi": {"codec": "mpeg4"},
        "webm": {"codec": "libvpx-vp9"},
        "mov": {"options": {"x264-params": "interlaced=1"}},
        "nut": {"codec": "ffv1", "pixel_format": "yuv420p10le", "matrix": 9, "transfer": 16},
    }
    clips = [make_clip(folder() / f"seed.{kind}", 3, **more).read_bytes() for kind, more in kinds.items()]
    animation = io.BytesIO()
    images = [Image.new("RGBA", (16, 12), (40 * number, 90, 30, 200)) for number in range(3)]
    images[0].save(animation, "WEBP", save_all=True, append_images=images[1:], duration=40)
    return [*clips, animation.getvalue()]


def read_video(data: bytes) -> None:
    """Opens a clip and reads its first frames."""
    from rmbg_trt.video.source import Source

    path = new_file(data, "fuzzed.mp4")

    def read() -> None:
        with Source(path, tone_map=len(data) % 2 == 1) as source:
            source.keep_depth = len(data) % 3 == 1
            for number, frame in enumerate(source.frames()):
                if 0 in frame.pixels.shape:
                    raise BrokenRuleError(f"a frame of shape {frame.pixels.shape}")
                if number == 4:
                    break

    refusable(read)
