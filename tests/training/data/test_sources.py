# SPDX-License-Identifier: Apache-2.0
"""Readers of datasets, on small ones in the layouts of the published."""

from __future__ import annotations

import tarfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tests.training.data import made_images as made

from rmbg_trt.errors import InputError
from rmbg_trt.training.data import sources
from rmbg_trt.training.data.files import Member, list_shard, read_file
from rmbg_trt.training.data.pairs import pair_folders
from rmbg_trt.training.data.sources import ANY, Listing

Reader = Callable[[Path], Listing]


def _names(listing: Listing) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(Path(str(each.image)).name, Path(str(each.mask)).name, each.splits) for each in listing.pairs]


@pytest.mark.parametrize("inside", ["", "archive"])
@pytest.mark.parametrize(
    ("make", "read", "expected"),
    [
        (
            made.make_p3m,
            sources.read_p3m,
            [(f"p_{n}.jpg", f"p_{n}.png", ("train", "test")) for n in (1, 2, 3)] + [("p_4.jpg", "p_4.png", ("val",))],
        ),
        (
            made.make_cod10k,
            sources.read_cod10k,
            [
                (f"COD10K-CAM-1-Aquatic-{n}.jpg", f"COD10K-CAM-1-Aquatic-{n}.png", splits)
                for n, splits in ((11, ("train", "val")), (12, ("train", "val")), (13, ("test",)))
            ],
        ),
        (made.make_people, sources.read_people, [(f"{n:05d}.jpg", f"{n:05d}.png", ANY) for n in (21, 22)]),
        (made.make_aisegment, sources.read_aisegment, [(f"1803-{n}.jpg", f"1803-{n}.png", ANY) for n in (31, 32)]),
        (
            made.make_duts,
            sources.read_duts,
            [
                ("41.jpg", "41.png", ("train", "val")),
                ("42.jpg", "42.png", ("train", "val")),
                ("43.jpg", "43.png", ("test",)),
            ],
        ),
    ],
    ids=["p3m", "cod10k", "people", "aisegment", "duts"],
)
def test_published_layouts(
    make: Callable[[Path], None],
    read: Reader,
    expected: list[tuple[str, str, tuple[str, ...]]],
    inside: str,
    tmp_path: Path,
) -> None:
    make(tmp_path / inside)
    listing = read(tmp_path)
    assert _names(listing) == expected
    assert listing.rejected == []
    assert all(Path(str(each.image)).stem == Path(str(each.mask)).stem for each in listing.pairs)


@pytest.mark.parametrize("folder", ["DUTS-TR", "DUTS-TE"])
def test_one_half_of_duts(folder: str, tmp_path: Path) -> None:
    made.make_duts(tmp_path)
    listing = sources.read_duts(tmp_path / folder)
    assert {each.splits for each in listing.pairs} == {("train", "val") if folder == "DUTS-TR" else ("test",)}


@pytest.mark.parametrize(
    ("read", "looked_for"),
    [
        (sources.read_p3m, "P3M-10k.*blurred_image"),
        (sources.read_cod10k, "COD10K-v3.*GT_Object"),
        (sources.read_people, "People Segmentation.*masks"),
        (sources.read_aisegment, "AISegment.*clip_img"),
        (sources.read_duts, "DUTS.*DUTS-TR-Mask"),
    ],
)
def test_not_that_dataset(read: Reader, looked_for: str, tmp_path: Path) -> None:
    (tmp_path / "something").mkdir()
    with pytest.raises(InputError, match=f"does not have the layout of {looked_for}"):
        read(tmp_path)
    with pytest.raises(InputError, match="could not be listed: No such file"):
        read(tmp_path / "missing")


def test_empty_dataset_says_what_was_looked_for(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="there are no images; looked for images and masks"):
        sources.read_people(tmp_path)


