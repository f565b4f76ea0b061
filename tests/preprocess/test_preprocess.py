# SPDX-License-Identifier: Apache-2.0
"""The network's input is Pillow's resize and NumPy's arithmetic in double, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests import reference

from rmbg_trt import _core

SIZE = (40, 56)


def check(frame: NDArray[np.uint8], color: str, size: tuple[int, int] = SIZE, filter: str = "lanczos") -> None:
    got = _core.preprocess(frame, size, color, filter)
    assert got.dtype == np.float32
    assert got.shape == (1, 3, *size)
    expected = reference.input_tensor(reference.to_rgb(frame, color), size, filter)
    np.testing.assert_array_equal(got.view(np.uint32), expected.view(np.uint32))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_frame(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    shape = data.draw(st.sampled_from([(), (1,), (3,), (4,)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    brightest = data.draw(st.integers(0, 255))
    wide = rng.integers(0, brightest + 1, (height, width + 2, *shape), dtype=np.uint8)
    size = data.draw(st.tuples(st.integers(1, 48), st.integers(1, 48)))
    filter = data.draw(st.sampled_from(sorted(reference.FILTERS)))
    check(wide[:, 1:-1], data.draw(st.sampled_from(["bgr", "rgb"])), size, filter)


@pytest.mark.parametrize("name", reference.PHOTOGRAPHS)
@pytest.mark.parametrize("color", ["bgr", "rgb"])
def test_photographs(name: str, color: str) -> None:
    check(reference.photograph(name), color, (320, 320))


def test_the_dark_photographs_are_dark() -> None:
    for name in reference.PHOTOGRAPHS:
        assert (reference.photograph(name).max() < 128) == ("dark" in name)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_black_frame_is_finite(channels: int) -> None:
    frame = np.zeros((30, 50, channels), np.uint8)
    check(frame, "bgr")
    expected = -reference.IMAGENET_MEAN / reference.IMAGENET_STD
    np.testing.assert_allclose(_core.preprocess(frame, SIZE)[0].mean((1, 2)), expected, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_type_and_layout_that_a_network_wants(data: st.DataObject) -> None:
    """Written at once, it is what NumPy makes of the planes in float32, to the bit."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    sides = data.draw(st.tuples(st.integers(1, 50), st.integers(1, 50)))
    frame = rng.integers(0, data.draw(st.integers(1, 256)), (*sides, 3), dtype=np.uint8)
    size = data.draw(st.tuples(st.integers(1, 48), st.integers(1, 48)))
    planes = reference.input_tensor(reference.to_rgb(frame, "bgr"), size)
    for dtype, bits in (("float32", np.uint32), ("float16", np.uint16)):
        expected = planes.astype(dtype)
        got = _core.preprocess(frame, size, dtype=dtype)
        np.testing.assert_array_equal(got.view(bits), expected.view(bits))
        got = _core.preprocess(frame, size, dtype=dtype, layout="nhwc")
        assert (got.shape, got.dtype) == ((1, *size, 3), dtype)
        np.testing.assert_array_equal(got.view(bits), np.ascontiguousarray(expected.transpose(0, 2, 3, 1)).view(bits))


def test_a_layout_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="layout is 'hwc'; expected 'nchw' or 'nhwc'"):
        _core.preprocess(np.zeros((2, 2, 3), np.uint8), (2, 2), layout="hwc")
    with pytest.raises(ValueError, match="layout is 'hwc'"):
        _core.TensorSpec("input", (1, 3, 2, 2), layout="hwc")


def test_values_worked_out_by_hand() -> None:
    # One pixel, blue 51, green 102, red 204: divided by 204 it is 1/4, 1/2, 1.
    tensor = _core.preprocess(np.array([[[51, 102, 204]]], np.uint8), (1, 1), "bgr")
    expected = [(1 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.25 - 0.406) / 0.225]
    assert tensor.ravel().tolist() == [float(np.float32(value)) for value in expected]


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_the_maximum_is_taken_over_all_colours(channel: int) -> None:
    frame = np.full((20, 20, 3), 30, np.uint8)
    frame[5:9, 5:9, channel] = 90
    check(frame, "bgr")
    check(frame, "rgb")


def test_the_maximum_is_that_of_the_resized_frame() -> None:
    frame = np.full((200, 200, 3), 60, np.uint8)
    frame[77, 77] = 255  # averaged away
    assert reference.resize(frame, (10, 10), "area").max() < 70
    check(frame, "bgr", (10, 10), "area")


def test_alpha_is_not_looked_at() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (33, 47, 4), dtype=np.uint8)
    expected = _core.preprocess(np.ascontiguousarray(frame[:, :, :3]), SIZE, "bgr")
    np.testing.assert_array_equal(_core.preprocess(frame, SIZE, "bgr"), expected)
    frame[:, :, 3] = 255  # brighter than every colour
    frame[:, :, :3] //= 4
    check(frame, "bgr")


def test_colour_order_is_not_ignored() -> None:
    frame = reference.photograph("coffee")
    bgr, rgb = _core.preprocess(frame, SIZE, "bgr"), _core.preprocess(frame, SIZE, "rgb")
    assert np.abs(bgr - rgb).mean() > 0.1
