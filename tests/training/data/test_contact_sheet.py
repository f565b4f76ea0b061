# SPDX-License-Identifier: Apache-2.0
"""The images that a set is judged by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.training.data import made_images as made

from rmbg_trt.training.data import Pair
from rmbg_trt.training.data.plots import _choose, contact_sheet, plot_data


def _pair(folder: Path, seed: int, size: tuple[int, int], split: str = "train") -> Pair:
    image, mask = folder / f"{seed}.png", folder / f"{seed}_mask.png"
    made.save_pair(seed, image, mask, size)
    return Pair(f"a_{seed:05d}", image, mask, "a", split)


def test_an_image_stands_beside_its_cutout(tmp_path: Path) -> None:
    sheet = np.asarray(contact_sheet([_pair(tmp_path, 1, (150, 300)), _pair(tmp_path, 2, (300, 150), "val")]))
    assert sheet.shape == (180, 624, 3)
    shown = np.asarray(made.photo(1, (150, 300)).resize((150, 75), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(sheet[22:97, 8:158], shown)
    cutout, inside = sheet[22:97, 159:309], np.asarray(made.disc((75, 150))) == 255
    np.testing.assert_array_equal(cutout[inside], shown[inside])
    assert (cutout[~inside] == (200, 40, 120)).mean() > 0.98  # the edge may differ by a pixel
    assert (sheet[8:22, 8:158] != 24).any()  # a name


def test_every_kind_is_shown(tmp_path: Path) -> None:
    kinds = [("a", "train", 100), ("a", "val", 3), ("b", "train", 20)]
    pairs = [
        Pair(f"{category}_{split}_{n}", tmp_path, tmp_path, category, split)
        for category, split, count in kinds
        for n in range(count)
    ]
    chosen = _choose(pairs, 24)
    counts = {kind: sum((pair.category, pair.split) == kind for pair in chosen) for kind in {k[:2] for k in kinds}}
    assert counts == {("a", "val"): 3, ("b", "train"): 10, ("a", "train"): 11}
    assert chosen == [pair for pair in pairs if pair in chosen]
    assert [pair.name for pair in chosen if pair.category == "b"][::9] == ["b_train_0", "b_train_19"]
    assert len(_choose(pairs, 2)) == 3


def test_bars_are_as_long_as_the_counts(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pairs = [
        Pair("", tmp_path, tmp_path, category, split)
        for category, split, count in (("cats", "train", 60), ("cats", "val", 20), ("dogs", "train", 40))
        for _ in range(count)
    ]
    plot_data(pairs, tmp_path / "plot.png")
    plot = np.asarray(Image.open(tmp_path / "plot.png").convert("RGB")).astype(int)
    blue = np.abs(plot - (31, 119, 180)).sum(axis=2) < 10
    orange = np.abs(plot - (255, 127, 14)).sum(axis=2) < 10
    rows = {int(width) for width in np.unique(blue.sum(axis=1))}
    longest = max(rows)
    assert any(abs(width - longest * 40 / 60) <= 3 for width in rows)
    assert abs(orange.sum(axis=1).max() - longest * 20 / 60) <= 3
