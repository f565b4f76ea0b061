# SPDX-License-Identifier: Apache-2.0
"""Frames are read with the right colours, upright, at 8 bits."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest
from tests.video.clips import HEIGHT, WIDTH, decode, make_clip, smooth, worst

from rmbg_trt import Engine
from rmbg_trt.video import matte_video
from rmbg_trt.video.color import Reader
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
def test_a_missing_matrix_is_guessed_from_the_size(tmp_path: Path, size: tuple[int, int], matrix: int) -> None:
    flat = np.full((*size, 3), (200, 60, 40), np.uint8)
    tagged = make_clip(tmp_path / "a.mkv", [flat], matrix=matrix, codec="ffv1", pixel_format="yuv444p")
    with av.open(str(tagged)) as file, av.open(str(tmp_path / "b.mkv"), "w") as out:
        frame = next(file.decode(video=0))
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv444p"
        frame.colorspace, frame.color_range, frame.pts = 2, 0, 0
        out.mux(stream.encode(frame))
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
def test_rotated_and_mirrored_clips_become_upright(engine: Engine, tmp_path: Path, rotation: int, hflip: bool) -> None:
    """The result is upright and stores no rotation. FFmpeg rotates counterclockwise."""
    stored = smooth()
    clip = make_clip(tmp_path / "a.mp4", [stored], rotation=rotation, hflip=hflip, pixel_format="yuv444p")
    turned = np.rot90(stored, rotation // 90)
    upright = turned[:, ::-1] if hflip else turned
    assert worst(first(clip), upright) <= 2
    matte_video(clip, tmp_path / "o.mp4", engine=engine, background="#808080")
    frame = decode(tmp_path / "o.mp4")[0]
    assert (frame.height, frame.width) == upright.shape[:2]
    assert frame.rotation == 0


@pytest.mark.parametrize("pixel_format", ["nv12", "p010le"])
def test_frames_as_a_gpu_gives_them(tmp_path: Path, pixel_format: str) -> None:
    planar = "yuv420p" if pixel_format == "nv12" else "yuv420p10le"
    frame = decode(make_clip(tmp_path / "a.mp4", 1, pixel_format=planar))[0]
    given = frame.reformat(format=pixel_format)  # the same numbers, chroma interleaved
    given.colorspace, given.color_range = frame.colorspace, frame.color_range
    pixels = Reader().read(given).copy()
    assert worst(pixels, Reader().read(frame)) <= 1
    assert worst(pixels, smooth()) <= 3
