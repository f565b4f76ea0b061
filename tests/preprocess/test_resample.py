# SPDX-License-Identifier: Apache-2.0
"""Resampling is Pillow 13's, to the bit: every filter, size, channel count, pitch and instruction set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests import reference

from rmbg_trt import InputError, _core

FILTERS = st.sampled_from(sorted(reference.FILTERS))


def picture(rng: np.random.Generator, height: int, width: int, channels: int, kind: str) -> NDArray[np.uint8]:
    shape = (height, width) if channels == 1 else (height, width, channels)
    if kind == "extremes":  # the overshoot of Lanczos is clipped
        return rng.integers(0, 2, shape, dtype=np.uint8) * 255
    if kind == "constant":
        return np.full(shape, rng.integers(0, 256), np.uint8)
    return rng.integers(0, 256, shape, dtype=np.uint8)


@st.composite
def pictures(draw: st.DrawFn, longest: int = 70) -> NDArray[np.uint8]:
    """A picture cut from a wider one, so that its rows lie an odd number of bytes apart."""
    height, width = draw(st.integers(1, longest)), draw(st.integers(1, longest))
    left, right = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["noise", "extremes", "constant"]))
    wide = picture(rng, height, left + width + right, draw(st.sampled_from([1, 3, 4])), kind)
    return wide[:, left : left + width]


def check(source: NDArray[np.uint8], size: tuple[int, int], filter: str) -> None:
    np.testing.assert_array_equal(_core.resample(source, size, filter), reference.resize(source, size, filter))


@settings(max_examples=250, deadline=None)
@given(pictures(), st.tuples(st.integers(1, 90), st.integers(1, 90)), FILTERS)
def test_any_picture_to_any_size(source: NDArray[np.uint8], size: tuple[int, int], filter: str) -> None:
    check(source, size, filter)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_near_the_switch_of_the_order_of_passes(data: st.DataObject) -> None:
    # Pillow 13 takes the columns first when the height shrinks by more than twice as much as the width. Sizes
    # about there, because between the passes samples are rounded to bytes, and the order shows.
    lower = data.draw(st.integers(1, 60), "rows less")
    fewer = lower // 2 + data.draw(st.integers(-2, 2), "columns less")
    height = lower + data.draw(st.integers(1, 40), "rows")
    width = max(1, fewer + 1) + data.draw(st.integers(0, 40), "columns")
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    source = picture(rng, height, width, data.draw(st.sampled_from([1, 3, 4])), "noise")
    check(source, (height - lower, width - fewer), data.draw(FILTERS))


@pytest.mark.parametrize("filter", sorted(reference.FILTERS))
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 1, 3), (1, 1)),
        ((1, 1, 4), (33, 65)),
        ((1, 700), (1, 7)),
        ((700, 1), (7, 1)),
        ((9, 1, 3), (1, 9)),
        ((257, 129, 4), (257, 129)),  # nothing to do
        ((257, 129, 3), (257, 64)),  # one pass only
        ((257, 129, 3), (64, 129)),
        ((1080, 1920, 3), (320, 320)),
        ((320, 320), (1080, 1920)),
        ((37, 4001, 3), (320, 320)),
    ],
)
def test_sizes_of_note(shape: tuple[int, ...], size: tuple[int, int], filter: str) -> None:
    check(np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8), size, filter)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "size", "filter"),
    [
        ((3000, 5000, 3), (320, 320), "lanczos"),
        ((3000, 5000, 4), (320, 320), "bilinear"),
        ((3000, 5000), (1, 1), "area"),
        ((320, 320), (3000, 5000), "lanczos"),
        ((1, 1, 3), (3000, 5000), "bilinear"),
    ],
)
def test_large_pictures(shape: tuple[int, ...], size: tuple[int, int], filter: str) -> None:
    check(np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8), size, filter)


def test_the_plain_kernels_give_the_same_bytes(in_python: Callable[..., str], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    names = sorted(reference.FILTERS)
    cases = []
    for i in range(120):
        height, width, out_height, out_width = rng.integers(1, 120, 4).tolist()
        source = picture(rng, height, width, (1, 3, 4)[i % 3], ("noise", "extremes")[i % 2])
        cases.append((source, (out_height, out_width), names[int(rng.integers(3))]))
    arrays = {f"source{i}": source for i, (source, _, _) in enumerate(cases)}
    arguments = [f"{height},{width},{filter}" for _, (height, width), filter in cases]
    np.savez(tmp_path / "in.npz", **arrays)
    script = """
import sys
import numpy
from rmbg_trt import _core
folder, *cases = sys.argv[1:]
sources = numpy.load(folder + "/in.npz")
results = {}
for i, case in enumerate(cases):
    height, width, filter = case.split(",")
    results[f"result{i}"] = _core.resample(sources[f"source{i}"], (int(height), int(width)), filter)
numpy.savez(folder + "/out.npz", **results)
print(_core.cpu_info()["resample_kernels"])
"""
    assert in_python(script, str(tmp_path), *arguments, RMBG_ISA="generic") == "generic"
    results = np.load(tmp_path / "out.npz")
    for i, (source, size, filter) in enumerate(cases):
        np.testing.assert_array_equal(results[f"result{i}"], reference.resize(source, size, filter), str(cases[i][1:]))


def test_values_worked_out_by_hand() -> None:
    square = np.array([[10, 20], [30, 40]], np.uint8)
    assert _core.resample(square, (1, 1), "area").tolist() == [[25]]
    row = np.array([[0, 100]], np.uint8)  # samples at 1/4, 3/4, 5/4 and 7/4 of a pixel
    assert _core.resample(row, (1, 4), "bilinear").tolist() == [[0, 25, 75, 100]]


def test_the_source_is_only_read() -> None:
    source = np.random.default_rng(4).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    before = source.copy()
    source.flags.writeable = False
    _core.resample(source, (20, 90))
    np.testing.assert_array_equal(source, before)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_an_empty_size_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="must be positive"):
        _core.resample(np.zeros((4, 4), np.uint8), size)


def test_an_unknown_filter_is_refused() -> None:
    with pytest.raises(InputError, match="filter is 'cubic'; expected 'lanczos', 'bilinear' or 'area'"):
        _core.resample(np.zeros((4, 4), np.uint8), (2, 2), "cubic")
