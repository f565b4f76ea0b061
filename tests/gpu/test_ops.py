# SPDX-License-Identifier: Apache-2.0
"""The kernels give what Pillow and NumPy give, to the bit, for any size, format and alignment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests import fakes, reference

from rmbg_trt import _core

CHANNELS = {"alpha": 1, "cutout": 4, "composite": 3}


def random_picture(data: st.DataObject, largest: int = 90, brightest: int = 255) -> NDArray[np.uint8]:
    height, width = data.draw(st.integers(1, largest)), data.draw(st.integers(1, largest))
    shape = data.draw(st.sampled_from([(), (3,), (4,)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    padding = data.draw(st.integers(0, 3))
    return rng.integers(0, brightest + 1, (height, width + padding, *shape), dtype=np.uint8)[:, :width]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_preprocess(data: st.DataObject) -> None:
    frame = random_picture(data, brightest=data.draw(st.integers(0, 255)))
    size = data.draw(st.tuples(st.integers(1, 70), st.integers(1, 70)))
    color, filter = data.draw(st.sampled_from(["bgr", "rgb"])), data.draw(st.sampled_from(sorted(reference.FILTERS)))
    got = _core.cuda_preprocess(frame, size, color, filter, offset=data.draw(st.integers(0, 3)))
    expected = reference.input_tensor(reference.to_rgb(frame, color), size, filter)
    np.testing.assert_array_equal(got.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("name", reference.PHOTOGRAPHS)
def test_preprocess_photographs_in_half_precision(name: str) -> None:
    frame = reference.photograph(name)
    single = reference.input_tensor(reference.to_rgb(frame, "bgr"), (320, 320))
    np.testing.assert_array_equal(_core.cuda_preprocess(frame, (320, 320)), single)
    half = _core.cuda_preprocess(frame, (320, 320), dtype="float16")
    np.testing.assert_array_equal(half.view(np.uint16), single.astype(np.float16).view(np.uint16))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_preprocess_in_the_layout_that_a_network_wants(data: st.DataObject) -> None:
    """Channels last, also with pixels that are no whole words."""
    frame = random_picture(data, brightest=data.draw(st.integers(0, 255)))
    size = data.draw(st.tuples(st.integers(1, 70), st.integers(1, 70)))
    planes = reference.input_tensor(reference.to_rgb(frame, "bgr"), size)
    for dtype, bits in (("float32", np.uint32), ("float16", np.uint16)):
        got = _core.cuda_preprocess(frame, size, dtype=dtype, layout="nhwc")
        expected = np.ascontiguousarray(planes.transpose(0, 2, 3, 1)).astype(dtype)
        np.testing.assert_array_equal(got.view(bits), expected.view(bits))


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (3, 2000), (2000, 3), (31, 33), (33, 31)])
@pytest.mark.parametrize("size", [(1, 1), (32, 48), (5, 1)])
def test_preprocess_extreme_shapes(shape: tuple[int, int], size: tuple[int, int]) -> None:
    frame = np.random.default_rng(5).integers(0, 256, (*shape, 4), dtype=np.uint8)
    expected = reference.input_tensor(reference.to_rgb(frame, "bgr"), size)
    np.testing.assert_array_equal(_core.cuda_preprocess(frame, size), expected)


def test_tiles() -> None:
    # 1920 to 320: 32 outputs lie 6 pixels apart and their windows have 36 pixels, which are 9 groups of four taps:
    # 31 * 6 + 36 = 222 pixels.
    outputs, pitch, used = _core.cuda_row_tiling(1920, 320, 3, 3)
    assert outputs == 32
    assert 222 * 3 + 3 <= pitch <= 222 * 3 + 16
    assert pitch // 4 % 2 == 1
    assert pitch % 4 == 0
    assert used == 32 * (9 * 16 + 4) + 32 * (pitch + 3 * 36)
    # Larger frames have wider windows: fewer outputs fit the 48 KiB of a block, and at last none.
    sizes = [_core.cuda_row_tiling(width, 320, 4, 3)[0] for width in (320, 1920, 3840, 7680, 15360, 30720)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 32
    assert sizes[-1] == 0
    for width in (641, 1921, 3840, 7680, 12001):
        assert 0 < _core.cuda_row_tiling(width, 320, 4, 3)[2] <= 47 * 1024


@pytest.mark.parametrize("filter", sorted(reference.FILTERS))
@pytest.mark.parametrize("width", [2, 5, 97, 1001, 3333])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_rows_that_begin_and_end_anywhere_in_a_word(filter: str, width: int, channels: int) -> None:
    """Tiles are read in words; what lies beside a row belongs to nobody."""
    rng = np.random.default_rng(width)
    shape = (40, width) if channels == 1 else (40, width, channels)
    frame = rng.integers(0, 256, shape, dtype=np.uint8)
    for size in ((40, 33), (17, 320)):
        expected = _core.preprocess(frame, size, filter=filter)
        for offset in range(4):
            made = _core.cuda_preprocess(frame, size, filter=filter, offset=offset)
            np.testing.assert_array_equal(made, expected, err_msg=f"{size}, {offset} bytes into a word")


@pytest.mark.parametrize("brightest", [0, 1, 200, 255])
@pytest.mark.parametrize("shape", [(50, 70), (700, 40)])
def test_the_brightest_sample_is_found_wherever_it_is(brightest: int, shape: tuple[int, int]) -> None:
    """In either order of the passes, whichever block makes it: of a picture that is not resized, in three corners."""
    for at in ((0, 0), (shape[0] - 1, shape[1] - 1), (shape[0] // 2, 0)):
        frame = np.zeros((*shape, 3), np.uint8)
        frame[(*at, 1)] = brightest
        for size in (shape, (50, 70)):
            np.testing.assert_array_equal(_core.cuda_preprocess(frame, size), _core.preprocess(frame, size))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_postprocess(data: st.DataObject) -> None:
    frame = random_picture(data, largest=120)
    height, width = frame.shape[:2]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    small = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    prediction = (rng.random(small, dtype=np.float32) * 1.4 - 0.2).astype(np.float32)
    output = data.draw(st.sampled_from(sorted(CHANNELS)))
    background = data.draw(st.sampled_from([(1, 2, 3), "picture"])) if output == "composite" else None
    if background == "picture":
        background = rng.integers(0, 256, (height, width + 1, 3), dtype=np.uint8)[:, :width]
    options = {"premultiplied": data.draw(st.booleans()), "background": background}
    stretch = data.draw(st.sampled_from(["minmax", "fixed"]))
    offset = data.draw(st.integers(0, 3))
    got = _core.cuda_postprocess(prediction, frame, output, stretch, offset=offset, **options)
    expected = np.zeros(got.shape, np.uint8)
    _core.Pipeline([fakes.known(prediction)], stretch=stretch).run(
        frame, expected, "bgr", _core.FrameOptions(output, **options)
    )
    np.testing.assert_array_equal(got, expected)
    if output == "alpha" and frame.shape[2:] != (4,):  # the CPU's result is Pillow's
        np.testing.assert_array_equal(got, reference.alpha(prediction, (height, width), stretch=stretch))


def test_postprocess_of_half_precision() -> None:
    rng = np.random.default_rng(6)
    half = rng.random((40, 56), dtype=np.float32).astype(np.float16)
    frame = rng.integers(0, 256, (77, 91, 3), dtype=np.uint8)
    expected = reference.alpha(half.astype(np.float32), (77, 91))
    np.testing.assert_array_equal(_core.cuda_postprocess(half, frame), expected)


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_constant_prediction_gives_zeros(value: float, dtype: type) -> None:
    got = _core.cuda_postprocess(np.full((8, 8), value, dtype), np.zeros((20, 30, 3), np.uint8))
    assert not got.any()


def test_nan_is_passed_over() -> None:
    prediction = np.linspace(0.2, 0.9, 64, dtype=np.float32).reshape(8, 8)
    prediction[0, 1] = np.nan
    expected = np.zeros((8, 8), np.uint8)
    _core.Pipeline([fakes.known(prediction)]).run(np.zeros((8, 8, 3), np.uint8), expected, "bgr", _core.FrameOptions())
    assert expected.max() == 255
    np.testing.assert_array_equal(_core.cuda_postprocess(prediction, np.zeros((8, 8, 3), np.uint8)), expected)


def test_every_half_is_read_right() -> None:
    # All finite float16 values of 0..1, in order; without a stretch each becomes its truncated byte.
    half = np.arange(0x3C01, dtype=np.uint16).view(np.float16)
    side = 124
    padded = np.zeros(side * side, np.float16)
    padded[: half.size] = half
    got = _core.cuda_postprocess(padded.reshape(side, side), np.zeros((side, side, 3), np.uint8), stretch="fixed")
    expected = np.trunc(padded.astype(np.float32) * np.float32(255)).astype(np.uint8).reshape(side, side)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 8), (8, 5), (6, 7), (33, 64), (64, 33), (129, 172), (3, 515)])
@pytest.mark.parametrize("sigma", [0.4, 3.0, 25.0])
def test_blur_of_rows_that_are_whole_words_and_not(size: tuple[int, int], sigma: float) -> None:
    """Each pass takes four bytes at a time, along both axes of the picture."""
    padded = np.random.default_rng(3).integers(0, 256, (size[0], size[1] + 3, 3), dtype=np.uint8)
    picture = padded[:, 1:-2]
    got = _core.cuda_gaussian_blur(picture, sigma)
    np.testing.assert_array_equal(got, _core.gaussian_blur(picture, sigma))
    np.testing.assert_array_equal(got, reference.blur(picture, sigma))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_blur(data: st.DataObject) -> None:
    picture = random_picture(data, largest=150)
    sigma = data.draw(st.floats(0.3, 60))
    np.testing.assert_array_equal(_core.cuda_gaussian_blur(picture, sigma), _core.gaussian_blur(picture, sigma))
    if picture.ndim == 3 and picture.shape[2] == 3:
        np.testing.assert_array_equal(_core.cuda_gaussian_blur(picture, sigma), reference.blur(picture, sigma))
