# SPDX-License-Identifier: Apache-2.0
"""What is read: the right colours, upright, at 8 bit; and what cannot be read, with the reason."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tests.video.clips import HEIGHT, WIDTH, decode, left_over, make_clip, smooth, worst

from rmbg_trt import Engine
from rmbg_trt.errors import InputError
from rmbg_trt.video import matte_video
from rmbg_trt.video.source import Source


def first(path: Path) -> np.ndarray:
    with Source(path) as source:
        return next(source.frames()).pixels.copy()


@pytest.mark.parametrize(("matrix", "range_"), list(itertools.product((1, 6, 5, 9), (1, 2))))
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_colours_are_read_with_their_matrix_and_range(
    tmp_path: Path, pixel_format: str, matrix: int, range_: int
) -> None:
    clip = make_clip(tmp_path / "a.mp4", 1, pixel_format=pixel_format, matrix=matrix, range_=range_)
    assert worst(first(clip), smooth()) <= (3 if pixel_format == "yuv420p" else 2)  # what 8 bit and 4:2:0 lose


@pytest.mark.parametrize(("size", "matrix"), [((48, 64), 6), ((576, 720), 5), ((720, 960), 1), ((64, 1280), 1)])
def test_an_unsaid_matrix_goes_with_the_size(tmp_path: Path, size: tuple[int, int], matrix: int) -> None:
    flat = np.full((*size, 3), (200, 60, 40), np.uint8)
    said = make_clip(tmp_path / "a.mkv", [flat], matrix=matrix, codec="ffv1", pixel_format="yuv444p")
    with av.open(str(said)) as file, av.open(str(tmp_path / "b.mkv"), "w") as out:
        made = next(file.decode(video=0))
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = made.width, made.height, "yuv444p"
        made.colorspace, made.color_range, made.pts = 2, 0, 0
        out.mux(stream.encode(made))
        out.mux(stream.encode(None))
    assert decode(tmp_path / "b.mkv")[0].colorspace == 2
    assert worst(first(tmp_path / "b.mkv"), flat) <= 2


def test_rgb_clips_and_clips_with_alpha(tmp_path: Path, engine: Engine) -> None:
    assert worst(first(make_clip(tmp_path / "a.mkv", 1, codec="ffv1", pixel_format="bgr0")), smooth()) == 0
    half = np.dstack([smooth(), np.full((HEIGHT, WIDTH), 128, np.uint8)])
    with av.open(str(tmp_path / "b.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgra"
        frame = av.VideoFrame.from_ndarray(half, "rgba").reformat(format="bgra")
        frame.pts = 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert np.array_equal(first(tmp_path / "b.mkv"), half)
    matte_video(tmp_path / "b.mkv", tmp_path / "o.mkv", engine=engine)
    alpha = decode(tmp_path / "o.mkv")[0].to_ndarray(format="rgba")[..., 3]
    assert alpha[:, :16].min() == alpha[:, :16].max() == 128


@pytest.mark.parametrize("hflip", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_turned_phone(engine: Engine, tmp_path: Path, rotation: int, hflip: bool) -> None:
    """The picture is upright in the result, which asks for no turn itself. FFmpeg turns against the clock."""
    stored = smooth()
    clip = make_clip(tmp_path / "a.mp4", [stored], rotation=rotation, hflip=hflip, pixel_format="yuv444p")
    turned = np.rot90(stored, rotation // 90)
    upright = turned[:, ::-1] if hflip else turned
    assert worst(first(clip), upright) <= 2
    matte_video(clip, tmp_path / "o.mp4", engine=engine, background="#808080")
    frame = decode(tmp_path / "o.mp4")[0]
    assert (frame.height, frame.width) == upright.shape[:2]
    assert frame.rotation == 0


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv"])
def test_pixel_aspect_is_kept_and_turned(engine: Engine, tmp_path: Path, name: str) -> None:
    aspect = Fraction(16, 11)
    for rotation, expected in ((0, aspect), (90, 1 / aspect)):
        clip = make_clip(tmp_path / "a.mp4", 2, pixel_aspect=aspect, rotation=rotation)
        matte_video(clip, tmp_path / name, engine=engine, background="red", overwrite=True)
        with av.open(str(tmp_path / name)) as file:
            assert file.streams.video[0].sample_aspect_ratio == expected


def test_pixel_aspect_that_a_file_cannot_hold_is_said(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 2, pixel_aspect=Fraction(3, 2))
    result = matte_video(clip, tmp_path / "o.webm", engine=engine)
    assert "the pixels are 3:2" in result.notes[0]
    assert "width 96 and height 48" in result.notes[0]
    assert matte_video(clip, tmp_path / "p.webm", engine=engine, width=96, height=48).notes == []
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


@pytest.mark.parametrize(("transfer", "said"), [(16, "HDR"), (18, "HDR"), (1, "more than 8 bits")])
def test_deep_clips_are_matted_at_8_bits_and_say_so(engine: Engine, tmp_path: Path, transfer: int, said: str) -> None:
    clip = make_clip(
        tmp_path / "a.mp4", 2, codec="libx265", pixel_format="yuv420p10le", transfer=transfer,
        options={"x265-params": "log-level=error:bframes=0"},
    )  # fmt: skip
    result = matte_video(clip, tmp_path / "o.mp4", engine=engine, background="red")
    assert said in result.notes[0]
    assert decode(tmp_path / "o.mp4")[0].color_trc == transfer


# ---- what cannot be read -----------------------------------------------------------------------------------------


def refused(engine: Engine, clip: Path, message: str) -> None:
    out = clip.parent / "out"
    with pytest.raises(InputError, match=message):
        matte_video(clip, out / "o.mp4", engine=engine, background="red")
    assert not out.exists() or list(out.iterdir()) == []
    assert left_over(clip.parent) == []


def test_a_file_that_is_no_video(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"not a video" * 100)
    refused(engine, tmp_path / "a.mp4", "cannot be read as a video")
    (tmp_path / "b.mp4").touch()
    refused(engine, tmp_path / "b.mp4", "cannot be read as a video")


def test_a_file_that_lost_its_end_and_index(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 12)
    clip.write_bytes(clip.read_bytes()[:-1500])
    refused(engine, clip, "may be cut off")


def test_sound_alone(engine: Engine, tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "a.mp4", 5, audio=True)
    with av.open(str(whole)) as file, av.open(str(tmp_path / "b.m4a"), "w", format="mp4") as out:
        copied = out.add_stream_from_template(file.streams.audio[0])
        for packet in file.demux(file.streams.audio[0]):
            if packet.size:
                packet.stream = copied
                out.mux(packet)
    refused(engine, tmp_path / "b.m4a", "holds no video, only audio")


def test_no_frame_at_all(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", 3)
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as file:
        payloads = [bytes(packet) for packet in file.demux(video=0) if packet.size]
    for payload in payloads:
        at = bytes(data).find(payload)
        data[at : at + len(payload)] = bytes(len(payload))
    clip.write_bytes(data)
    refused(engine, clip, "holds no frame that can be decoded")


def test_a_clip_that_ends_early_is_written_as_far_as_it_goes(engine: Engine, tmp_path: Path) -> None:
    noise = [np.random.default_rng(n).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for n in range(30)]
    clip = make_clip(tmp_path / "a.mkv", noise, rate=5, options={"g": "1"})
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    result = matte_video(clip, tmp_path / "o.mp4", engine=engine, background="red")
    assert 10 <= result.frames <= 16
    assert len(decode(tmp_path / "o.mp4")) == result.frames
    assert 2 < result.missing_s < 4
    assert not result.complete


@pytest.mark.parametrize(("spoilt", "complete"), [([7], True), ([3, 7, 11, 15], False)])
@pytest.mark.parametrize("codec", ["png", "libx264"])
def test_damaged_frames_are_left_out_and_counted(
    engine: Engine, tmp_path: Path, codec: str, spoilt: list[int], complete: bool
) -> None:
    pixel_format, options = ("rgb24", {}) if codec == "png" else ("yuv420p", {"g": "1"})
    clip = make_clip(tmp_path / "a.mov", 20, codec=codec, pixel_format=pixel_format, options=options)
    data = clip.read_bytes()
    with av.open(str(clip)) as file:
        payloads = [bytes(packet) for packet in file.demux(video=0) if packet.size]
    whole = times_of(clip)
    for number in spoilt:
        data = data.replace(payloads[number], bytes(len(payloads[number])))
    clip.write_bytes(data)
    result = matte_video(clip, tmp_path / "o.mp4", engine=engine, background="red")
    assert (result.damaged, result.frames) == (len(spoilt), 20 - len(spoilt))
    assert times_of(tmp_path / "o.mp4") == [time for n, time in enumerate(whole) if n not in spoilt]
    assert result.complete is complete


def times_of(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in decode(path)]


def changing(path: Path) -> Path:
    """A stream whose picture becomes larger after three frames."""
    parts = [
        make_clip(path.with_name(f"{n}.h264"), [smooth(i, *size) for i in range(3)], muxer="h264", options={"bf": "0"})
        for n, size in enumerate(((48, 64), (96, 128)))
    ]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def test_a_picture_that_changes_its_size(engine: Engine, tmp_path: Path) -> None:
    refused(engine, changing(tmp_path / "a.h264"), r"from 64x48 to 128x96 at .* give width and height")
    result = matte_video(tmp_path / "a.h264", tmp_path / "o.mp4", engine=engine, background="red", width=64, height=48)
    assert result.frames == 6
    assert {frame.width for frame in decode(tmp_path / "o.mp4")} == {64}
