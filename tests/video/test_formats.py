# SPDX-License-Identifier: Apache-2.0
"""Which codec a file takes, and what is refused, with the way out."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from rmbg_trt.errors import InputError
from rmbg_trt.video import VideoOptions
from rmbg_trt.video.formats import choose_format
from rmbg_trt.video.frame_times import parse_frame_rate, parse_seconds


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("a.mp4", "composite", ("libx264", "yuv420p", {"crf": "18"})),
        ("a.MOV", "cutout", ("prores_ks", "yuva444p10le", {"profile": "4444"})),
        ("a.mov", "composite", ("libx264", "yuv420p", {"crf": "18"})),
        ("a.mov", "alpha", ("prores_ks", "yuv422p10le", {"profile": "hq"})),
        ("a.mkv", "cutout", ("ffv1", "bgra", {})),
        ("a.mkv", "alpha", ("ffv1", "gray", {})),
        ("a.mkv", "composite", ("libx264", "yuv420p", {})),
        ("a.webm", "cutout", ("libvpx-vp9", "yuva420p", {"crf": "20", "auto-alt-ref": "0"})),
        ("a.webp", "cutout", ("libwebp_anim", "bgra", {})),
        ("f/%06d.png", "cutout", ("png", "rgba", {})),
    ],
)
def test_what_a_suffix_means(name: str, kind: Any, expected: tuple[str, str, dict[str, str]]) -> None:
    recipe = choose_format(Path(name), VideoOptions(output=kind))
    assert (recipe.codec.encoder, recipe.pixel_format) == expected[:2]
    assert expected[2].items() <= dict(recipe.options).items()


@pytest.mark.parametrize(
    ("name", "kind", "options", "message"),
    [
        ("a.mp4", "cutout", {}, r"no transparency.*mov, webm, mkv, webp or a PNG sequence"),
        ("a.mkv", "cutout", {"codec": "h264"}, "no transparency"),
        ("a.avi", "cutout", {}, "'.avi'; expected .mp4"),
        ("a", "cutout", {}, "'no suffix'"),
        ("a.png", "cutout", {}, r"one picture.*a/%06d.png"),
        ("a.webm", "composite", {"codec": "h264"}, "takes vp9 here"),
        ("a.mp4", "composite", {"codec": "divx"}, "'divx'; expected h264"),
        ("a.mov", "cutout", {"crf": 3}, "prores takes no crf"),
        ("a.mov", "cutout", {"bitrate": "3M"}, "prores takes no bit rate"),
        ("a.mov", "cutout", {"lossless": True}, "prores is not lossless here; h264"),
        ("a.mp4", "composite", {"crf": 52}, "0 .best. to 51"),
        ("a.mp4", "composite", {"crf": 3, "bitrate": "3M"}, "contradict"),
        ("a.mp4", "composite", {"bitrate": "fast"}, "'fast'; expected bits"),
    ],
)
def test_what_does_not_go_together(name: str, kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_format(Path(name), VideoOptions(output=kind, **options))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("12.5", Fraction(25, 2)), ("1:02.5", Fraction(125, 2)), ("1:00:02", 3602), ("0", 0), (".1", Fraction(1, 10))],
)
def test_seconds(text: str, expected: Fraction) -> None:
    assert parse_seconds(text, "--start") == expected


@pytest.mark.parametrize("text", ["", "a", "-1", "1/2", "1:2:3:4", "1e3", "1::2"])
def test_what_is_no_time(text: str) -> None:
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
def test_what_is_no_frame_rate(text: str) -> None:
    with pytest.raises(InputError, match="frame rate"):
        parse_frame_rate(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "composite"}, "needs a background"),
        ({"output": "alpha", "background": "red"}, "leave it out"),
        ({"output": "mask"}, "'mask'; expected"),
        ({"start": -1}, "start is -1"),
        ({"duration": 0}, "duration is 0"),
        ({"fps": 0}, "frame rate is 0"),
        ({"width": 0}, "width is 0"),
        ({"height": 100_000}, "height is 100000"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        VideoOptions(**options).check()
