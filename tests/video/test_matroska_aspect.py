# SPDX-License-Identifier: Apache-2.0
"""The shape of pixels in every format; in Matroska and WebM nothing else changes, and the index still fits."""

from __future__ import annotations

import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from tests.video.clips import make_clip, packets, pictures, smooth, times

from rmbg_trt import Engine
from rmbg_trt.video import matte_video
from rmbg_trt.video.matroska_aspect import set_display_size


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("o.mkv", {"background": "red"}),
        ("o.mkv", {"background": "red", "codec": "hevc"}),
        ("o.mov", {}),
        ("o.mp4", {"background": "red"}),
        ("o.webm", {}),
        ("o.mkv", {}),
        ("o.mkv", {"codec": "prores"}),
        ("o.webm", {"background": "red", "codec": "av1"}),
    ],
)
@pytest.mark.parametrize("aspect", [Fraction(16, 15), Fraction(8, 9)])
def test_the_shape_of_pixels_is_kept(
    engine: Engine, tmp_path: Path, name: str, options: dict[str, Any], aspect: Fraction
) -> None:
    frames = [smooth(n, 144, 180) for n in range(3)]
    clip = make_clip(tmp_path / "a.mp4", frames, pixel_aspect=aspect, audio=True)
    result = matte_video(clip, tmp_path / name, engine=engine, **options)
    assert result.notes == []
    with av.open(str(tmp_path / name)) as file:
        assert file.streams.video[0].sample_aspect_ratio == aspect
    assert len(pictures(tmp_path / name)) == 3


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "libx264"), ("a.webm", "libvpx-vp9")])
def test_nothing_else_changes(tmp_path: Path, name: str, codec: str) -> None:
    path = make_clip(tmp_path / name, 30, codec=codec, options={"g": "5"})
    before = packets(path, "video"), times(path), path.stat().st_size
    assert set_display_size(path, 96, 48)
    assert (packets(path, "video"), times(path), path.stat().st_size) == before
    with av.open(str(path)) as file:
        assert file.streams.video[0].sample_aspect_ratio == Fraction(3, 2)
        file.seek(800_000)  # by the index
        assert next(file.decode(video=0)).time >= 0.6
    data = path.read_bytes()
    for identifier in (b"\x11\x4d\x9b\x74", b"\x16\x54\xae\x6b"):  # the index points there; checksums fit
        at = data.index(identifier, 40) + 4
        length = 9 - data[at].bit_length()
        size = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
        content = data[at + length : at + length + size]
        if content[0] == 0xBF:
            assert content[2:6] == zlib.crc32(content[6:]).to_bytes(4, "little")
    segment = data.index(b"\x18\x53\x80\x67") + 12
    entry = data.index(b"\x53\xab\x84\x16\x54\xae\x6b\x53\xac") + 9
    position = int.from_bytes(data[entry + 1 : entry + 1 + (data[entry] & 0x7F)], "big")
    assert data[segment + position :].startswith(b"\x16\x54\xae\x6b")


def test_another_file_is_left_alone(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 3)
    data = clip.read_bytes()
    assert not set_display_size(clip, 96, 48)
    assert clip.read_bytes() == data
