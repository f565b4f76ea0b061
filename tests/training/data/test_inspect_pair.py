# SPDX-License-Identifier: Apache-2.0
"""What is fit for training, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.training.data import made_images as made

from rmbg_trt.errors import UnavailableError
from rmbg_trt.training.data.inspect_pair import Inspected, inspect_pair
from rmbg_trt.training.data.sources import ANY, Found, Rejected

pytest.importorskip("imagehash")


def _inspect(image: Path, mask: Path, **options: Any) -> Inspected | Rejected:
    return inspect_pair(Found(image, mask, "a", ANY), **options)


def _turned(image: Image.Image, path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    return made.save(image, path, exif=exif)


def test_a_fit_pair(tmp_path: Path) -> None:
    image, mask = made.save(made.photo(1), tmp_path / "a.jpg"), made.save(made.disc((24, 32)), tmp_path / "a.png")
    seen = _inspect(image, mask)
    assert isinstance(seen, Inspected)
    assert (seen.size, seen.mask_size, seen.turned, seen.plain) == ((48, 64), (24, 32), False, True)


def test_turned_images_count_upright(tmp_path: Path) -> None:
    image = _turned(made.photo(1), tmp_path / "a.jpg")
    seen = _inspect(image, made.save(made.disc((64, 48)), tmp_path / "a.png"))
    assert isinstance(seen, Inspected)
    assert (seen.size, seen.turned) == ((64, 48), True)
    rejected = _inspect(image, made.save(made.disc((48, 64)), tmp_path / "b.png"))
    assert isinstance(rejected, Rejected)
    assert rejected.kind == "mask of another aspect ratio"
    assert rejected.reason == "it is 48 x 64 (upright; its file is rotated), its mask 64 x 48"


def test_a_trimap_is_named(tmp_path: Path) -> None:
    trimap = np.zeros((48, 64), np.uint8)
    trimap[10:30, 10:40], trimap[15:25, 15:30] = 128, 255
    image, mask = made.save(made.photo(1), tmp_path / "a.jpg"), tmp_path / "a.png"
    Image.fromarray(trimap).save(mask)
    rejected = _inspect(image, mask)
    assert isinstance(rejected, Rejected)
    assert (rejected.kind, "its mask is a trimap (128 means unknown)" in rejected.reason) == ("not a mask", True)


@pytest.mark.parametrize("values", [(0, 100), (50, 255), (1, 2)])
def test_two_unusual_values_are_a_mask_to_rewrite(values: tuple[int, int], tmp_path: Path) -> None:
    image = made.save(made.photo(1), tmp_path / "a.jpg")
    mask = made.save(made.disc().point(lambda value: values[value > 127]), tmp_path / "a.png")
    seen = _inspect(image, mask)
    assert isinstance(seen, Inspected)
    assert not seen.plain


@pytest.mark.parametrize(
    ("mask", "plain"),
    [
        (made.disc(), True),
        (made.disc().point(lambda value: value // 255), False),  # labels
        (made.disc().convert("1"), False),
        (made.disc().convert("RGB"), False),
        (made.disc().convert("P"), False),
    ],
    ids=["gray", "labels", "1-bit", "rgb", "palette"],
)
def test_plain_masks(mask: Image.Image, plain: bool, tmp_path: Path) -> None:
    seen = _inspect(made.save(made.photo(1), tmp_path / "a.jpg"), made.save(mask, tmp_path / "a.png"))
    assert isinstance(seen, Inspected)
    assert seen.plain is plain


def test_masks_that_are_no_png_are_not_plain(tmp_path: Path) -> None:
    image = made.save(made.photo(1), tmp_path / "a.jpg")
    for mask in (made.save(made.disc(), tmp_path / "a.bmp"), _turned(made.disc((64, 48)), tmp_path / "turned.png")):
        seen = _inspect(image, mask)
        assert isinstance(seen, Inspected)
        assert not seen.plain


@pytest.mark.parametrize(("width", "fit"), [(63, True), (65, True), (62, False), (66, False)])
def test_aspects_may_differ_by_two_percent(width: int, fit: bool, tmp_path: Path) -> None:
    mask = made.save(made.disc((48, width)), tmp_path / "a.png")
    seen = _inspect(made.save(made.photo(1), tmp_path / "a.jpg"), mask)
    assert isinstance(seen, Inspected) is fit


@pytest.mark.parametrize(
    ("level", "kind"), [(0, "mask all background"), (127, "mask all background"), (255, "mask all foreground")]
)
def test_empty_masks(level: int, kind: str, tmp_path: Path) -> None:
    mask = made.save(Image.fromarray(np.full((48, 64), level, np.uint8)), tmp_path / "a.png")
    image = made.save(made.photo(1), tmp_path / "a.jpg")
    rejected = _inspect(image, mask)
    assert isinstance(rejected, Rejected)
    assert (rejected.file, rejected.category, rejected.kind) == (str(image), "a", kind)
    assert isinstance(_inspect(image, mask, keep_empty=True), Inspected)


def test_small_images(tmp_path: Path) -> None:
    pair = made.save(made.photo(1), tmp_path / "a.jpg"), made.save(made.disc(), tmp_path / "a.png")
    assert isinstance(_inspect(*pair, min_side=48), Inspected)
    rejected = _inspect(*pair, min_side=49)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "it is 64 x 48 pixels; the shorter side must have 49"


@pytest.mark.parametrize("which", ["a.jpg", "a.png"])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: b"", "is empty"),
        (lambda data: b"text", "is not an image"),
        (lambda data: data[: len(data) // 2], "is cut short|is damaged"),
    ],
    ids=["empty", "text", "half"],
)
def test_damaged_files_are_rejected(which: str, damage: Any, reason: str, tmp_path: Path) -> None:
    pair = made.save(made.photo(1), tmp_path / "a.jpg"), made.save(made.disc(), tmp_path / "a.png")
    (tmp_path / which).write_bytes(damage((tmp_path / which).read_bytes()))
    rejected = _inspect(*pair)
    assert isinstance(rejected, Rejected)
    assert rejected.kind == "unreadable"
    assert rejected.file == str(pair[0])
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(rejected.reason)
    assert which in rejected.reason


@pytest.mark.parametrize(
    ("raised", "expected"), [(MemoryError, MemoryError), (ImportError("libblas.so: no memory"), UnavailableError)]
)
def test_what_is_not_the_pairs_fault_does_not_reject_it(
    raised: Any, expected: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(pixels: object) -> bytes:
        raise raised

    monkeypatch.setattr("rmbg_trt.training.data.inspect_pair.perceptual_hash", fail)
    image, mask = made.save(made.photo(1), tmp_path / "a.jpg"), made.save(made.disc((24, 32)), tmp_path / "a.png")
    with pytest.raises(expected):
        _inspect(image, mask)
