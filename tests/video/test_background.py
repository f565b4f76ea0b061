# SPDX-License-Identifier: Apache-2.0
"""Backgrounds of a composite: colours, images, blur, and clips that loop."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests.image.samples import DISPLAY_P3
from tests.video.clips import HEIGHT, WIDTH, make_clip, pictures, smooth, worst

from rmbg_trt import Engine
from rmbg_trt.errors import InputError
from rmbg_trt.video import matte_video
from rmbg_trt.video.background import BackgroundSource, read_background


@pytest.mark.slow
def test_backgrounds(engine: Engine, clip: Path, tmp_path: Path) -> None:
    Image.new("RGB", (20, 10), (10, 200, 30)).save(tmp_path / "b.png")
    for background, right in (("#0ac81e", (10, 200, 30)), (tmp_path / "b.png", (10, 200, 30)), ((9, 9, 9), (9, 9, 9))):
        matte_video(clip, tmp_path / "o.mp4", engine=engine, background=background, overwrite=True, lossless=True)
        frame = pictures(tmp_path / "o.mp4")[3]
        assert worst(frame[:, 50:], np.full((HEIGHT, 14, 3), right, np.uint8)) <= 3
        assert worst(frame[:, :20], smooth(3)[:, :20]) <= 6
    matte_video(clip, tmp_path / "o.mp4", engine=engine, background="blur:3", overwrite=True)
    assert worst(pictures(tmp_path / "o.mp4")[3][:, 50:56], smooth(3)[:, 50:56]) <= 12


@pytest.mark.parametrize(("background", "words"), [("b.png", "transparent pixels"), ("#ff000000", "not opaque")])
def test_transparent_backgrounds_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, background: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("LA", (20, 10), (10, 200)).save("b.png")
    with pytest.raises(InputError, match=words):
        read_background(background)


def test_the_profile_of_a_background_image_counts(tmp_path: Path) -> None:
    wide = ImageCms.profileToProfile(
        Image.new("RGB", (20, 10), (43, 87, 151)),
        ImageCms.createProfile("sRGB"),
        ImageCms.ImageCmsProfile(io.BytesIO(DISPLAY_P3)),
        renderingIntent=1,
    )
    assert wide is not None
    wide.save(tmp_path / "b.png", icc_profile=DISPLAY_P3)
    assert worst(np.asarray(wide), read_background(tmp_path / "b.png")) > 3
    assert worst(read_background(tmp_path / "b.png"), np.full((10, 20, 3), (43, 87, 151), np.uint8)) <= 1


def test_a_clip_as_background_runs_along_and_begins_again(engine: Engine, tmp_path: Path) -> None:
    grays = [np.full((60, 60, 3), 40 + 50 * n, np.uint8) for n in range(3)]
    background = make_clip(tmp_path / "b.mp4", grays, rate=10)
    clip = make_clip(tmp_path / "a.mp4", 12, rate=20)
    matte_video(clip, tmp_path / "o.mp4", engine=engine, background=background, lossless=True)
    seen = [round((int(frame[5, 60, 1]) - 40) / 50) for frame in pictures(tmp_path / "o.mp4")]
    assert seen == [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]


def test_a_transparent_clip_is_no_background(engine: Engine, clip: Path, tmp_path: Path) -> None:
    matte_video(clip, tmp_path / "b.webm", engine=engine)
    with pytest.raises(InputError, match=r"b\.webm is transparent in places"):
        matte_video(clip, tmp_path / "o.mp4", engine=engine, background=tmp_path / "b.webm")


def test_a_clip_as_background_covers_the_frame(tmp_path: Path) -> None:
    wide = np.zeros((48, 192, 3), np.uint8)
    wide[:, 64:128] = 200
    background = BackgroundSource(make_clip(tmp_path / "b.mp4", [wide] * 2, pixel_format="yuv444p"), (HEIGHT, WIDTH))
    shown = background.at(Fraction(0))
    background.close()
    assert shown.shape == (HEIGHT, WIDTH, 3)
    assert shown[:, 4:-4].min() > 190
