# SPDX-License-Identifier: Apache-2.0
"""Near-duplicates, against a search through all pairs."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from tests.training.data import made_images as made

from rmbg_trt.training.data.split import group_near_duplicates, perceptual_hash

imagehash = pytest.importorskip("imagehash")


def _differing_bits(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()


def _hash(image: Image.Image) -> bytes:
    return perceptual_hash(np.asarray(image))


def test_hash_is_that_of_imagehash() -> None:
    image = made.photo(1)
    assert _hash(image).hex() == str(imagehash.phash(image))
    assert _hash(image.convert("RGBA")) == _hash(image)


def test_copies_are_near_and_others_far() -> None:
    image = made.photo(1, (240, 320))
    stream = io.BytesIO()
    image.resize((200, 150)).save(stream, "JPEG", quality=40)
    copy = Image.open(stream)
    assert _differing_bits(_hash(image), _hash(copy)) <= 4
    assert all(_differing_bits(_hash(image), _hash(made.photo(seed))) > 12 for seed in range(2, 12))


@pytest.mark.parametrize("distance", [0, 1, 6, 20])
def test_groups_against_a_search_through_all_pairs(distance: int) -> None:
    random = np.random.default_rng(distance)
    hashes = [random.bytes(8) for _ in range(300)]
    for index in range(300, 1100):  # changed copies of earlier ones, beyond one block of rows
        bits = np.unpackbits(np.frombuffer(hashes[random.integers(index)], np.uint8))
        bits[random.choice(64, random.integers(0, 12), replace=False)] ^= 1
        hashes.append(np.packbits(bits).tobytes())
    numbers = [int.from_bytes(each, "big") for each in hashes]
    expected = np.full(len(hashes), -1)
    for start in range(len(hashes)):
        waiting = [start] if expected[start] < 0 else []
        while waiting:
            each = waiting.pop()
            expected[each] = start
            waiting += [
                other
                for other, number in enumerate(numbers)
                if expected[other] < 0 and (number ^ numbers[each]).bit_count() <= distance
            ]
    groups = group_near_duplicates(hashes, distance)
    assert len(set(groups.tolist())) < len(hashes)
    np.testing.assert_array_equal(groups, expected)


def test_none() -> None:
    assert group_near_duplicates([], 6).shape == (0,)
