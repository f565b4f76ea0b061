# SPDX-License-Identifier: Apache-2.0
"""The table of a prepared set."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from tests.training.made_pairs import make_set

from rmbg_trt.errors import Error, InputError
from rmbg_trt.training.data import Pair, create_csv, read_pairs
from rmbg_trt.training.data.pairs import compare_data, fingerprint

HEAD = "image_name,image_path,mask_path,category,split\n"


def _pairs(folder: Path) -> list[Pair]:
    return [
        Pair("a_00001", folder / "images/a,1.jpg", folder / "masks/a.png", "a", "train"),
        Pair("b_00001", folder / 'images/ü "b".jpg', Path("/elsewhere/b.png"), "b", "val"),
    ]


def test_round_trip_and_move(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    create_csv(_pairs(here), here / "pairs.csv")
    assert read_pairs(here) == _pairs(here)
    assert read_pairs(str(here / "pairs.csv"), "val") == _pairs(here)[1:]
    shutil.move(here, tmp_path / "there")
    assert read_pairs(tmp_path / "there") == _pairs(tmp_path / "there")


def test_what_is_written(tmp_path: Path) -> None:
    create_csv(_pairs(tmp_path)[:1], tmp_path / "pairs.csv")
    assert (tmp_path / "pairs.csv").read_text() == HEAD + 'a_00001,"images/a,1.jpg",masks/a.png,a,train\n'


def test_relative_table_gives_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_csv(_pairs(tmp_path), tmp_path / "pairs.csv")
    monkeypatch.chdir(tmp_path)
    assert read_pairs("pairs.csv")[0].image == tmp_path / "images/a,1.jpg"


def test_spreadsheets_write_a_mark_and_other_line_ends(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_bytes(
        b"\xef\xbb\xbf" + (HEAD + "n,i.jpg,m.png,,test\n").replace("\n", "\r\n").encode()
    )
    assert read_pairs(tmp_path) == [Pair("n", tmp_path / "i.jpg", tmp_path / "m.png", "", "test")]


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    """Old archives hold them; Python keeps their bytes as lone surrogates."""
    pair = Pair("a", tmp_path / "bad\udcff.jpg", tmp_path / "a.png", "a", "train")
    create_csv([pair], tmp_path / "pairs.csv")
    assert read_pairs(tmp_path) == [pair]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column image_name, image_path, mask_path, category, split"),
        ("image_name,image_path,mask_path,category\nn,i,m,c\n", "has no column split"),
        (HEAD, "has no pairs"),
        (HEAD + "n,i,m,c,train\nn,i,m,c,training\n", "line 3.*'training'"),
        (HEAD + "n,,m,c,train\n", "line 2"),
        (HEAD + "n,i\n", "line 2"),
        (HEAD + 'n,"i\n', "is damaged"),
    ],
)
def test_damaged_tables(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_pairs(tmp_path)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no pairs\.csv.*rmbg-trt prepare"):
        read_pairs(tmp_path)
    with pytest.raises(InputError, match="could not be read"):
        read_pairs(tmp_path / "none.csv")
    create_csv(_pairs(tmp_path), tmp_path / "pairs.csv")
    with pytest.raises(InputError, match=r"no pairs of the split 'test'; it has train, val.*prepare --test-pairs"):
        read_pairs(tmp_path, "test")


def test_what_changed_in_a_set_is_named(tmp_path: Path) -> None:
    pairs = read_pairs(make_set(tmp_path, train=3, val=2))
    before = fingerprint(pairs)
    assert compare_data(before, fingerprint(read_pairs(tmp_path))) == ""
    assert compare_data(before, fingerprint(pairs[1:])) == "2 pairs in train, where there were 3"
    assert compare_data(before, fingerprint(pairs[:3])) == "0 pairs in val, where there were 2"
    other = [dataclasses.replace(pairs[0], name="other"), *pairs[1:]]
    assert compare_data(before, fingerprint(other)) == "the 3 pairs in train are others than before"
    pairs[-1].mask.write_bytes(b"smaller")
    assert compare_data(before, fingerprint(pairs)) == "the 2 pairs in val are files of other sizes than before"
    pairs[-1].mask.unlink()
    assert "val" in compare_data(before, fingerprint(pairs))


def test_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").mkdir()
    with pytest.raises(Error, match="could not be written"):
        create_csv(_pairs(tmp_path), tmp_path / "pairs.csv")
