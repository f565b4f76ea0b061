# SPDX-License-Identifier: Apache-2.0
"""Clips with more than 8 bits a channel: the result keeps them, in colors; HDR stays HDR."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.video.clips import decode

from rmbg_trt import Engine
from rmbg_trt.video import matte_video
from rmbg_trt.video.deep import DeepFinisher
from rmbg_trt.video.tone_map import HLG, PQ, from_sdr, to_sdr

WIDTH, HEIGHT = 1024, 32
RAMP = np.arange(WIDTH)  # each column another value of 10 bits


def ten_bit_clip(path: Path, pixel_format: str = "yuv444p10le", transfer: int = 2, primaries: int = 2) -> Path:
    """A gray ramp, and chroma in the middle: limited range, without loss."""
    luma = (64 + RAMP * 876 / 1023).round().astype(np.uint16)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        context: Any = stream.codec_context
        context.colorspace, context.color_range = (9 if transfer != 2 else 1), 1
        context.color_trc, context.color_primaries = transfer, primaries
        for number in range(3):
            frame = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
            for index, plane in enumerate(frame.planes):
                rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                rows[:, : plane.width] = luma if index == 0 else 512
                plane.update(rows.tobytes())
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def deep_gray(frame: Any) -> NDArray[np.float64]:
    """The green of a line, 0..1023. From YUV, swscale makes white 65280."""
    white = 65535 if frame.format.name.startswith("gbr") else 65280
    pixels: NDArray[np.float64] = frame.to_ndarray(format="rgb48le")[HEIGHT // 2, :, 1] / white * 1023
    return pixels


@pytest.mark.parametrize(
    ("name", "options", "pixel_format"),
    [
        ("o.mkv", {}, "gbrap12le"),
        ("o.mkv", {"background": "red", "codec": "ffv1"}, "gbrp12le"),
        ("o.mov", {}, "yuva444p12le"),
        ("o.mov", {"background": "red", "codec": "prores"}, "yuv422p10le"),
        ("o.mp4", {"background": "red", "codec": "hevc", "crf": 4}, "yuv444p10le"),
        ("o.mp4", {"background": "red", "codec": "av1", "crf": 5}, "yuv420p10le"),
        ("o.mkv", {"background": "blur", "codec": "ffv1"}, "gbrp12le"),
    ],
)
def test_ten_bits_are_kept(engine: Engine, tmp_path: Path, name: str, options: Any, pixel_format: str) -> None:
    clip = ten_bit_clip(tmp_path / "a.mkv")
    matte_video(clip, tmp_path / name, engine=engine, decontaminate=False, **options)
    frame = decode(tmp_path / name)[1]
    assert frame.format.name == pixel_format
    found = deep_gray(frame)[:480]  # the opaque half
    assert len(np.unique(found.round())) > 390  # 10 bits of limited range have 411 here, 8 bits 120
    assert np.abs(found - RAMP[:480]).mean() < (1.2 if "crf" in options else 0.6)


def test_what_has_8_bits_says_so(engine: Engine, tmp_path: Path) -> None:
    clip = ten_bit_clip(tmp_path / "a.mkv", "yuv420p10le")
    for name, options in (("o.mp4", {"background": "red"}), ("o.webm", {}), ("f/%d.png", {})):
        result = matte_video(clip, tmp_path / name, engine=engine, **options)
        assert "the clip has 10 bits a channel" in result.notes[0]
    result = matte_video(clip, tmp_path / "p.mkv", engine=engine, premultiplied=True)
    assert result.notes == ["a premultiplied result has 8 bits a channel"]
    assert matte_video(clip, tmp_path / "q.mkv", engine=engine, output="alpha").notes == []


@pytest.mark.parametrize(("transfer", "white"), [(PQ, 0.5807), (HLG, 0.75)])
def test_hdr_stays_hdr_and_the_background_has_the_white_of_sdr(
    engine: Engine, tmp_path: Path, transfer: int, white: float
) -> None:
    clip = ten_bit_clip(tmp_path / "a.mkv", "yuv420p10le", transfer, primaries=9)
    matte_video(clip, tmp_path / "o.mp4", engine=engine, background="white", codec="hevc", crf=4)
    frame = decode(tmp_path / "o.mp4")[1]
    assert (frame.format.name, frame.colorspace) == ("yuv420p10le", 9)
    assert (frame.color_primaries, frame.color_trc) == (9, transfer)
    luma = np.frombuffer(frame.planes[0], np.uint16).reshape(HEIGHT, -1)[HEIGHT // 2, :WIDTH]
    assert (luma[900] - 64) / 876 == pytest.approx(white, abs=0.004)
    assert np.abs(luma[:480].astype(int) - (64 + RAMP[:480] * 876 / 1023)).mean() < 1.5


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_from_sdr_is_the_inverse_of_to_sdr_for_dark_colors(transfer: int) -> None:
    """Below the knee of the curve; the primaries are there and back."""
    code = np.random.default_rng(1).uniform(0.2, 0.55, (50, 3))
    assert to_sdr(from_sdr(code, transfer), transfer, 1000.0) == pytest.approx(code, abs=2e-3)


def test_the_engines_change_of_a_color_is_made_to_the_deep_color() -> None:
    deep = np.array([[[1000, 30000, 65535]]], np.uint16)
    pixels = (deep // 257).astype(np.uint8)
    cutout = np.dstack([pixels + np.array([5, -10, 0], np.int8).view(np.uint8), np.uint8([[[51]]])])
    found = DeepFinisher("cutout", 1).finish(cutout, pixels, deep, None)
    assert found.tolist() == [[[1000 + 5 * 257, 30000 - 10 * 257, 65535, 51 * 257]]]
    composite = DeepFinisher("composite", 1).finish(cutout, pixels, deep, (255, 0, 10))
    expected = (0.2 * np.array([2285, 27430, 65535]) + 0.8 * 257 * np.array([255, 0, 10])).round()
    assert composite[0, 0].tolist() == pytest.approx(expected.tolist(), abs=1)


def test_the_blur_leaves_the_subject_out() -> None:
    """A bright subject before an even background: the blurred background is as even."""
    deep = np.full((40, 60, 3), 20000, np.uint16)
    deep[:, :20] = 60000
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:, :20] = 255
    pixels = (deep // 257).astype(np.uint8)
    found = DeepFinisher("composite", 1).finish(np.dstack([pixels, alpha]), pixels, deep, "blur:4")
    assert (found[:, :20] == 60000).all()
    assert np.abs(found[:, 20:].astype(int) - 20000).max() < 200


def test_a_turned_clip_keeps_its_bits(engine: Engine, tmp_path: Path) -> None:
    frames = [np.dstack([np.full((48, 64), 100 + 20 * n, np.uint8)] * 3) for n in range(2)]
    with av.open(str(tmp_path / "a.mov"), "w") as out:
        stream = out.add_stream("prores_ks", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv422p10le"
        stream.set_display_rotation(90)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv422p10le")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    matte_video(tmp_path / "a.mov", tmp_path / "o.mkv", engine=engine)
    found = decode(tmp_path / "o.mkv")[1]
    assert (found.width, found.height, found.format.name) == (48, 64, "gbrap12le")
    assert abs(deep_gray_of(found) - 120) < 2


def deep_gray_of(frame: Any) -> float:
    return float(frame.to_ndarray(format="rgba64le")[30, 5, 1]) / 257
