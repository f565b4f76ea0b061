# SPDX-License-Identifier: Apache-2.0
"""NV12 frames: colours by hand and by the standards' formulas, and the same results as the picture in colours."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from tests import fakes

from rmbg_trt import Engine, InputError, _core

MATRICES = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}


def to_rgb(nv12: NDArray[np.uint8], name: str) -> NDArray[np.float64]:
    """(h, w, 3) in 0..255, not rounded: ITU-R BT.601-7 and BT.709-6, solved for red, green and blue."""
    matrix, _, full = name.partition("-")
    red, blue = MATRICES[matrix]
    height = nv12.shape[0] // 3 * 2
    luma = nv12[:height].astype(float)
    chroma = nv12[height:].reshape(height // 2, -1, 2).astype(float) - 128
    u, v = (chroma[:, :, i].repeat(2, 0).repeat(2, 1) for i in (0, 1))
    if not full:
        luma, u, v = (luma - 16) * 255 / 219, u * 255 / 224, v * 255 / 224
    r, b = luma + 2 * (1 - red) * v, luma + 2 * (1 - blue) * u
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.stack([r, g, b], axis=2), 0, 255)


def run(frame: NDArray[np.uint8], name: str, color: str = "bgr", output: str = "cutout") -> NDArray[np.uint8]:
    pipeline = _core.Pipeline([fakes.network(lambda x: x[0, 0], (32, 48))])
    height, width = frame.shape[0] // 3 * 2, frame.shape[1]
    result = np.zeros((height, width, 4) if output == "cutout" else (height, width), np.uint8)
    pipeline.run(frame, result, color, _core.FrameOptions(output, nv12=name))
    return result


def random_nv12(height: int = 36, width: int = 50) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (height * 3 // 2, width + 3), dtype=np.uint8)[:, 2 : 2 + width]


@pytest.mark.parametrize("name", ["bt601", "bt709", "bt601-full", "bt709-full"])
def test_colours_follow_the_standards(name: str) -> None:
    frame = random_nv12()
    expected = to_rgb(frame, name)
    # A half step, and what 16 bits of a factor lose over two products of bytes.
    assert np.abs(run(frame, name, "rgb")[:, :, :3] - expected).max() <= 0.5 + 0.02
    np.testing.assert_array_equal(run(frame, name, "bgr")[:, :, 2::-1], run(frame, name, "rgb")[:, :, :3])


def test_colours_by_hand() -> None:
    # Limited range: 16 is black, 235 white; 81, 90, 240 is the red of a colour bar in BT.601.
    for luma, u, v, rgb in ((16, 128, 128, 0), (235, 128, 128, 255), (126, 128, 128, 128)):
        frame = np.concatenate([np.full((2, 2), luma), np.array([[u, v]])]).astype(np.uint8)
        assert (run(frame, "bt601", "rgb")[:, :, :3] == rgb).all()
    frame = np.array([[81, 81], [81, 81], [90, 240]], np.uint8)
    assert run(frame, "bt601", "rgb")[0, 0, :3].tolist() == [254, 0, 0]


def test_the_same_as_the_picture_in_colours(small_model: object) -> None:
    frame = random_nv12()
    with Engine(small_model, device="cpu") as engine:
        cutout = engine.run(frame, nv12="bt709", output="cutout")
        picture = np.ascontiguousarray(cutout[:, :, :3])
        np.testing.assert_array_equal(engine.run(picture, output="cutout"), cutout)
        np.testing.assert_array_equal(engine.run(picture), engine.run(frame, nv12="bt709"))
        np.testing.assert_array_equal(engine.submit(frame, nv12="bt709").result(), engine.run(picture))
        np.testing.assert_array_equal(next(engine.map([frame], nv12="bt709")), engine.run(picture))
        composite = engine.run(frame, nv12="bt709", output="composite", background="blur:2")
        np.testing.assert_array_equal(engine.run(picture, output="composite", background="blur:2"), composite)


@pytest.mark.parametrize("shape", [(54, 51), (55, 50), (1, 50), (54, 50, 3)])
def test_what_is_no_nv12_is_refused(shape: tuple[int, ...], small_model: object) -> None:
    with Engine(small_model, device="cpu") as engine, pytest.raises(InputError, match=r"expected NV12"):
        engine.run(np.zeros(shape, np.uint8), nv12="bt709")


def test_unknown_matrices_are_refused(small_model: object) -> None:
    with Engine(small_model, device="cpu") as engine, pytest.raises(InputError, match=r"nv12 is 'bt2020'; expected"):
        engine.run(np.zeros((6, 4), np.uint8), nv12="bt2020")
