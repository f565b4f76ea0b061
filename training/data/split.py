# SPDX-License-Identifier: Apache-2.0
"""Training, validation and test: drawn with a seed, published splits kept, near-duplicates never in two of them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

HELD_OUT = ("test", "val")  # the stronger first


def assign_splits(
    choices: Sequence[tuple[str, ...]],
    categories: Sequence[str],
    groups: Sequence[int],
    fractions: Mapping[str, float],
    seed: int,
) -> list[str | None]:
    """Gives each picture its split.

    A group with a picture that can only be a test (else: a validation) picture loses its others: the published sets
    stay as they are, and nothing like them is trained on. Any other group goes to one split as a whole.

    Each category is drawn for itself, with a seed of its own, so that a further dataset changes nothing for the
    others. Of a category of three or more groups to draw from, at least one picture is held out, however small the
    fraction.

    Args:
        choices: For each picture, the splits it may go to; one, or several with "train" among them.
        categories: For each picture.
        groups: For each picture, a number that near-duplicates share.
        fractions: The shares of "val" and "test" among the pictures of a category that may go there.
        seed: Of the draw.

    Returns:
        For each picture its split, or None where it has to be left out.
    """
    splits: list[str | None] = [None] * len(choices)
    members: dict[int, list[int]] = {}
    for index, number in enumerate(groups):
        members.setdefault(number, []).append(index)

    free: list[tuple[str, tuple[str, ...], list[int]]] = []
    for group in members.values():
        held = next((split for split in HELD_OUT if any(choices[each] == (split,) for each in group)), None)
        if held is not None:
            for each in group:
                splits[each] = held if choices[each] == (held,) else None
            continue
        common = tuple(split for split in choices[group[0]] if all(split in choices[each] for each in group))
        free.append((categories[group[0]], common, group))

    for (category, common), same in groupby(sorted(free), key=lambda unit: unit[:2]):
        units = [unit for _, _, unit in same]
        total = sum(map(len, units))
        random = np.random.default_rng([seed, zlib.crc32(category.encode())])
        left = {
            split: max(round(fractions[split] * total), int(fractions[split] > 0 and len(units) >= 3))
            for split in HELD_OUT
            if split in common
        }
        for place in random.permutation(len(units)):
            unit = units[place]
            split = next((name for name in left if len(unit) <= left[name]), "train")
            if split != "train":
                left[split] -= len(unit)
            for each in unit:
                splits[each] = split
    return splits
