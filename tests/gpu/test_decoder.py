# SPDX-License-Identifier: Apache-2.0
"""The GPU's own decoder gives the processor's frames: H.264 and HEVC say every number of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rmbg_trt import _core

pytest.importorskip("av")

from tests.video.clips import make_clip

from rmbg_trt.video.decoder import Decoder
from rmbg_trt.video.source import Source


@pytest.fixture(autouse=True)
def a_real_gpu() -> None:
    if _core.cuda_devices()[0]["name"] == "CPU stand-in":
        pytest.skip("the stand-in decodes no video")


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("rotation", [0, 90])
def test_frames_of_the_gpu(tmp_path: Path, codec: str, rotation: int) -> None:
    # As large as every generation of decoders takes.
    y, x = np.mgrid[:256, :320]
    pictures = [np.dstack([x * 255 // 319, y, (x + 9 * number) % 256]).astype(np.uint8) for number in range(6)]
    options = {"crf": "18"} if codec == "libx264" else {"crf": "18", "x265-params": "log-level=none"}
    clip = make_clip(tmp_path / "a.mp4", pictures, codec=codec, rotation=rotation, audio=True, options=options)
    with Source(clip, decoder=Decoder(0, required=True)) as ours, Source(clip) as usual:
        assert ours.file.stream.codec_context.is_hwaccel
        assert ours.report.notes == []
        for number, (made, expected) in enumerate(zip(ours.frames(), usual.frames(), strict=True)):
            assert (made.pts, made.duration) == (expected.pts, expected.duration)
            assert made.pixels.shape == expected.pixels.shape
            difference = np.abs(made.pixels.astype(int) - expected.pixels)
            assert difference.max() <= 2, number  # NV12 and planar chroma are scaled alike but for rounding
