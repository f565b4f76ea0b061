# SPDX-License-Identifier: Apache-2.0
"""Whole sets, made of small datasets."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.training.data import made_images as made

from rmbg_trt.errors import Error, InputError, UnavailableError
from rmbg_trt.install import install_command
from rmbg_trt.training.data import prepare as module
from rmbg_trt.training.data import read_mask, read_pairs, sources, write_pair
from rmbg_trt.training.data.options import Options, Source
from rmbg_trt.training.data.prepare import STAGES, prepare
from rmbg_trt.training.data.report import Report

pytest.importorskip("imagehash")
pytest.importorskip("matplotlib")


def pairs_source(folder: Path, category: str = "a", splits: tuple[str, ...] = sources.ANY) -> Source:
    both = (folder / "images", folder / "masks")
    return Source(category, both, partial(sources.read_pairs_of_folders, *both, category, splits))


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below a folder, with its content and time."""
    return {
        str(path.relative_to(folder)): f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def kinds(report: Report) -> dict[str, str]:
    return {Path(each.file).name: each.kind for each in report.rejected}


def check_set(folder: Path, report: Report) -> None:
    """What holds for every set: its table, and masks that are 8-bit gray of their image's size."""
    pairs = read_pairs(folder)
    assert pairs == report.pairs
    assert len({pair.name for pair in pairs}) == len(pairs)
    for pair, size in zip(pairs, report.sizes, strict=True):
        assert pair.image.parent == folder / "images"
        with Image.open(pair.image) as image, Image.open(pair.mask) as mask:
            assert (mask.format, mask.mode) == ("PNG", "L")
            assert image.size == mask.size == size[::-1]
            assert image.getexif().get(0x0112, 1) == 1
    for part in ("images", "masks"):
        assert len(list((folder / part).iterdir())) == len(pairs)
    written = json.loads((folder / "report.json").read_text())
    assert written["per_category"] == report.counts()
    assert set(written["origins"]) == {pair.name for pair in pairs}
    for name in ("contact_sheet.png", "files_per_category.png"):
        with Image.open(folder / name) as image:
            image.load()


def test_all_datasets_together(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("p3m", "cod10k", "people", "aisegment", "duts"):
        getattr(made, f"make_{name}")(data / name)
    made.make_shard(data / "shards/train.tar", range(51, 54))
    made.make_shard(data / "shards/val.tar", range(54, 55))
    made.make_pairs(data / "mine", range(61, 71))
    before = snapshot(data)
    stages: list[tuple[str, int, int]] = []
    report = prepare(
        [
            *(
                Source(name, (data / name,), partial(getattr(sources, f"read_{name}"), data / name))
                for name in ("p3m", "cod10k", "people", "aisegment", "duts")
            ),
            Source("shards", (data / "shards",), partial(sources.read_shards, data / "shards")),
            pairs_source(data / "mine", "mine"),
        ],
        tmp_path / "combined",
        progress=lambda *step: stages.append(step),
    )
    check_set(tmp_path / "combined", report)
    assert report.rejected == []
    assert report.counts() == {
        "aisegment": {"train": 2, "val": 0, "test": 0},
        "cod10k": {"train": 2, "val": 0, "test": 1},
        "duts": {"train": 2, "val": 0, "test": 1},
        "mine": {"train": 8, "val": 1, "test": 1},
        "p3m": {"train": 2, "val": 1, "test": 1},
        "people": {"train": 2, "val": 0, "test": 0},
        "shards": {"train": 2, "val": 1, "test": 1},
    }
    assert report.changes == {
        "images linked": 24,
        "images copied": 4,
        "masks linked": 22,
        "masks written as 8-bit gray": 6,  # two of aisegment, four of the shards
    }
    assert list(dict.fromkeys(stage for stage, _, _ in stages)) == list(STAGES)
    assert all((stage, total, total) in stages for stage, _, total in stages)
    assert snapshot(data) == before
    expected = np.asarray(made.disc())
    assert all(np.array_equal(read_mask(pair.mask), expected) for pair in report.pairs)


def test_what_is_changed_and_what_is_not(tmp_path: Path) -> None:
    images, masks = tmp_path / "in/images", tmp_path / "in/masks"
    exif = Image.Exif()
    exif[0x0112] = 6
    made.save(made.photo(1), images / "1_turned.jpg", exif=exif, quality=95)
    made.save(made.disc((64, 48)), masks / "1_turned.png")
    made.save_pair(2, images / "2_plain.png", masks / "2_plain.png")
    made.save(made.photo(3, (96, 128)), images / "3_small_mask.webp")
    made.save(made.disc(), masks / "3_small_mask.png")
    before = snapshot(tmp_path / "in")
    report = prepare([pairs_source(tmp_path / "in", splits=("train",))], tmp_path / "set")
    check_set(tmp_path / "set", report)
    assert [pair.image.name for pair in report.pairs] == ["a_00001.jpg", "a_00002.png", "a_00003.webp"]
    assert [pair.image.is_symlink() for pair in report.pairs] == [False, True, True]
    assert [pair.mask.is_symlink() for pair in report.pairs] == [True, True, False]
    assert report.pairs[1].image.resolve() == images / "2_plain.png"
    assert report.changes == {
        "images turned upright": 1,
        "images linked": 2,
        "masks linked": 2,
        "masks resized to their image": 1,
    }
    upright = np.asarray(made.photo(1).transpose(Image.Transpose.ROTATE_270), np.float32)
    with Image.open(report.pairs[0].image) as image:
        assert np.abs(np.asarray(image, np.float32) - upright).mean() < 4
    assert set(np.unique(read_mask(report.pairs[2].mask))) == {0, 255}
    assert snapshot(tmp_path / "in") == before


def test_size_and_copies(tmp_path: Path) -> None:
    made.make_pairs(tmp_path / "in", range(1, 4), (96, 128))
    made.save_pair(9, tmp_path / "in/images/small.jpg", tmp_path / "in/masks/small.png", (40, 60))
    report = prepare([pairs_source(tmp_path / "in")], tmp_path / "set", Options(size=48, link=False))
    check_set(tmp_path / "set", report)
    assert report.sizes == [(48, 64)] * 3 + [(40, 60)]
    assert report.changes == {
        "images resized": 3,
        "masks resized with their image": 3,
        "images copied": 1,
        "masks copied": 1,
    }
    assert not any(path.is_symlink() for path in (tmp_path / "set").rglob("*"))
    written = json.loads((tmp_path / "set/report.json").read_text())
    assert written["sizes"]["shorter_side"] == {"min": 40, "median": 48, "max": 48}
    assert written["origins"]["a_00004"]["image"] == str(tmp_path / "in/images/small.jpg")


def test_unfit_pairs_are_left_out_and_the_rest_is_made(tmp_path: Path) -> None:
    images, masks = made.make_pairs(tmp_path / "in", range(1, 8))
    (images / "00001.jpg").write_bytes(b"")
    (masks / "00002.png").write_bytes(b"text")
    made.save(Image.new("L", (64, 48)), masks / "00003.png")
    made.save(made.disc((48, 48)), masks / "00004.png")
    (masks / "00005.png").unlink()
    report = prepare([pairs_source(tmp_path / "in")], tmp_path / "set")
    check_set(tmp_path / "set", report)
    assert kinds(report) == {
        "00001.jpg": "unreadable",
        "00002.jpg": "unreadable",
        "00003.jpg": "mask all background",
        "00004.jpg": "mask of another aspect ratio",
        "00005.jpg": "image without mask",
    }
    assert [Path(image).stem for image, _ in report.origins] == ["00006", "00007"]
    rejected = json.loads((tmp_path / "set/report.json").read_text())["rejected"]
    assert rejected["per_kind"] == {
        "unreadable": 2,
        "image without mask": 1,
        "mask all background": 1,
        "mask of another aspect ratio": 1,
    }


def test_nothing_like_a_held_out_image_is_trained_on(tmp_path: Path) -> None:
    made.make_pairs(tmp_path / "train", range(1, 6), (96, 128))
    made.make_pairs(tmp_path / "val", range(5, 8), (48, 64))  # 5 is in both, of other sizes
    made.make_pairs(tmp_path / "more", range(7, 9), (60, 80))  # 7 is in val
    report = prepare(
        [
            pairs_source(tmp_path / "train", "a", ("train",)),
            pairs_source(tmp_path / "val", "a", ("val",)),
            pairs_source(tmp_path / "more", "b"),
        ],
        tmp_path / "set",
    )
    check_set(tmp_path / "set", report)
    assert report.counts() == {"a": {"train": 4, "val": 3, "test": 0}, "b": {"train": 1, "val": 0, "test": 0}}
    assert report.duplicate_groups == 2
    assert [(Path(each.file).name, each.kind) for each in report.rejected] == [
        ("00005.jpg", "near-duplicate of a val image"),
        ("00007.jpg", "near-duplicate of a val image"),
    ]
    assert report.rejected[0].reason == f"it is nearly the same as {tmp_path / 'val/images/00005.jpg'} (val)"


@pytest.mark.parametrize(("duplicates", "left"), [("keep", ["1", "1_copy", "2"]), ("drop", ["1_copy", "2"])])
def test_near_duplicates_within_a_split(duplicates: Any, left: list[str], tmp_path: Path) -> None:
    for seed, name, size in ((1, "1", (48, 64)), (1, "1_copy", (96, 128)), (2, "2", (48, 64))):
        made.save_pair(seed, tmp_path / f"in/images/{name}.jpg", tmp_path / f"in/masks/{name}.png", size)
    report = prepare([pairs_source(tmp_path / "in")], tmp_path / "set", Options(duplicates=duplicates))
    assert [Path(image).stem for image, _ in report.origins] == left
    assert kinds(report) == ({} if duplicates == "keep" else {"1.jpg": "near-duplicate"})


def test_the_seed_decides(tmp_path: Path) -> None:
    made.make_pairs(tmp_path / "in", range(20))
    drawn = [
        [pair.split for pair in prepare([pairs_source(tmp_path / "in")], tmp_path / name, Options(seed=seed)).pairs]
        for name, seed in (("x", 1), ("y", 1), ("z", 2))
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    made.make_pairs(tmp_path / "in", range(1, 5), (96, 128))
    report = prepare([pairs_source(tmp_path / "in")], tmp_path / "set", Options(dry_run=True, size=48))
    assert list(tmp_path.iterdir()) == [tmp_path / "in"]
    assert len(report.pairs) == 4
    assert report.sizes == [(48, 64)] * 4


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    masks = made.make_pairs(tmp_path / "in", range(1, 3))[1]
    for mask in masks.iterdir():
        mask.write_bytes(b"text")
    with pytest.raises(InputError, match=r"no pair is fit \(unreadable: 2\)\n  - .*00001.jpg: .*is not an image"):
        prepare([pairs_source(tmp_path / "in")], tmp_path / "set")
    for mask in masks.iterdir():
        mask.unlink()
    made.save(made.disc(), masks / "other.png")
    with pytest.raises(InputError, match=r"no image has a mask .image without mask: 2, mask without image: 1"):
        prepare([pairs_source(tmp_path / "in")], tmp_path / "set")
    assert list(tmp_path.iterdir()) == [tmp_path / "in"]


def test_only_prepared_sets_are_replaced_and_only_when_asked(tmp_path: Path) -> None:
    made.make_pairs(tmp_path / "in", range(1, 4))
    source = pairs_source(tmp_path / "in")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="is not a prepared set"):
            prepare([source], tmp_path / "mine", Options(overwrite=overwrite))
    with pytest.raises(InputError, match="is a file"):
        prepare([source], tmp_path / "mine/letter.txt")
    assert snapshot(tmp_path / "mine").keys() == {"letter.txt"}

    (tmp_path / "set").mkdir()  # an empty folder is no obstacle
    prepare([source], tmp_path / "set")
    before = snapshot(tmp_path / "in")
    with pytest.raises(InputError, match="--overwrite"):
        prepare([source], tmp_path / "set")
    (tmp_path / "set/old.txt").write_text("old")
    report = prepare([source], tmp_path / "set", Options(overwrite=True))
    check_set(tmp_path / "set", report)
    assert not (tmp_path / "set/old.txt").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "mine", "set"]
    assert snapshot(tmp_path / "in") == before  # to which the old set had links


@pytest.mark.parametrize("target", ["in/images", "in/images/set", ".", "in"])
def test_a_set_and_its_sources_lie_apart(target: str, tmp_path: Path) -> None:
    made.make_pairs(tmp_path / "in", range(1, 4))
    (tmp_path / "link").symlink_to(tmp_path / target)
    for place in (tmp_path / target, tmp_path / "link"):
        with pytest.raises(InputError, match="overlap"):
            prepare([pairs_source(tmp_path / "in")], place, Options(overwrite=True))


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_job_that_ends_early_leaves_everything_as_it_was(
    failure: BaseException, earlier: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.make_pairs(tmp_path / "in", range(1, 21), (96, 128))
    if earlier:
        prepare([pairs_source(tmp_path / "in")], tmp_path / "set")
    before = snapshot(tmp_path)
    open_before, written = Path.open, []

    def open_until_full(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "x" in mode and path.parent.name == "masks":
            written.append(path)
            if len(written) == 3:
                raise failure
        return open_before(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_until_full)
    with pytest.raises(Error if isinstance(failure, OSError) else KeyboardInterrupt) as caught:
        prepare([pairs_source(tmp_path / "in")], tmp_path / "set", Options(size=48, overwrite=True, workers=1))
    assert 3 <= len(written) < 20
    assert isinstance(failure, KeyboardInterrupt) or "could not be written: No space left" in str(caught.value)
    assert snapshot(tmp_path) == before


def test_the_old_set_comes_back_if_the_new_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.make_pairs(tmp_path / "in", range(1, 4))
    prepare([pairs_source(tmp_path / "in")], tmp_path / "set")
    before, rename = snapshot(tmp_path), Path.rename

    def refuse_new(path: Path, target: Path) -> Path:
        if path.suffix == ".part":
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(Error, match="could not be written: Input/output error"):
        prepare([pairs_source(tmp_path / "in")], tmp_path / "set", Options(overwrite=True))
    assert snapshot(tmp_path) == before


def test_a_file_that_vanishes_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, _ = made.make_pairs(tmp_path / "in", range(1, 4))
    group = module.group_near_duplicates

    def vanish(*arguments: Any) -> Any:
        (images / "00002.jpg").unlink()
        return group(*arguments)

    monkeypatch.setattr(module, "group_near_duplicates", vanish)
    report = prepare([pairs_source(tmp_path / "in", splits=("train",))], tmp_path / "set")
    assert [pair.name for pair in report.pairs] == ["a_00001", "a_00003"]
    assert kinds(report) == {"00002.jpg": "unreadable"}


def test_missing_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        UnavailableError, match=r"ImageHash and matplotlib are not .*" + re.escape(install_command("train"))
    ):
        prepare([], tmp_path / "set")


@pytest.mark.parametrize(
    "values",
    [
        {"val": 0.5, "test": 0.5},
        {"val": -0.1},
        {"val": float("nan")},
        {"hash_distance": -1},
        {"hash_distance": 65},
        {"size": 0},
        {"min_side": 0},
        {"workers": 0},
        {"seed": -1},
    ],
)
def test_options_that_cannot_be_meant(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        Options(**values)


@pytest.mark.parametrize("category", ["", "a/b", "..", "a b", "a\n"])
def test_categories_are_part_of_file_names(category: str) -> None:
    with pytest.raises(InputError, match="expected letters"):
        Source(category, (), sources.Listing)


def test_a_lossless_turned_image_stays_lossless(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    found = sources.Found(
        made.save(made.photo(1), tmp_path / "a.png", exif=exif),
        made.save(made.disc(), tmp_path / "m.png"),
        "a",
        ("val",),
    )
    seen = module.inspect_pair(found)
    assert not isinstance(seen, sources.Rejected)
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    pair, done = write_pair.write_pair(found, seen, "a_1", "val", tmp_path, shorter=None, link=True)
    assert pair.image == tmp_path / "images/a_1.png"
    assert done == ["images turned upright", "masks linked"]
    with Image.open(pair.image) as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(made.photo(1))[::-1, ::-1])
