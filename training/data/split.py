# SPDX-License-Identifier: Apache-2.0
"""Training, validation and test sets: drawn with a seed; published splits stay, near-duplicates share a split.

Near-duplicates are images whose perceptual hashes differ in a few of 64 bits. The hash (pHash, from the package
ImageHash) holds the signs of an image's lowest frequencies; another size, format or quality hardly changes it. It does
not find mirrored or strongly cropped copies. Among 7,300 photographs, all 11 pairs within 6 bits were the same shot,
and all 4 pairs at 8 bits (the next distance that occurs) were not.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...image import Array
from ..requirements import require

HELD_OUT = ("test", "val")  # the stronger first
HASH_BYTES = 8
_ROWS = 512  # images compared with all others at once: 40 MB for 20,000 images


def perceptual_hash(pixels: Array) -> bytes:
    """Hashes an image.

    Args:
        pixels: (H, W, 3) or (H, W, 4) uint8, RGB.

    Returns:
        8 bytes.

    Raises:
        UnavailableError: ImageHash is not installed.
    """
    require("ImageHash")
    import imagehash

    bits = imagehash.phash(Image.fromarray(pixels[:, :, :3])).hash
    return np.packbits(np.asarray(bits)).tobytes()


def group_near_duplicates(hashes: list[bytes], distance: int) -> NDArray[np.intp]:
    """Groups near-duplicates, transitively: A and C share a group if both are near B.

    Args:
        hashes: 8 bytes per image, from `perceptual_hash`.
        distance: Largest number of differing bits between near-duplicates, 0 to 64.

    Returns:
        (N,) for each image the index of the first image of its group.
    """
    groups = np.arange(len(hashes), dtype=np.intp)
    # With bits as -1 and +1, the dot product of two hashes is 64 - 2 * (differing bits): exact in float32, and fast.
    bits = np.unpackbits(np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), HASH_BYTES), axis=1)
    signs = bits.astype(np.float32) * 2 - 1
    for start in range(0, len(hashes), _ROWS):
        near = signs[start : start + _ROWS] @ signs[start:].T >= 8 * HASH_BYTES - 2 * distance
        for row in near[near.sum(axis=1) > 1]:  # every image is near itself
            together = np.unique(groups[start:][row])
            if len(together) > 1:
                groups[np.isin(groups, together)] = together[0]
    return groups


def assign_splits(
    choices: Sequence[tuple[str, ...]],
    categories: Sequence[str],
    groups: Sequence[int],
    fractions: Mapping[str, float],
    seed: int,
) -> list[str | None]:
    """Gives each image its split.

    If an image of a group must be in the test (else: the validation) set, the group's other images are skipped: the
    published sets stay as they are, and nothing like them is trained on. Any other group goes to one split as a whole.

    Each category is drawn with a seed of its own, so adding a dataset changes nothing for the others. A category of
    three or more groups holds out at least one image, however small the fraction.

    Args:
        choices: For each image, the splits it may go to; one, or several including "train".
        categories: For each image.
        groups: For each image, a number that near-duplicates share.
        fractions: The shares of "val" and "test" among the images of a category that may go there.
        seed: Of the draw.

    Returns:
        For each image its split, or None if it must be skipped.
    """
    splits: list[str | None] = [None] * len(choices)
    members: dict[int, list[int]] = {}
    for index, number in enumerate(groups):
        members.setdefault(number, []).append(index)

    free: list[tuple[str, tuple[str, ...], list[int]]] = []
    for group in members.values():
        held = next((split for split in HELD_OUT if any(choices[index] == (split,) for index in group)), None)
        if held is not None:
            for index in group:
                splits[index] = held if choices[index] == (held,) else None
            continue
        common = tuple(split for split in choices[group[0]] if all(split in choices[index] for index in group))
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
            for index in unit:
                splits[index] = split
    return splits
