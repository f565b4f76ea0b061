# SPDX-License-Identifier: Apache-2.0
"""Frames to measure with."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rmbg_trt.bench.frames import make_frames
from rmbg_trt.errors import InputError


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (480, 854), (1441, 2559)])
def test_made_frames_are_of_the_size_and_differ(size: tuple[int, int]) -> None:
    frames = make_frames(size)
    assert len(frames) == 4
    assert {(frame.shape, frame.dtype.name, frame.flags.c_contiguous) for frame in frames} == {
        ((*size, 3), "uint8", True)
    }
    assert len({frame.tobytes() for frame in frames}) == 4
    assert not any(np.shares_memory(one, other) for one, other in itertools.pairwise(frames))


def test_a_made_frame_is_like_a_photograph() -> None:
    """Neighbours are alike, yet hardly anywhere the same; the whole range of light is there."""
    frame = make_frames((480, 854))[0].astype(int)
    steps = np.abs(np.diff(frame[..., 1], axis=1))
    assert np.median(steps) <= 6
    assert (steps == 0).mean() < 0.3
    low, high = np.percentile(frame, (2, 98))
    assert high - low > 120


def test_frames_of_a_picture_cover_the_size(tmp_path: Path) -> None:
    picture = np.zeros((50, 200, 3), np.uint8)
    picture[:, :100] = (255, 0, 0)
    picture[:, 100:] = (0, 0, 255)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    frames = make_frames((120, 100), image=tmp_path / "picture.png")
    assert {frame.shape for frame in frames} == {(120, 100, 3)}
    assert frames[0][60, 5].tolist() == [255, 0, 0]
    assert frames[0][60, 95].tolist() == [0, 0, 255]
    assert len({frame.tobytes() for frame in frames}) == 4
    with pytest.raises(InputError, match=r"missing\.png could not be read"):
        make_frames((10, 10), image=tmp_path / "missing.png")


def test_frames_of_a_clip(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "clip.mkv"), "w") as clip:
        stream = clip.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for level in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * level, np.uint8), format="bgr24")
            clip.mux(stream.encode(frame.reformat(format="bgr0")))
        clip.mux(stream.encode())
    frames = make_frames((24, 32), video=tmp_path / "clip.mkv")
    assert [int(frame[12, 16, 0]) for frame in frames] == [0, 100, 200, 0]  # every fifth, and from the start again
    with pytest.raises(InputError):
        make_frames((24, 32), video=tmp_path / "missing.mkv")
