# SPDX-License-Identifier: Apache-2.0
"""Interlaced clips, made of two fields of a moving edge; progressive ones are left alone."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
import pytest
from tests.video.clips import Array, decode, make_clip, pictures, smooth, times

from rmbg_trt import Engine
from rmbg_trt.video import matte_video
from rmbg_trt.video.clip_file import ClipFile
from rmbg_trt.video.deinterlace import deinterlaced

HEIGHT, WIDTH = 64, 96


def field(number: int) -> Array:
    """A bar that moves to the right, far enough for combs between two fields."""
    frame = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    frame[:, 6 * number : 6 * number + 12] = 200
    return frame


def woven(count: int) -> list[Array]:
    """Frames whose even lines are one field and whose odd lines are the next."""
    frames = []
    for number in range(count):
        frame = field(2 * number).copy()
        frame[1::2] = field(2 * number + 1)[1::2]
        frames.append(frame)
    return frames


def combs(frame: Array) -> float:
    """How much lines differ from the mean of their neighbours."""
    gray = frame[..., 1].astype(float)
    return float(np.abs(gray[1:-1] - (gray[:-2] + gray[2:]) / 2).mean())


def interlaced_clip(path: Path, frames: list[Array]) -> Path:
    options = {"x264-params": "interlaced=1:tff=1", "crf": "0"}
    return make_clip(path, frames, options=options, pixel_format="yuv444p")


def test_an_interlaced_clip_is_deinterlaced(engine: Engine, tmp_path: Path) -> None:
    clip = interlaced_clip(tmp_path / "a.mkv", woven(7))
    assert decode(clip)[2].interlaced_frame
    assert combs(pictures(clip)[2]) > 10
    result = matte_video(clip, tmp_path / "o.mkv", engine=engine, background="red", codec="ffv1")
    assert result.notes == ["the clip is interlaced; it was deinterlaced"]
    assert times(tmp_path / "o.mkv") == times(clip)
    found = pictures(tmp_path / "o.mkv")
    for number in range(1, 3):  # the opaque half
        assert combs(found[number][:, :44]) < 2
        off = [np.abs(found[number][:, :44].astype(int) - field(2 * number + which)[:, :44]).mean() for which in (0, 1)]
        assert min(off) < 4  # one of the two fields, whichever the encoder says comes first
    assert not any(frame.interlaced_frame for frame in decode(tmp_path / "o.mkv"))


def test_without_it_frames_are_as_they_are(engine: Engine, tmp_path: Path) -> None:
    clip = interlaced_clip(tmp_path / "a.mkv", woven(4))
    result = matte_video(clip, tmp_path / "o.mkv", engine=engine, background="red", codec="ffv1", deinterlace=False)
    assert result.notes == ["the clip is interlaced and is matted as it is, with comb-like edges"]
    assert combs(pictures(tmp_path / "o.mkv")[2][:, :44]) > 10


def test_progressive_frames_do_not_meet_the_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av.filter, "Graph", None)
    file = ClipFile(make_clip(tmp_path / "a.mp4", 4))
    given = list(file.frames())
    assert all(one is other for one, other in zip(given, deinterlaced(iter(given)), strict=True))
    file.close()


def test_frames_that_become_interlaced_and_change_their_size(tmp_path: Path) -> None:
    """Each frame comes out once, in order, with its own time and colour space."""
    clips = [
        make_clip(tmp_path / "a.mkv", [smooth(n) for n in range(3)]),
        interlaced_clip(tmp_path / "b.mkv", woven(3)),
        interlaced_clip(tmp_path / "c.mkv", [frame[:48, :64] for frame in woven(3)]),
    ]
    found = []

    def everything() -> Iterator[object]:
        for clip in clips:
            file = ClipFile(clip)
            yield from file.frames()
            file.close()

    frames = list(deinterlaced(everything(), lambda: found.append("once")))  # type: ignore[arg-type]
    assert found == ["once"]
    sizes = [(timed.frame.width, timed.frame.height) for timed in frames]
    assert sizes == [(64, 48)] * 3 + [(96, 64)] * 3 + [(64, 48)] * 3
    assert [timed.pts * Fraction(1, 1000) for timed in frames] == [Fraction(n, 25) for n in range(3)] * 3
    assert {timed.frame.colorspace for timed in frames} == {6}
    assert not any(timed.frame.interlaced_frame for timed in frames)
