# SPDX-License-Identifier: Apache-2.0
"""HDR to SDR, against values of Report ITU-R BT.2408 and by hand."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tests.video.clips import decode, pictures

from rmbg_trt import Engine
from rmbg_trt.video import matte_video
from rmbg_trt.video.tone_map import HLG, PQ, ToneMapper, hlg_to_nits, nits_to_pq, pq_to_nits, to_sdr

WHITE = 203.0


def hdr_clip(path: Path, codes: list[float], transfer: int, codec: str = "libx265") -> Path:
    """A clip with a column for each gray, given as code values 0..1; 10 bit, limited range, BT.2020."""
    columns = np.repeat(64 + 876 * np.array(codes), 16).round().astype(np.uint16)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options={"x265-params": "lossless=1:log-level=error"})
        stream.width, stream.height, stream.pix_fmt = len(columns), 48, "yuv420p10le"
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = 9, 1, 9, transfer
        for number in range(3):
            frame = av.VideoFrame(len(columns), 48, "yuv420p10le")
            for plane, row in zip(frame.planes, (columns, columns[::2] * 0 + 512, columns[::2] * 0 + 512), strict=True):
                padded = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                padded[:, : len(row)] = row
                plane.update(padded.tobytes())
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def test_transfers() -> None:
    """BT.2408, table 1: the white of 203 cd/m2 is 58 % of PQ and 75 % of HLG; 26 cd/m2 are 38 % of both."""
    assert pq_to_nits(np.array([0.0, 0.5806889, 1.0])) == pytest.approx([0, WHITE, 10000], abs=1e-2)
    assert nits_to_pq(np.array([0, WHITE, 10000])) == pytest.approx([0, 0.5806889, 1], abs=1e-6)
    assert pq_to_nits(np.array(0.38)) == pytest.approx(26, abs=1)
    assert hlg_to_nits(np.array([[0.75] * 3, [0.38] * 3, [1.0] * 3]))[:, 0] == pytest.approx([203, 26, 1000], abs=0.6)


def test_below_the_knee_light_is_the_same_and_above_it_is_compressed() -> None:
    gray = np.array([0.0, 1.0, 10.0, 50.0, 100.0, WHITE, 400.0, 999.0])
    sdr = to_sdr(np.stack([nits_to_pq(gray)] * 3, axis=-1), PQ, 1000.0)
    assert (np.ptp(sdr, axis=1) < 2e-3).all()  # gray stays gray
    assert sdr[:4, 1] == pytest.approx((gray[:4] / WHITE) ** (1 / 2.4), abs=1e-3)
    assert (np.diff(sdr[:, 1]) > 0).all()
    assert 0.85 < sdr[5, 1] < 0.95
    assert sdr[7, 1] == pytest.approx(1, abs=1e-3)


def test_primaries() -> None:
    """A red of BT.709 with 20 cd/m2, written in BT.2020 (BT.2087: 0.6274, 0.0691, 0.0164 of it)."""
    sdr = to_sdr(nits_to_pq(20 * np.array([0.6274, 0.0691, 0.0164])), PQ, 1000.0)
    assert sdr == pytest.approx([(20 / WHITE) ** (1 / 2.4), 0, 0], abs=0.02)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_the_table_is_close_to_the_formula(transfer: int) -> None:
    generator = np.random.default_rng(3)
    base = generator.uniform(0.1, 0.7, (40, 50, 1))
    code = np.clip(base + generator.uniform(-0.06, 0.06, (40, 50, 3)), 0, 1)  # colours as photographs have them
    frame = av.VideoFrame.from_ndarray((code * 65280).round().astype(np.uint16), "rgb48le")
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    mapper = ToneMapper(transfer, 1000.0)
    for _ in range(2):
        found = mapper.map(frame).to_ndarray() / 65535
        assert np.abs(found - to_sdr(code, transfer, 1000.0)).mean() * 255 < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_an_hdr_clip_becomes_sdr(engine: Engine, tmp_path: Path, transfer: int) -> None:
    codes = [0.0, 0.2, 0.3, 0.4, 0.0, 0.0, 0.0, 0.0]
    clip = hdr_clip(tmp_path / "a.mp4", codes, transfer)
    result = matte_video(clip, tmp_path / "o.mp4", engine=engine, background="white", tone_map=True, lossless=True)
    assert result.notes == []
    frame = decode(tmp_path / "o.mp4")[0]
    assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (1, 1, 1)
    found = pictures(tmp_path / "o.mp4")[1][24, 8:64:16, 1]
    nits = (
        pq_to_nits(np.array(codes[:4])) if transfer == PQ else hlg_to_nits(np.array([[c] * 3 for c in codes[:4]]))[:, 0]
    )
    assert found == pytest.approx(255 * (nits / WHITE) ** (1 / 2.4), abs=3)
    kept = matte_video(clip, tmp_path / "p.mp4", engine=engine, background="white")
    assert "--tone-map" in kept.notes[0]
    assert decode(tmp_path / "p.mp4")[0].color_trc == transfer


def test_an_sdr_clip_is_left_alone(engine: Engine, clip: Path, tmp_path: Path) -> None:
    for name, tone_map in (("o.mkv", False), ("p.mkv", True)):
        matte_video(clip, tmp_path / name, engine=engine, tone_map=tone_map)
    for one, other in zip(pictures(tmp_path / "o.mkv"), pictures(tmp_path / "p.mkv"), strict=True):
        assert np.array_equal(one, other)
