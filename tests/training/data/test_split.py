# SPDX-License-Identifier: Apache-2.0
"""Drawing the splits."""

from __future__ import annotations

from collections import Counter

import pytest

from rmbg_trt.training.data.sources import ANY
from rmbg_trt.training.data.split import assign_splits

FRACTIONS = {"val": 0.1, "test": 0.2}


def _draw(count: int, seed: int = 0, category: str = "a", choices: tuple[str, ...] = ANY) -> list[str | None]:
    return assign_splits([choices] * count, [category] * count, range(count), FRACTIONS, seed)


def test_fractions_and_seed() -> None:
    splits = _draw(200)
    assert Counter(splits) == {"train": 140, "val": 20, "test": 40}
    assert splits == _draw(200)
    assert splits != _draw(200, seed=1)
    assert splits != _draw(200, category="b")


def test_only_the_splits_that_are_lacking_are_drawn() -> None:
    assert Counter(_draw(100, choices=("train", "val"))) == {"train": 90, "val": 10}
    assert Counter(_draw(100, choices=("train",))) == {"train": 100}
    assert Counter(_draw(100, choices=("test",))) == {"test": 100}


def test_a_further_dataset_changes_nothing_for_the_others() -> None:
    alone = _draw(50)
    both = assign_splits([ANY] * 80, ["z"] * 30 + ["a"] * 50, range(80), FRACTIONS, 0)
    assert both[30:] == alone


@pytest.mark.parametrize(("count", "held_out"), [(1, 0), (2, 0), (3, 2), (5, 2)])
def test_small_sets_hold_out_something(count: int, held_out: int) -> None:
    splits = _draw(count)
    assert sum(split != "train" for split in splits) == held_out


def test_zero_holds_out_nothing() -> None:
    assert set(assign_splits([ANY] * 50, ["a"] * 50, range(50), {"val": 0, "test": 0}, 0)) == {"train"}


def test_groups_stay_together() -> None:
    groups = [index // 3 for index in range(300)]
    splits = assign_splits([ANY] * 300, ["a"] * 300, groups, FRACTIONS, 0)
    assert Counter(splits) == {"train": 210, "val": 30, "test": 60}
    assert all(len(set(splits[start : start + 3])) == 1 for start in range(0, 300, 3))


def test_a_large_group_does_not_fill_the_test() -> None:
    splits = assign_splits([ANY] * 100, ["a"] * 100, [0] * 60 + list(range(1, 41)), FRACTIONS, 0)
    assert set(splits[:60]) == {"train"}
    assert Counter(splits) == {"train": 70, "val": 10, "test": 20}


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ([("train", "val"), ("test",), ANY], [None, "test", None]),
        ([("val",), ("test",), ("val",)], [None, "test", None]),
        ([("train",), ("val",), ("val",)], [None, "val", "val"]),
        ([("train",), ANY, ("train", "val")], ["train", "train", "train"]),
    ],
)
def test_published_splits_win_over_near_duplicates(choices: list[tuple[str, ...]], expected: list[str | None]) -> None:
    assert assign_splits(choices, ["a", "b", "a"], [0, 0, 0], {"val": 0, "test": 0}, 0) == expected
