# SPDX-License-Identifier: Apache-2.0
"""Streams beside the video: each is copied, or named as missing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from tests.video.clips import make_clip, packets, pictures, smooth, worst

from rmbg_trt import Engine
from rmbg_trt.video import matte_video


def add_streams(clip: Path, target: Path, add: Any, **tags: str) -> Path:
    """Copies a clip; ``add(out)`` makes more streams, and returns the packets of each."""
    with av.open(str(clip)) as file, av.open(str(target), "w") as out:
        copies = {stream.index: out.add_stream_from_template(stream, opaque=True) for stream in file.streams}
        copies[0].metadata.update(tags)
        extra = add(out) if add else []
        for packet in file.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
        for packet in extra:
            out.mux(packet)
    return target


def second_video(out: Any) -> list[Any]:
    stream = out.add_stream("mpeg4", rate=25, options={"qscale": "2"})
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    stream.metadata["title"] = "the other camera"
    packets = []
    for number in range(4):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 60 * number, np.uint8), "rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        packets += stream.encode(frame.reformat(format="yuv420p"))
    return [*packets, *stream.encode(None)]


def cover(out: Any) -> list[Any]:
    stream = out.add_stream("mjpeg", rate=1)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
    stream.disposition = Disposition.attached_pic
    frame = av.VideoFrame.from_ndarray(smooth(9), "rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    return [*stream.encode(frame), *stream.encode(None)]


def video_streams(path: Path) -> list[tuple[str, int]]:
    with av.open(str(path)) as file:
        return [(stream.codec_context.name, int(stream.disposition)) for stream in file.streams.video]


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv"])
def test_a_second_video_is_copied(engine: Engine, tmp_path: Path, name: str) -> None:
    clip = add_streams(make_clip(tmp_path / "a.mkv", 4), tmp_path / "b.mkv", second_video)
    result = matte_video(clip, tmp_path / name, engine=engine, background="red")
    assert (result.dropped, result.lost) == ([], 0)
    with av.open(str(tmp_path / name)) as file:
        copied = [packet for packet in file.demux(video=1) if packet.size]
    with av.open(str(clip)) as file:
        assert [bytes(packet) for packet in file.demux(video=1) if packet.size] == [bytes(one) for one in copied]
    assert [one.pts * one.time_base for one in copied] == [Fraction(n, 25) for n in range(4)]
    assert worst(pictures(tmp_path / name)[3][:, :20], smooth(3)[:, :20]) <= 8  # the first stream is ours
    assert video_streams(tmp_path / name)[1][1] & Disposition.default == 0


@pytest.mark.parametrize("name", ["o.mp4", "o.mkv"])
def test_a_cover_image_is_copied(engine: Engine, tmp_path: Path, name: str) -> None:
    clip = add_streams(make_clip(tmp_path / "a.mp4", 10), tmp_path / "b.mp4", cover)
    for options in ({}, {"start": 0.2}):
        result = matte_video(clip, tmp_path / name, engine=engine, background="red", overwrite=True, **options)
        assert (result.dropped, result.lost) == ([], 0)
        with av.open(str(clip)) as file, av.open(str(tmp_path / name)) as out:
            image = next(bytes(packet) for packet in file.demux(video=1) if packet.size)
            assert [bytes(packet) for packet in out.demux(video=1) if packet.size] == [image]


@pytest.mark.parametrize("name", ["o.mov", "o.webm", "o.webp", "f/%d.png"])
def test_a_cover_image_that_a_file_cannot_hold_is_named(engine: Engine, tmp_path: Path, name: str) -> None:
    clip = add_streams(make_clip(tmp_path / "a.mp4", 3), tmp_path / "b.mp4", cover)
    assert matte_video(clip, tmp_path / name, engine=engine).dropped == ["cover image stream 1 (mjpeg)"]


def test_fonts_are_copied_or_named(engine: Engine, tmp_path: Path) -> None:
    def font(out: Any) -> list[Any]:
        out.add_attachment("a.ttf", "font/ttf", b"a font")
        return []

    clip = add_streams(make_clip(tmp_path / "a.mkv", 4), tmp_path / "b.mkv", font)
    assert matte_video(clip, tmp_path / "o.mkv", engine=engine).dropped == []
    with av.open(str(tmp_path / "o.mkv")) as file:
        attached = [stream for stream in file.streams if stream.type == "attachment"]
        assert [dict(stream.metadata) for stream in attached] == [{"filename": "a.ttf", "mimetype": "font/ttf"}]
    result = matte_video(clip, tmp_path / "o.mp4", engine=engine, background="red")
    assert result.dropped == ["attachment stream 1 (a.ttf)"]


@pytest.mark.parametrize("source", ["b.mov", "b.mp4", "b.mkv"])
@pytest.mark.parametrize("name", ["o.mov", "o.mp4", "o.mkv"])
def test_the_time_code_is_kept(engine: Engine, tmp_path: Path, source: str, name: str) -> None:
    clip = add_streams(make_clip(tmp_path / "a.mp4", 10), tmp_path / source, None, timecode="01:00:59:20")
    for options, expected in (({}, "01:00:59:20"), ({"start": 0.24}, "01:01:00:01")):
        result = matte_video(clip, tmp_path / name, engine=engine, background="red", overwrite=True, **options)
        assert (result.dropped, result.notes) == ([], [])
        with av.open(str(tmp_path / name)) as file:
            tags = {key.lower(): value for key, value in file.streams.video[0].metadata.items()}
            assert tags["timecode"] == expected
    result = matte_video(clip, tmp_path / name, engine=engine, background="red", overwrite=True, fps=50)
    assert result.notes == ["the time code is left out, because it does not fit the frame rate"]


def test_the_time_code_of_a_sequence_is_named(engine: Engine, tmp_path: Path) -> None:
    clip = add_streams(make_clip(tmp_path / "a.mp4", 3), tmp_path / "b.mov", None, timecode="01:00:00:00")
    assert matte_video(clip, tmp_path / "f" / "%d.png", engine=engine).dropped == ["time code stream 1 (unknown)"]


@pytest.mark.parametrize("name", ["o.mkv", "o.mov", "o.mp4"])
@pytest.mark.parametrize("codec", ["ac3", "eac3", "mp3", "alac", "pcm_s16le", "flac", "libopus"])
def test_sound_of_many_kinds_is_copied(engine: Engine, tmp_path: Path, codec: str, name: str) -> None:
    def sound(out: Any) -> list[Any]:
        stream = out.add_stream(codec, rate=48000, layout="stereo")
        resampler = av.AudioResampler(stream.codec_context.format or "s16", "stereo", 48000)
        found: list[Any] = []
        for number in range(8):
            noise = np.random.default_rng(number).integers(-9999, 9999, (1, 2 * 1536), np.int16)
            frame = av.AudioFrame.from_ndarray(noise, "s16", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 1536 * number, Fraction(1, 48000)
            found += [packet for one in resampler.resample(frame) for packet in stream.encode(one)]
        return [*found, *stream.encode(None)]

    clip = add_streams(make_clip(tmp_path / "a.mkv", 6), tmp_path / "b.mkv", sound)
    result = matte_video(clip, tmp_path / name, engine=engine, background="red")
    if name == "o.mov" and codec in ("flac", "libopus"):  # as ffmpeg -c copy: "only supported in MP4"
        assert len(result.dropped) == 1
        return
    assert (result.dropped, result.lost) == ([], 0)
    found, given = (b"".join(data for _, data in packets(path, "audio")) for path in (tmp_path / name, clip))
    assert found == given
