# SPDX-License-Identifier: Apache-2.0
"""Sound and subtitles: the same bytes at the same times, or said to be left out."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from tests.video.clips import kinds, make_clip, packets, smooth

from rmbg_trt import Engine
from rmbg_trt.video import VideoOptions, matte_video
from rmbg_trt.video.color import Color
from rmbg_trt.video.formats import choose_format
from rmbg_trt.video.sink import FileSink, StreamInfo

MS = Fraction(1, 1000)


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


def test_sound_that_a_file_cannot_hold_is_said(engine: Engine, tmp_path: Path) -> None:
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
        copies = {each.index: out.add_stream_from_template(each) for each in file.streams}
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
        titles = [(each["start"] * each["time_base"], each["metadata"]["title"]) for each in file.chapters()]
    assert titles == [(0, "Part 0"), (Fraction(1, 5), "Part 1")]
    matte_video(tmp_path / "b.mkv", tmp_path / "p.mkv", engine=engine, start=0.1)
    with av.open(str(tmp_path / "p.mkv")) as file:
        assert file.chapters() == []


def test_packets_that_the_file_refuses_are_counted(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 5, audio=True)
    with av.open(str(clip)) as file:
        sound = file.streams.audio[0]
        shape = StreamInfo((48, 64), Fraction(1, 25), Fraction(25), Color(6, 1), streams=[sound])
        sink = FileSink(tmp_path / "o.mp4", choose_format(tmp_path / "o.mp4", VideoOptions(output="composite")), shape)
        sink.write(smooth(), 0, 1)
        passed = [packet for packet in file.demux(sound) if packet.size]
        passed[3].dts = passed[3].pts = 0
        for packet in passed:
            sink.copy(packet)
        sink.finish()
    assert sink.lost == 1
    assert len(packets(tmp_path / "o.mp4", "audio")) == len(passed) - 1
