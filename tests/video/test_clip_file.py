# SPDX-License-Identifier: Apache-2.0
"""Reading a file or a part of it: times, copied packets, damage, and files that cannot be read."""

from __future__ import annotations

import errno
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tests.video.clips import HEIGHT, WIDTH, decode, make_clip, packets, pictures, smooth, times, worst

from rmbg_trt import Engine
from rmbg_trt.errors import Error, InputError
from rmbg_trt.video import clip_file, matte_video

MS = Fraction(1, 1000)


def test_a_broadcast_clock_starts_at_zero(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.ts", time_base=Fraction(1, 90000), pts=[n * 3003 + 10**6 for n in range(6)])
    begin = times(clip)[0]
    assert begin > 10
    matte_video(clip, tmp_path / "o.mp4", engine=engine, background="red")
    assert times(tmp_path / "o.mp4") == [time - begin for time in times(clip)]


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.mp4", "a.nut", "a.asf"])
def test_a_clip_that_begins_late_is_complete(engine: Engine, tmp_path: Path, name: str) -> None:
    """Some formats state when the clip ends, others how long it is."""
    codec = {"a.webm": "libvpx-vp9", "a.asf": "mpeg4"}.get(name, "libx264")
    hours = [10800 * 1000 + 40 * n for n in range(100)]
    clip = make_clip(tmp_path / name, 100, codec=codec, time_base=MS, pts=hours)
    result = matte_video(clip, tmp_path / "o.mkv", engine=engine)
    assert (result.frames, result.missing_s, result.complete) == (100, 0, True)
    part = matte_video(clip, tmp_path / "p.mkv", engine=engine, start=2)
    assert (part.frames, part.complete) == (50, True)
    with pytest.raises(InputError, match=r"lasts [34][.\d]* s; there is nothing at 5 s"):
        matte_video(clip, tmp_path / "q.mkv", engine=engine, start=5)
    if name == "a.mkv":
        noise = clip.read_bytes()
        clip.write_bytes(noise[: len(noise) // 2])
        assert not matte_video(clip, tmp_path / "r.mkv", engine=engine).complete


def test_a_part(engine: Engine, tmp_path: Path) -> None:
    """A part that begins between key frames: the frames before it are decoded, not written."""
    clip = make_clip(tmp_path / "a.mp4", 20, options={"g": "8"})
    result = matte_video(
        clip, tmp_path / "o.mp4", engine=engine, background="blur:1", start=0.4, duration=0.2, lossless=True
    )
    assert times(tmp_path / "o.mp4") == [Fraction(n, 25) for n in range(5)]
    assert result.seconds == pytest.approx(0.16)
    left = [frame[:, :20] for frame in pictures(tmp_path / "o.mp4")]
    assert [min(range(20), key=lambda n: worst(smooth(n)[:, :20], part)) for part in left] == [10, 11, 12, 13, 14]


def test_a_part_after_the_end(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 5)
    with pytest.raises(InputError, match=r"lasts 0.2 s; there is nothing at 3 s"):
        matte_video(clip, tmp_path / "o.mp4", engine=engine, background="red", start=3)


def test_a_raw_stream_without_times_gets_the_usual_rate(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.h264", 6, muxer="h264", options={"bf": "0"})
    matte_video(clip, tmp_path / "o.mp4", engine=engine, background="red")
    steps = {b - a for a, b in zip(times(tmp_path / "o.mp4"), times(tmp_path / "o.mp4")[1:], strict=False)}
    assert steps == {Fraction(1, 25)}


def test_the_sound_of_a_part_is_that_of_the_part(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 50, audio=True, options={"g": "10"})
    matte_video(clip, tmp_path / "o.mp4", engine=engine, background="red", start=0.5, duration=0.8)
    expected = [
        (time - Fraction(1, 2), data) for time, data in packets(clip, "audio") if 0.5 <= time < Fraction(13, 10)
    ]
    got = packets(tmp_path / "o.mp4", "audio")
    assert [data for _, data in got] == [data for _, data in expected]
    assert all(abs(one - other) < MS for (one, _), (other, _) in zip(got, expected, strict=True))


def test_titles_and_languages_are_kept(engine: Engine, tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "a.mkv", 4, audio=True)
    with av.open(str(plain)) as file, av.open(str(tmp_path / "b.mkv"), "w") as out:
        out.metadata["title"] = "A talk"
        copies = {stream.index: out.add_stream_from_template(stream) for stream in file.streams}
        copies[1].metadata["language"] = "fra"
        for packet in file.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    matte_video(tmp_path / "b.mkv", tmp_path / "o.mp4", engine=engine, background="red")
    with av.open(str(tmp_path / "o.mp4")) as file:
        assert file.metadata["title"] == "A talk"
        assert file.streams.audio[0].metadata["language"] == "fra"


def test_chapters_of_a_whole_clip_are_kept(engine: Engine, tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "a.mkv", 10)
    chapters = [
        {"id": n, "start": 200 * n, "end": 200 * (n + 1), "time_base": MS, "metadata": {"title": f"Part {n}"}}
        for n in range(2)
    ]
    with av.open(str(plain)) as file, av.open(str(tmp_path / "b.mkv"), "w") as out:
        copy = out.add_stream_from_template(file.streams.video[0])
        out.set_chapters(chapters)
        for packet in file.demux(video=0):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    matte_video(tmp_path / "b.mkv", tmp_path / "o.mkv", engine=engine)
    with av.open(str(tmp_path / "o.mkv")) as file:
        titles = [
            (chapter["start"] * chapter["time_base"], chapter["metadata"]["title"]) for chapter in file.chapters()
        ]
    assert titles == [(0, "Part 0"), (Fraction(1, 5), "Part 1")]
    matte_video(tmp_path / "b.mkv", tmp_path / "p.mkv", engine=engine, start=0.1)
    with av.open(str(tmp_path / "p.mkv")) as file:
        assert file.chapters() == []


def test_a_file_that_is_no_video(refused: Callable[[Path, str], None], tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"not a video" * 100)
    refused(tmp_path / "a.mp4", "cannot be read as a video")
    (tmp_path / "b.mp4").touch()
    refused(tmp_path / "b.mp4", "cannot be read as a video")


def test_a_file_that_lost_its_end_and_index(refused: Callable[[Path, str], None], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 12)
    clip.write_bytes(clip.read_bytes()[:-1500])
    refused(clip, "may be cut off")


def test_sound_alone(refused: Callable[[Path, str], None], tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "a.mp4", 5, audio=True)
    with av.open(str(whole)) as file, av.open(str(tmp_path / "b.m4a"), "w", format="mp4") as out:
        copied = out.add_stream_from_template(file.streams.audio[0])
        for packet in file.demux(file.streams.audio[0]):
            if packet.size:
                packet.stream = copied
                out.mux(packet)
    refused(tmp_path / "b.m4a", "contains no video, only audio")


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
def test_damaged_frames_are_skipped_and_counted(
    engine: Engine, tmp_path: Path, codec: str, spoilt: list[int], complete: bool
) -> None:
    pixel_format, options = ("rgb24", {}) if codec == "png" else ("yuv420p", {"g": "1"})
    clip = make_clip(tmp_path / "a.mov", 20, codec=codec, pixel_format=pixel_format, options=options)
    data = clip.read_bytes()
    with av.open(str(clip)) as file:
        payloads = [bytes(packet) for packet in file.demux(video=0) if packet.size]
    whole = times(clip)
    for number in spoilt:
        data = data.replace(payloads[number], bytes(len(payloads[number])))
    clip.write_bytes(data)
    result = matte_video(clip, tmp_path / "o.mp4", engine=engine, background="red")
    assert (result.damaged, result.frames) == (len(spoilt), 20 - len(spoilt))
    assert times(tmp_path / "o.mp4") == [time for n, time in enumerate(whole) if n not in spoilt]
    assert result.complete is complete


def test_video_that_nothing_decodes(refused: Callable[[Path, str], None], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.avi", 3, codec="mpeg4")
    clip.write_bytes(clip.read_bytes().replace(b"FMP4", b"ZZZZ"))
    refused(clip, "has video that this FFmpeg has no decoder for")


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EAGAIN])
def test_a_lack_of_memory_or_threads_is_no_damage(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    clip = make_clip(tmp_path / "a.mp4", 4)

    class Refused:
        thread_type, is_hwaccel = "AUTO", False

        def decode(self, packet: object) -> None:
            av.error.err_check(-number)

    monkeypatch.setattr(clip_file, "codec_context", lambda stream: Refused())
    with pytest.raises(Error, match=r"a\.mp4: no memory or thread is left to decode it"):
        matte_video(clip, tmp_path / "o.mov", engine=engine)
    assert not (tmp_path / "o.mov").exists()
