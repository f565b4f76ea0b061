# SPDX-License-Identifier: Apache-2.0
"""Frames of a clip: pixel aspect, scaling, deep colours, and clips that are refused."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from tests.video.clips import decode, make_clip, smooth

from rmbg_trt import Engine
from rmbg_trt.video import matte_video


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv"])
def test_pixel_aspect_is_kept_and_turned(engine: Engine, tmp_path: Path, name: str) -> None:
    aspect = Fraction(16, 11)
    for rotation, expected in ((0, aspect), (90, 1 / aspect)):
        clip = make_clip(tmp_path / "a.mp4", 2, pixel_aspect=aspect, rotation=rotation)
        matte_video(clip, tmp_path / name, engine=engine, background="red", overwrite=True)
        with av.open(str(tmp_path / name)) as file:
            assert file.streams.video[0].sample_aspect_ratio == expected


def test_pixel_aspect_that_a_file_cannot_store_is_reported(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 2, pixel_aspect=Fraction(3, 2))
    result = matte_video(clip, tmp_path / "o.webp", engine=engine)
    assert "aspect ratio 3:2, which .webp cannot store" in result.notes[0]
    assert "width 96 and height 48" in result.notes[0]
    assert matte_video(clip, tmp_path / "p.webp", engine=engine, width=96, height=48).notes == []
    assert matte_video(clip, tmp_path / "o.mov", engine=engine).notes == []


def test_scaling_keeps_the_shape(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 2)
    for options, size in (
        ({"height": 24}, (24, 32)),
        ({"width": 100}, (76, 100)),
        ({"width": 40, "height": 40}, (40, 40)),
    ):
        matte_video(clip, tmp_path / "o.mov", engine=engine, overwrite=True, **options)
        frame = decode(tmp_path / "o.mov")[0]
        assert (frame.height, frame.width) == size
    with av.open(str(tmp_path / "o.mov")) as file:
        assert file.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize(("transfer", "said"), [(16, "HDR"), (18, "HDR"), (1, "10 bits a channel; libx264 stores 8")])
def test_deep_clips_are_matted_at_8_bits_with_a_note(engine: Engine, tmp_path: Path, transfer: int, said: str) -> None:
    clip = make_clip(
        tmp_path / "a.mp4", 2, codec="libx265", pixel_format="yuv420p10le", transfer=transfer,
        options={"x265-params": "log-level=error:bframes=0"},
    )  # fmt: skip
    result = matte_video(clip, tmp_path / "o.mp4", engine=engine, background="red")
    assert said in result.notes[0]
    assert decode(tmp_path / "o.mp4")[0].color_trc == transfer


def test_no_frame_at_all(refused: Callable[[Path, str], None], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", 3)
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as file:
        payloads = [bytes(packet) for packet in file.demux(video=0) if packet.size]
    for payload in payloads:
        at = bytes(data).find(payload)
        data[at : at + len(payload)] = bytes(len(payload))
    clip.write_bytes(data)
    refused(clip, "has no frame that can be decoded")


def changing(path: Path) -> Path:
    """A stream whose frames become larger after the third."""
    parts = [
        make_clip(path.with_name(f"{n}.h264"), [smooth(i, *size) for i in range(3)], muxer="h264", options={"bf": "0"})
        for n, size in enumerate(((48, 64), (96, 128)))
    ]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def test_a_changing_frame_size(engine: Engine, refused: Callable[[Path, str], None], tmp_path: Path) -> None:
    refused(changing(tmp_path / "a.h264"), r"from 64x48 to 128x96 at .* give width and height")
    result = matte_video(tmp_path / "a.h264", tmp_path / "o.mp4", engine=engine, background="red", width=64, height=48)
    assert result.frames == 6
    assert {frame.width for frame in decode(tmp_path / "o.mp4")} == {64}
