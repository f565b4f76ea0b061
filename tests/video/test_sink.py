# SPDX-License-Identifier: Apache-2.0
"""Known pixels through every format and back; sound and subtitles, copied or reported as dropped."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from tests.video.clips import (
    EXACT,
    HEIGHT,
    MOMENTS,
    WIDTH,
    Array,
    alpha_of,
    cutouts,
    decode,
    kinds,
    make_clip,
    packets,
    pictures,
    smooth,
    worst,
)

from rmbg_trt import Engine
from rmbg_trt.video import VideoOptions, matte_video
from rmbg_trt.video.color import Color
from rmbg_trt.video.formats import choose_format
from rmbg_trt.video.sink import FileSink, StreamInfo

MS = Fraction(1, 1000)


def shape(color: Color | None = None, size: tuple[int, int] = (HEIGHT, WIDTH)) -> StreamInfo:
    return StreamInfo(size, Fraction(1, 30000), Fraction(30000, 1001), color or Color(1, 1))


def write(path: Path, results: list[Array], kind: Any, about: StreamInfo | None = None, **quality: Any) -> Path:
    sink = FileSink(path, choose_format(path, VideoOptions.of(output=kind, **quality)), about or shape())
    for result, pts in zip(results, MOMENTS, strict=True):
        sink.write(result, pts, 1001)
    sink.finish()
    return path


@pytest.mark.parametrize(
    ("name", "quality", "alpha_within", "colour_within"),
    [
        ("a.mkv", {}, 0, 0),
        ("a.mov", {}, 0, 2),
        ("a.webm", {"lossless": True}, 0, 2),
        ("a.webm", {"crf": 10}, 12, 8),
        ("a.mkv", {"codec": "prores"}, 0, 2),
    ],
)
def test_a_cutout_comes_back(
    tmp_path: Path, name: str, quality: dict[str, Any], alpha_within: int, colour_within: int
) -> None:
    given = cutouts()
    back = decode(write(tmp_path / name, given, "cutout", **quality))
    assert len(back) == len(given)
    for one, frame in zip(given, back, strict=True):
        assert worst(one[..., 3], alpha_of(frame)) <= alpha_within
        visible = one[..., 3] > 0
        other = frame.to_ndarray(format="rgb24", interpolation=EXACT)
        assert worst(one[visible][:, :3], other[visible]) <= colour_within


def test_full_alpha_in_prores_is_the_largest_number(tmp_path: Path) -> None:
    """1020 of 1023 would show the background through, faintly."""
    opaque = [np.full((HEIGHT, WIDTH, 4), 255, np.uint8)] * len(MOMENTS)
    frame = decode(write(tmp_path / "a.mov", opaque, "cutout"))[0]
    assert frame.format.name == "yuva444p12le"
    assert np.frombuffer(frame.planes[3], np.uint16).min() == 4095


def test_lossless_files_do_not_hold_the_background_that_was_taken_out(tmp_path: Path) -> None:
    given = cutouts()
    back = pictures(write(tmp_path / "a.mkv", given, "cutout"), "rgba")[0]
    assert not back[given[0][..., 3] == 0].any()


@pytest.mark.parametrize("lossless", [True, False])
def test_animated_webp(tmp_path: Path, lossless: bool) -> None:
    given = cutouts()
    with Image.open(write(tmp_path / "a.webp", given, "cutout", lossless=lossless)) as file:
        assert file.n_frames == len(given)
        durations = []
        for number, one in enumerate(given):
            file.seek(number)
            back = np.asarray(file.convert("RGBA"))
            durations.append(file.info["duration"])
            visible = one[..., 3] > 0
            assert worst(one[..., 3], back[..., 3]) == 0
            assert worst(one[visible][:, :3], back[visible][:, :3]) <= (0 if lossless else 60)
    starts = [round(pts / 30) for pts in [*MOMENTS, MOMENTS[-1] + 1001]]
    assert durations == np.diff(starts).tolist()


@pytest.mark.parametrize(
    ("name", "quality", "within"),
    [("a.mkv", {}, 0), ("a.mp4", {"lossless": True}, 0), ("a.webm", {"lossless": True}, 0), ("a.mov", {}, 3)],
)
def test_the_alpha_alone_reads_back_equal(tmp_path: Path, name: str, quality: dict[str, Any], within: int) -> None:
    ramp = np.tile(np.linspace(0, 255, WIDTH).round().astype(np.uint8), (HEIGHT, 1))
    write(tmp_path / name, [ramp] * len(MOMENTS), "alpha", **quality)
    for pixel_format in ("gray", "rgb24"):
        back = pictures(tmp_path / name, pixel_format)[2]
        assert worst(back, ramp if pixel_format == "gray" else np.dstack([ramp] * 3)) <= within


@pytest.mark.parametrize("color", [Color(1, 1, 1, 1), Color(6, 1, 6, 6), Color(1, 2, 1, 13), Color(5, 2), Color(9, 1)])
@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.mov"])
def test_colours_are_written_with_their_matrix_and_range_and_tagged(tmp_path: Path, name: str, color: Color) -> None:
    given = [smooth(n) for n in range(len(MOMENTS))]
    quality: dict[str, Any] = {"codec": "prores"} if name == "a.mov" else {"lossless": True}
    path = write(tmp_path / name, given, "composite", shape(color), **quality)
    frame = decode(path)[0]
    expected_range = 1 if name == "a.mov" else color.range
    matrix = {5: (5, 6)}.get(color.matrix, (color.matrix,))
    assert frame.colorspace in matrix
    assert frame.color_range == expected_range
    assert worst(frame.to_ndarray(format="rgb24", interpolation=EXACT), given[0]) <= 3
    if name != "a.webm":
        assert (frame.color_primaries, frame.color_trc) == (color.primaries, color.transfer)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.webp"])
def test_odd_sides(tmp_path: Path, name: str) -> None:
    given = cutouts(31, 45)
    kind = "composite" if name == "a.mp4" else "cutout"
    results = [one[..., :3].copy() if kind == "composite" else one for one in given]
    path = write(tmp_path / name, results, kind, shape(size=(31, 45)))
    if name == "a.webp":
        assert Image.open(path).size == (45, 31)
        return
    frame = decode(path)[0]
    assert (frame.height, frame.width) == ((32, 46) if name in ("a.mp4", "a.mov") else (31, 45))
    back = frame.to_ndarray(format="rgb24", interpolation=EXACT)
    seen = given[0][..., 3] > 0
    assert worst(back[:31, :45][seen], given[0][seen][:, :3]) <= 12
    assert worst(back[-1], back[30]) <= 4


def test_hevc_has_the_tag_that_apple_plays(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [smooth(n) for n in range(len(MOMENTS))], "composite", codec="hevc")
    with av.open(str(path)) as file:
        assert file.streams.video[0].codec_context.codec_tag == "hvc1"


def test_bit_rate(tmp_path: Path) -> None:
    noise = [np.random.default_rng(n).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for n in range(len(MOMENTS))]
    sizes = [
        write(tmp_path / f"{rate}.mp4", noise, "composite", bitrate=rate).stat().st_size for rate in ("100k", "8M")
    ]
    assert sizes[0] * 3 < sizes[1]


@pytest.mark.parametrize("source", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv"])
def test_sound_is_copied_to_the_byte(engine: Engine, tmp_path: Path, source: str, name: str) -> None:
    clip = make_clip(tmp_path / source, 8, audio=True)
    result = matte_video(clip, tmp_path / name, engine=engine, background="red")
    before, after = packets(clip, "audio"), packets(tmp_path / name, "audio")
    head = 7 if source == "a.ts" else 0  # ADTS, which only broadcast formats have before each packet
    assert [data[head:] for _, data in before] == [data for _, data in after]
    assert (result.dropped, result.lost) == ([], 0)
    between = [sound - packets(clip, "video")[0][0] for sound, _ in before]
    for one, (sound, _) in zip(between, after, strict=True):
        assert abs(one - (sound - packets(tmp_path / name, "video")[0][0])) <= MS


def test_sound_that_a_file_cannot_hold_is_reported(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 4, audio=True)
    for name in ("o.webm", "o.webp", "f/%06d.png"):
        result = matte_video(clip, tmp_path / name, engine=engine)
        assert len(result.dropped) == 1
        assert "audio stream 1" in result.dropped[0]


def test_no_audio(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", 4, audio=True, subtitles=True)
    result = matte_video(clip, tmp_path / "o.mkv", engine=engine, audio=False)
    assert kinds(tmp_path / "o.mkv") == ["video", "subtitle"]
    assert result.dropped == []


def test_subtitles(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", 8, audio=True, subtitles=True)
    matte_video(clip, tmp_path / "o.mkv", engine=engine)
    assert packets(tmp_path / "o.mkv", "subtitle") == packets(clip, "subtitle")
    assert [data for _, data in packets(clip, "subtitle")] == [b"line 0", b"line 1"]
    result = matte_video(clip, tmp_path / "o.mp4", engine=engine, background="red")
    assert kinds(tmp_path / "o.mp4") == ["video", "audio"]
    assert result.dropped == ["subtitle stream 2 (srt)"]


def test_packets_that_the_file_does_not_accept_are_counted(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 5, audio=True)
    with av.open(str(clip)) as file:
        sound = file.streams.audio[0]
        shape = StreamInfo((48, 64), Fraction(1, 25), Fraction(25), Color(6, 1), streams=[sound])
        sink = FileSink(
            tmp_path / "o.mp4", choose_format(tmp_path / "o.mp4", VideoOptions.of(output="composite")), shape
        )
        sink.write(smooth(), 0, 1)
        passed = [packet for packet in file.demux(sound) if packet.size]
        passed[3].dts = passed[3].pts = 0
        for packet in passed:
            sink.copy(packet)
        sink.finish()
    assert sink.lost == 1
    assert len(packets(tmp_path / "o.mp4", "audio")) == len(passed) - 1