def test_pairs_of_folders(tmp_path: Path) -> None:
    images, masks = tmp_path / "photos", tmp_path / "mattes"
    for name in ("a.JPG", "sub/b.webp", "c_mask.jpg", "d.jpg", "e.jpg", "e.png", "f.jpg"):
        made.save(made.photo(1), images / name)
    for name in ("a.png", "sub/b_mask.png", "c_mask.png", "f-matte.png", "e.png", "g.png", "h_mask.png"):
        made.save(made.disc(), masks / name)
    (images / "notes.txt").write_text("not an image")
    listing = sources.read_pairs_of_folders(images, masks, "mine", ("val",))
    assert _names(listing) == [
        ("a.JPG", "a.png", ("val",)),
        ("c_mask.jpg", "c_mask.png", ("val",)),
        ("f.jpg", "f-matte.png", ("val",)),
        ("b.webp", "b_mask.png", ("val",)),
    ]
    assert {each.category for each in listing.pairs} == {"mine"}
    assert sorted((Path(each.file).name, each.kind) for each in listing.rejected) == [
        ("d.jpg", "image without mask"),
        ("e.jpg", "ambiguous name"),
        ("e.png", "ambiguous name"),
        ("g.png", "mask without image"),
        ("h_mask.png", "mask without image"),
    ]
    with pytest.raises(InputError, match=r"there is no folder .*nowhere"):
        sources.read_pairs_of_folders(images, tmp_path / "nowhere")


def test_shards(tmp_path: Path) -> None:
    for name, seeds in (("train-0.tar", range(2)), ("train-1.tar", range(2, 3)), ("val.tar", range(3, 4))):
        made.make_shard(tmp_path / name, seeds)
    listing = sources.read_duts(tmp_path)
    assert [each.splits for each in listing.pairs] == [("train", "test")] * 3 + [("val",)]
    found = listing.pairs[1]
    assert isinstance(found.image, Member)
    assert str(found.image) == f"{tmp_path / 'train-0.tar'}:images/1.webp"
    with tarfile.open(tmp_path / "train-0.tar") as tar:
        expected = tar.extractfile("images/1.webp")
        assert expected is not None
        assert read_file(found.image) == expected.read()
    assert [each.splits for each in sources.read_shards(tmp_path / "val.tar").pairs] == [("val",)]
    made.make_shard(tmp_path / "more/photos.tar", range(1))
    assert [each.splits for each in sources.read_shards(tmp_path / "more").pairs] == [ANY]


def test_damaged_shards(tmp_path: Path) -> None:
    shard = made.make_shard(tmp_path / "a.tar", range(2))
    last = list_shard(shard, "masks")["1"][0]
    assert isinstance(last, Member)
    shard.write_bytes(shard.read_bytes()[: last.offset + 10])
    with pytest.raises(InputError, match="is truncated: 10 of"):
        read_file(last)
    with pytest.raises(InputError, match=r"a\.tar is not an uncompressed tar, or is damaged"):
        sources.read_shards(tmp_path)
    shard.write_bytes(b"\x1f\x8b" + bytes(2000))
    with pytest.raises(InputError, match=r"a\.tar is not an uncompressed tar"):
        sources.read_shards(tmp_path)
    shard.unlink()
    with pytest.raises(InputError, match=r"there are no images; looked for \*\.tar"):
        sources.read_shards(tmp_path)


def test_names_are_compared_in_composed_form(tmp_path: Path) -> None:
    """Archives from a Mac have decomposed names."""
    composed, decomposed = (unicodedata.normalize(form, "Café Zürich") for form in ("NFC", "NFD"))
    assert composed != decomposed
    for folder, name in (("images", composed), ("masks", decomposed)):
        (tmp_path / folder).mkdir()
        Image.new("L", (4, 4)).save(tmp_path / folder / f"{name}.png")
    listing = sources.read_pairs_of_folders(tmp_path / "images", tmp_path / "masks")
    assert (len(listing.pairs), listing.rejected) == (1, [])
    pairs = pair_folders(tmp_path / "images", tmp_path / "masks")
    assert [pair.mask.is_file() for pair in pairs] == [True]
