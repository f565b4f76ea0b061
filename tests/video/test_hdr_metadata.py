# SPDX-License-Identifier: Apache-2.0
"""Static HDR metadata, through x265 and SVT-AV1 and back."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from tests.video.clips import decode

from rmbg_trt import Engine
from rmbg_trt.video import matte_video
from rmbg_trt.video.hdr_metadata import HdrMetadata
from rmbg_trt.video.tone_map import peak_of

DISPLAY = (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329, 0.005, 4000.0)  # BT.2020, 0.005 to 4000 cd/m2
LIGHT = (1200, 400)
X265 = "master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(40000000,50):max-cll=1200,400"


@pytest.fixture
def hdr10(tmp_path: Path) -> Path:
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        stream = out.add_stream("libx265", rate=25, options={"x265-params": f"log-level=error:bframes=0:{X265}"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p10le"
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = 9, 1, 9, 16
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 90, np.uint8), "rgb24")
            frame = frame.reformat(format="yuv420p10le")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return tmp_path / "a.mp4"


def test_a_frame_is_read(hdr10: Path) -> None:
    frame = decode(hdr10)[0]
    metadata = HdrMetadata.of(frame)
    assert metadata.light == LIGHT
    assert metadata.display == pytest.approx(DISPLAY, abs=1e-5)
    assert metadata.options("libx265") == {"x265-params": X265}
    assert metadata.options("ffv1") == {}
    assert peak_of(frame) == 1200


@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_it_is_kept(engine: Engine, hdr10: Path, tmp_path: Path, codec: str) -> None:
    matte_video(hdr10, tmp_path / "o.mp4", engine=engine, background="white", codec=codec)
    found = HdrMetadata.of(decode(tmp_path / "o.mp4")[0])
    assert found.light == LIGHT
    assert found.display == pytest.approx(DISPLAY, abs=1e-3)


def test_what_is_left_out_is_said(engine: Engine, hdr10: Path, tmp_path: Path) -> None:
    result = matte_video(hdr10, tmp_path / "o.mov", engine=engine)
    assert any("the metadata of HDR" in note for note in result.notes)
    mapped = matte_video(hdr10, tmp_path / "p.mp4", engine=engine, background="white", tone_map=True)
    assert mapped.notes == []
