# SPDX-License-Identifier: Apache-2.0
"""A PNG sequence: images, the table of their times, and a folder that is whole or absent."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.video.clips import HEIGHT, MOMENTS, WIDTH, cutouts

from rmbg_trt import Engine
from rmbg_trt.errors import InputError
from rmbg_trt.video import matte_video
from rmbg_trt.video.color import Color
from rmbg_trt.video.png_sequence import PngSink, sequence_folder
from rmbg_trt.video.sink import StreamInfo


def test_png_sequence(tmp_path: Path) -> None:
    given = cutouts()
    info = StreamInfo((HEIGHT, WIDTH), Fraction(1, 30000), Fraction(30000, 1001), Color(1, 1))
    with sequence_folder(tmp_path / "seq", "f%04d.png") as folder:
        sink = PngSink(folder, "f%04d.png", info)
        for result, pts in zip(given, MOMENTS, strict=True):
            sink.write(result, pts, 1001)
        sink.finish()
    names = [f"f{number:04d}.png" for number in range(1, 6)]
    assert sorted(path.name for path in (tmp_path / "seq").iterdir()) == [*names, "timestamps.csv"]
    for one, name in zip(given, names, strict=True):
        back = np.asarray(Image.open(tmp_path / "seq" / name))
        assert np.array_equal(back[..., 3], one[..., 3])
        assert np.array_equal(back[one[..., 3] > 0], one[one[..., 3] > 0])
    with (tmp_path / "seq" / "timestamps.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [(row["file"], int(row["pts"]) * Fraction(row["time_base"])) for row in rows] == [
        (name, Fraction(pts, 30000)) for name, pts in zip(names, MOMENTS, strict=True)
    ]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "seq"
    for text in ("old", "new"):
        with sequence_folder(target, "%06d.png") as part:
            (part / "000001.png").write_text(text)
    assert (target / "000001.png").read_text() == "new"
    with pytest.raises(RuntimeError), sequence_folder(target, "%06d.png") as part:
        raise RuntimeError
    assert [each.name for each in tmp_path.iterdir()] == ["seq"]
    (target / "my notes.txt").touch()
    with pytest.raises(InputError, match="my notes"), sequence_folder(target, "%06d.png"):
        pass
    assert len(list(target.iterdir())) == 2


def test_an_existing_sequence_is_kept_unless_overwrite(engine: Engine, clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "f" / "%06d.png"
    matte_video(clip, target, engine=engine)
    with pytest.raises(InputError, match="already exists"):
        matte_video(clip, target, engine=engine)
    matte_video(clip, target, engine=engine, overwrite=True, duration=0.1)
    assert len(list((tmp_path / "f").glob("*.png"))) == 3
    (tmp_path / "f" / "mine.txt").touch()
    with pytest.raises(InputError, match=r"mine\.txt"):
        matte_video(clip, target, engine=engine, overwrite=True)
