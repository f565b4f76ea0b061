# SPDX-License-Identifier: Apache-2.0
"""Which codec a file takes, and what is refused, with advice."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.video.clips import make_clip, pictures, smooth, worst

from rmbg_trt import Engine
from rmbg_trt.errors import InputError
from rmbg_trt.video import VideoOptions, matte_video
from rmbg_trt.video.formats import choose_format


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
def test_default_codec_for_each_suffix(name: str, kind: Any, expected: tuple[str, str, dict[str, str]]) -> None:
    recipe = choose_format(Path(name), VideoOptions.of(output=kind))
    assert (recipe.codec.encoder, recipe.pixel_format) == expected[:2]
    assert expected[2].items() <= dict(recipe.options).items()


@pytest.mark.parametrize(("codec", "preset"), [("h264", "ultrafast"), ("hevc", "slow"), ("av1", "12")])
def test_the_preset_is_the_encoders(codec: str, preset: str) -> None:
    recipe = choose_format(Path("a.mp4"), VideoOptions.of(output="composite", codec=codec, preset=preset))
    assert recipe.options["preset"] == preset


@pytest.mark.parametrize(
    ("name", "kind", "options", "message"),
    [
        ("a.mp4", "cutout", {}, r"no transparency.*mov, webm, mkv, webp or a PNG sequence"),
        ("a.mkv", "cutout", {"codec": "h264"}, "no transparency"),
        ("a.avi", "cutout", {}, "'.avi'; expected .mp4"),
        ("a", "cutout", {}, "'no suffix'"),
        ("a.png", "cutout", {}, r"one image.*a/%06d.png"),
        ("a.webm", "composite", {"codec": "h264"}, "takes vp9 or av1 here"),
        ("a.mp4", "composite", {"codec": "divx"}, "'divx'; expected h264"),
        ("a.mov", "cutout", {"crf": 3}, "prores takes no crf"),
        ("a.mov", "cutout", {"preset": "fast"}, "prores takes no preset; h264, hevc, av1 do"),
        ("a.mp4", "composite", {"preset": "quick"}, "h264 takes ultrafast, superfast, veryfast"),
        ("a.mp4", "composite", {"codec": "av1", "preset": "14"}, "av1 takes 13, 12"),
        ("a.mov", "cutout", {"bitrate": "3M"}, "prores takes no bit rate"),
        ("a.mov", "cutout", {"lossless": True}, "prores is not lossless here; h264"),
        ("a.mp4", "composite", {"crf": 52}, "0 .best. to 51"),
        ("a.mp4", "composite", {"crf": 3, "bitrate": "3M"}, "contradict"),
        ("a.mp4", "composite", {"bitrate": "fast"}, "'fast'; expected bits"),
    ],
)
def test_contradicting_choices_are_refused(name: str, kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_format(Path(name), VideoOptions.of(output=kind, **options))


@pytest.mark.parametrize("name", ["o.mp4", "o.mkv", "o.webm"])
def test_av1(engine: Engine, tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    clip = make_clip(tmp_path / "a.mkv", [smooth(0, 84, 300)] * 2, codec="ffv1", pixel_format="bgr0")
    result = matte_video(clip, tmp_path / name, engine=engine, background="navy", codec="av1", crf=12)
    assert result.notes == []
    assert "Svt" not in capfd.readouterr().err
    for frame in pictures(tmp_path / name):
        assert worst(frame[:, :130], smooth(0, 84, 300)[:, :130]) <= 12


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "ffv1"])
def test_full_chroma_and_odd_sides_are_kept(engine: Engine, tmp_path: Path, codec: str) -> None:
    frame = np.zeros((41, 57, 3), np.uint8)
    frame[:, 1::2] = (255, 0, 0)  # red lines, which 4:2:0 cannot hold
    clip = make_clip(tmp_path / "a.mkv", [frame] * 3, pixel_format="yuv444p")
    result = matte_video(clip, tmp_path / "o.mkv", engine=engine, background="white", codec=codec)
    assert result.notes == []
    found = pictures(tmp_path / "o.mkv")[1]
    assert found.shape == frame.shape
    assert np.abs(found[:, 4:24].astype(int) - frame[:, 4:24]).mean() < 12


@pytest.mark.parametrize(
    ("pixel_format", "size", "name", "options", "notes"),
    [
        ("yuv420p", (48, 64), "o.mp4", {"background": "red"}, []),
        ("yuv420p", (48, 64), "o.webm", {}, []),
        ("yuv444p", (48, 64), "o.webm", {}, ["4:4:4 chroma; libvpx-vp9 stores 4:2:0"]),
        ("yuv444p", (48, 64), "o.mov", {"background": "red", "codec": "prores"}, ["prores_ks stores 4:2:2 here"]),
        ("yuv444p", (48, 64), "o.mov", {}, []),
        ("yuv422p", (48, 64), "o.mp4", {"background": "red"}, ["4:2:2 chroma; libx264 stores 4:2:0"]),
        ("yuv422p", (48, 64), "o.mp4", {"output": "alpha"}, []),
        ("yuv420p", (41, 64), "o.mp4", {"background": "red"}, ["even sides here: .*the result is 64x42"]),
        ("yuv444p", (41, 57), "o.mov", {}, ["even sides here: .*the result is 58x42"]),
        ("gbrp", (48, 64), "o.mp4", {"background": "red"}, []),
    ],
)  # fmt: skip
def test_what_is_lost_is_said(
    engine: Engine, tmp_path: Path, pixel_format: str, size: tuple[int, int], name: str, options: Any, notes: list[str]
) -> None:
    codec = "ffv1" if pixel_format == "gbrp" or size[0] % 2 else "libx264"
    pixel_format = "bgr0" if pixel_format == "gbrp" else pixel_format
    clip = make_clip(tmp_path / "a.mkv", [smooth(0, *size)] * 2, pixel_format=pixel_format, codec=codec)
    result = matte_video(clip, tmp_path / name, engine=engine, **options)
    assert len(result.notes) == len(notes)
    for said, expected in zip(result.notes, notes, strict=True):
        assert re.search(expected, said), said


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="scheduling policies are Linux's")
def test_av1_leaves_no_real_time_thread(engine: Engine, tmp_path: Path) -> None:
    """SVT-AV1 makes them in processes of root; a thread that spins while it waits for an ordinary one then hangs."""

    def policies() -> set[int]:
        found = set()
        for thread in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):
                found.add(os.sched_getscheduler(int(thread.name)))
        return found

    seen: set[int] = set()
    clip = make_clip(tmp_path / "clip.mp4", 4)
    options = {"background": "navy", "codec": "av1"}
    matte_video(clip, tmp_path / "o.mp4", engine=engine, progress=lambda _: seen.update(policies()), **options)
    assert seen | policies() == {os.SCHED_OTHER}
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
