# SPDX-License-Identifier: Apache-2.0
"""The time of each frame: kept to the tick, repaired if missing, and made constant on request."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tests.video.clips import make_clip, pictures, smooth, times, worst

from rmbg_trt import Engine
from rmbg_trt.errors import InputError
from rmbg_trt.video import matte_video
from rmbg_trt.video.frame_times import FrameTimes, Timed, at_rate, parse_frame_rate, parse_seconds

MS = Fraction(1, 1000)
FILM, NTSC = Fraction(24000, 1001), Fraction(30000, 1001)


def clip_of(path: Path, kind: str) -> Path:
    """A clip with an unusual clock."""
    tick = Fraction(1, 90000)
    clips: dict[str, dict[str, Any]] = {
        "film": {"rate": FILM},
        "ntsc": {"rate": NTSC},
        "variable": {"time_base": tick, "pts": [0, 3000, 3754, 20001, 20002, 90001]},
        "late": {"time_base": Fraction(1, 600), "pts": [77, 101, 120, 150, 151, 200]},
        "b-frames": {"rate": 25, "options": {"bf": "3", "b_adapt": "0", "crf": "18"}, "frames": 14},
    }
    options = clips[kind]
    return make_clip(path, options.pop("frames", 6), **options)


@pytest.mark.parametrize("kind", ["film", "ntsc", "variable", "late", "b-frames"])
@pytest.mark.parametrize("name", ["o.mp4", "o.mov"])
def test_times_are_kept_to_the_tick(engine: Engine, tmp_path: Path, kind: str, name: str) -> None:
    clip = clip_of(tmp_path / "a.mp4", kind)
    result = matte_video(clip, tmp_path / name, engine=engine, background="red")
    assert times(tmp_path / name) == times(clip)
    assert (result.frames, result.repaired) == (len(times(clip)), 0)


@pytest.mark.parametrize("kind", ["film", "variable", "late"])
@pytest.mark.parametrize("name", ["o.mkv", "o.webm"])
def test_matroska_rounds_to_its_milliseconds(engine: Engine, tmp_path: Path, kind: str, name: str) -> None:
    clip = clip_of(tmp_path / "a.mp4", kind)
    matte_video(clip, tmp_path / name, engine=engine)
    for before, after in zip(times(clip), times(tmp_path / name), strict=True):
        assert abs(before - after) <= MS / 2


def test_times_of_matroska_stay_equal_in_every_other_file(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", time_base=MS, pts=[0, 17, 50, 67, 1000, 1033])
    for name in ("o.mkv", "o.mp4", "o.mov", "o.webm"):
        matte_video(clip, tmp_path / name, engine=engine, background="red")
        assert times(tmp_path / name) == times(clip)


def test_a_constant_rate_repeats_and_skips_frames(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 5, time_base=Fraction(1, 100), pts=[0, 1, 10, 50, 60])
    result = matte_video(clip, tmp_path / "o.mp4", engine=engine, background="red", fps=10, lossless=True)
    assert times(tmp_path / "o.mp4")[:6] == [Fraction(n, 10) for n in range(6)]
    assert result.frames == len(times(tmp_path / "o.mp4"))
    left = [frame[:, :20] for frame in pictures(tmp_path / "o.mp4")][:7]
    shown = [min(range(5), key=lambda n: worst(smooth(n)[:, :20], part)) for part in left]
    assert shown == [0, 2, 2, 2, 2, 3, 4]


def test_at_rate_by_hand() -> None:
    frames = [Timed("a", 3, 4), Timed("b", 7, 1), Timed("c", 8, 4), Timed("d", 12, 8)]
    converted = list(at_rate(frames, Fraction(1, 8), Fraction(2)))  # a tick of it is 4 ticks of the clip
    assert converted == [Timed("a", 0, 1, 2), Timed("c", 2, 1, 1), Timed("d", 3, 1, 2)]
    assert list(at_rate([Timed("a", 0, 2), Timed("b", 2, 2)], Fraction(1, 8), Fraction(2))) == [Timed("a", 0, 1, 1)]
    assert list(at_rate([], Fraction(1), Fraction(1))) == []
    assert list(at_rate([Timed("a", 5, 0)], Fraction(1), Fraction(1))) == [Timed("a", 5, 1, 1)]


def test_missing_and_falling_times_are_repaired() -> None:
    clock = FrameTimes(usual=10)
    given = [(None, 0), (None, 7), (None, 0), (40, 10), (30, 10), (30, 0), (None, 0), (100, 0)]
    assert [clock.next(*frame) for frame in given] == [0, 10, 17, 40, 41, 42, 52, 100]
    assert clock.repaired == 6


@pytest.mark.parametrize(
    ("text", "expected"),
    [("12.5", Fraction(25, 2)), ("1:02.5", Fraction(125, 2)), ("1:00:02", 3602), ("0", 0), (".1", Fraction(1, 10))],
)
def test_seconds(text: str, expected: Fraction) -> None:
    assert parse_seconds(text, "--start") == expected


@pytest.mark.parametrize("text", ["", "a", "-1", "1/2", "1:2:3:4", "1e3", "1::2"])
def test_invalid_times(text: str) -> None:
    with pytest.raises(InputError, match="--start is"):
        parse_seconds(text, "--start")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("25", 25),
        ("23.976", Fraction(24000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        ("12.5", Fraction(25, 2)),
    ],
)
def test_frame_rate(text: str, expected: Fraction) -> None:
    assert parse_frame_rate(text) == expected


@pytest.mark.parametrize("text", ["0", "-5", "fast", "1/0", "2000"])
def test_invalid_frame_rates(text: str) -> None:
    with pytest.raises(InputError, match="frame rate"):
        parse_frame_rate(text)
