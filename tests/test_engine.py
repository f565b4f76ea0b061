# SPDX-License-Identifier: Apache-2.0
"""The engine's calls: what goes in, what comes out, in which colours and in whose memory."""

from __future__ import annotations

import dataclasses
import logging
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests import fakes, reference

from rmbg_trt import Engine, Error, InputError, _core

MakeEngine = Callable[..., Engine]


def reds(tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """A prediction that tells the colours apart: how much redder than blue a pixel is."""
    return tensor[0, 0] * np.float32(0.229) - tensor[0, 2] * np.float32(0.225)


@pytest.fixture
def engine(fake_engine: MakeEngine) -> Engine:
    return fake_engine(reds)


@pytest.fixture
def frame() -> NDArray[np.uint8]:
    """A photograph in BGR."""
    return np.ascontiguousarray(reference.photograph("coffee")[:, :, ::-1])


def expected_alpha(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    tensor = reference.input_tensor(reference.to_rgb(bgr, "bgr"), (32, 32))
    return reference.alpha(reds(tensor), bgr.shape[:2])


# ---- outputs ---------------------------------------------------------------------------------------------------


def test_alpha(engine: Engine, frame: NDArray[np.uint8]) -> None:
    alpha = engine.run(frame)
    assert alpha.dtype == np.uint8
    np.testing.assert_array_equal(alpha, expected_alpha(frame))


def test_cutout_and_composite(engine: Engine, frame: NDArray[np.uint8]) -> None:
    alpha = expected_alpha(frame)
    cutout = engine.run(frame, output="cutout")
    np.testing.assert_array_equal(cutout[:, :, :3], frame)
    np.testing.assert_array_equal(cutout[:, :, 3], alpha)
    premultiplied = engine.run(frame, output="cutout", premultiplied=True)
    np.testing.assert_array_equal(premultiplied[:, :, 1], reference.multiply(frame[:, :, 1], alpha))
    composite = engine.run(frame, output="composite", background="#ff0000")
    red = np.full_like(frame, (0, 0, 255))
    np.testing.assert_array_equal(composite, reference.over(frame, red, alpha))
    blurred = engine.run(frame, output="composite", background="blur:6")
    np.testing.assert_array_equal(blurred, reference.over(frame, reference.blur(frame, 6), alpha))


def test_gray_frames(engine: Engine, fake_engine: MakeEngine) -> None:
    gray = np.asarray(Image.fromarray(reference.photograph("chelsea")).convert("L"))
    engine = fake_engine(lambda tensor: tensor[0, 1])
    three = np.stack([gray] * 3, axis=2)
    for output, options in (("alpha", {}), ("cutout", {}), ("composite", {"background": "blue"})):
        expected = engine.run(three, output=output, **options)
        np.testing.assert_array_equal(engine.run(gray, output=output, **options), expected)
        np.testing.assert_array_equal(engine.run(gray[:, :, np.newaxis], output=output, **options), expected)


def test_the_stretch_can_be_left_out(fake_engine: MakeEngine) -> None:
    frame = np.zeros((10, 12, 3), np.uint8)
    assert (fake_engine(lambda _: 0.5, stretch="none").run(frame) == 127).all()
    assert (fake_engine(lambda _: 0.5).run(frame) == 0).all()


# ---- colour order ----------------------------------------------------------------------------------------------


def test_bgr_and_rgb_engines_agree(fake_engine: MakeEngine, frame: NDArray[np.uint8]) -> None:
    bgr, rgb = fake_engine(reds), fake_engine(reds, color="rgb")
    turned = np.ascontiguousarray(frame[:, :, ::-1])
    np.testing.assert_array_equal(bgr.run(frame), rgb.run(turned))
    assert (bgr.run(frame) != rgb.run(frame)).any(), "the colour order is ignored"
    options = {"output": "composite", "background": "#2040f0"}
    np.testing.assert_array_equal(bgr.run(frame, **options), rgb.run(turned, **options)[:, :, ::-1])
    np.testing.assert_array_equal(bgr.run(frame, output="cutout")[:, :, :3], frame)


def test_numbers_of_a_background_are_in_the_engines_order(fake_engine: MakeEngine, frame: NDArray[np.uint8]) -> None:
    for color in ("bgr", "rgb"):
        got = fake_engine(lambda _: 0.0, color=color).run(frame, output="composite", background=(1, 2, 3))
        assert (got == (1, 2, 3)).all()


def test_pil_images_are_rgb_in_every_engine(fake_engine: MakeEngine, frame: NDArray[np.uint8]) -> None:
    picture = Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1]))
    for color in ("bgr", "rgb"):
        engine = fake_engine(reds, color=color)
        alpha = engine.run(picture)
        assert (alpha.mode, alpha.size) == ("L", picture.size)
        np.testing.assert_array_equal(np.asarray(alpha), expected_alpha(frame))
        cutout = engine.run(picture, output="cutout")
        assert cutout.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(cutout)[:, :, :3], np.asarray(picture))
        composite = engine.run(picture, output="composite", background="red")
        assert composite.mode == "RGB"
        red = np.full_like(frame, (255, 0, 0))
        expected = reference.over(np.asarray(picture), red, expected_alpha(frame))
        np.testing.assert_array_equal(np.asarray(composite), expected)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV"])
def test_pil_images_of_any_mode(fake_engine: MakeEngine, mode: str) -> None:
    engine = fake_engine(reds, stretch="none")
    picture = Image.fromarray(reference.photograph("chelsea")).convert(mode)
    np.testing.assert_array_equal(np.asarray(engine.run(picture)), np.asarray(engine.run(picture.convert("RGB"))))


def test_the_transparency_of_pil_images_counts(fake_engine: MakeEngine) -> None:
    engine = fake_engine(lambda _: 1.0, stretch="none")
    half = Image.new("RGBA", (7, 5), (9, 9, 9, 100))
    assert (np.asarray(engine.run(half)) == 100).all()
    assert (np.asarray(engine.run(half.convert("LA"))) == 100).all()
    palette = Image.new("P", (7, 5), 3)
    palette.info["transparency"] = 3
    assert not np.asarray(engine.run(palette)).any()


# ---- memory ----------------------------------------------------------------------------------------------------


def test_out_is_written_in_place_and_returned(engine: Engine, frame: NDArray[np.uint8]) -> None:
    height, width = frame.shape[:2]
    canvas = np.full((height + 2, width + 5), 99, np.uint8)
    out = canvas[1:-1, 2:-3]
    assert engine.run(frame, out=out) is out
    np.testing.assert_array_equal(out, expected_alpha(frame))
    canvas[1:-1, 2:-3] = 99
    assert (canvas == 99).all(), "something outside of out was written"


def test_a_ticket_gives_out_back(engine: Engine, frame: NDArray[np.uint8]) -> None:
    out = np.zeros((*frame.shape[:2], 4), np.uint8)
    assert engine.submit(frame, output="cutout", out=out).result() is out
    np.testing.assert_array_equal(out[:, :, :3], frame)


def test_neither_frame_nor_result_is_copied(fake_engine: MakeEngine) -> None:
    engine = fake_engine(lambda _: 0.5, stretch="none")
    wide = np.full((2000, 3001, 3), 40, np.uint8)
    frame, out = wide[:, :3000], np.empty((2000, 3000), np.uint8)
    core_bytes = _core.bytes_in_use()
    tracemalloc.start()
    try:
        engine.run(frame, out=out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000
    # Of the core's own memory the largest is what lies between the passes: 2000 rows of 32 pixels, not of 3000.
    assert _core.bytes_in_use() - core_bytes < 1_000_000
    assert (out == 127).all()


def test_padded_rows_and_read_only_frames(engine: Engine, frame: NDArray[np.uint8]) -> None:
    wide = np.zeros((frame.shape[0], frame.shape[1] + 7, 3), np.uint8)
    wide[:, 3:-4] = frame
    wide.flags.writeable = False
    np.testing.assert_array_equal(engine.run(wide[:, 3:-4]), expected_alpha(frame))
    every_other = wide[::2, 3:-4]
    np.testing.assert_array_equal(engine.run(every_other), expected_alpha(np.ascontiguousarray(every_other)))


def test_the_frame_is_only_read(engine: Engine, frame: NDArray[np.uint8]) -> None:
    before = frame.copy()
    for output, options in (("alpha", {}), ("cutout", {"premultiplied": True}), ("composite", {"background": "blur"})):
        engine.run(frame, output=output, **options)
    np.testing.assert_array_equal(frame, before)


def test_a_frame_buffer_is_aligned_and_accepted(engine: Engine, frame: NDArray[np.uint8]) -> None:
    buffer = engine.frame_buffer(*frame.shape)
    assert (buffer.shape, buffer.dtype, buffer.ctypes.data % 64) == (frame.shape, np.uint8, 0)
    buffer[...] = frame
    np.testing.assert_array_equal(engine.run(buffer), expected_alpha(frame))
    assert engine.frame_buffer(5, 7, 1).shape == (5, 7)
    with pytest.raises(InputError, match="at least 1"):
        engine.frame_buffer(0, 7)


class Foreign:
    """An array of another library: all it has is DLPack."""

    def __init__(self, array: NDArray[np.uint8], kind: int = 1) -> None:
        self.array, self.kind = array, kind

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.kind, 0

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)


def test_arrays_of_other_libraries_come_in_through_dlpack(engine: Engine, frame: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(engine.run(Foreign(frame)), expected_alpha(frame))
    with pytest.raises(InputError, match=r"is on a GPU and this engine runs on the CPU"):
        engine.run(Foreign(frame, kind=2))
    with pytest.raises(InputError, match=r"another device.*DLPack type 12"):
        engine.run(Foreign(frame, kind=12))


def test_objects_that_become_arrays_are_accepted(engine: Engine, frame: NDArray[np.uint8]) -> None:
    class Holder:
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.uint8]:
            return frame

    np.testing.assert_array_equal(engine.run(Holder()), expected_alpha(frame))


# ---- what the engine says --------------------------------------------------------------------------------------


def test_info_says_what_runs_where_and_why(small_model: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rmbg_trt"), Engine(small_model, precision="fp32", slots=3) as engine:
        info = engine.info
    assert info.model == info.model_path == str(small_model)
    assert (info.device, info.precision, info.input_size, info.slots) == ("cpu", "fp32", (48, 64), 3)
    assert info.runtime in ("native", "openvino")
    assert info.device_name
    assert info.runtime_version
    assert info.reason.startswith("CPU because"), info.reason
    assert "fp32" in info.reason
    for word in ("48x64", "cpu", info.runtime, info.runtime_version, "fp32", "3 slots", info.reason):
        assert word in str(info)
    assert str(info) in caplog.text
    assert str(info) in repr(engine)
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.device = "cuda"  # type: ignore[misc]


def test_profile(fake_engine: MakeEngine) -> None:
    engine = fake_engine()
    empty = engine.profile()
    stages = {"copy_in_ms", "preprocess_ms", "network_ms", "postprocess_ms", "copy_out_ms"}
    assert set(empty) == {*stages, "total_ms", "frames"}
    assert set(empty.values()) == {0}
    for tag in range(5):
        engine.run(fakes.tagged(tag))
    profile = engine.profile()
    assert profile["frames"] == 5
    assert 0 < profile["network_ms"] < profile["total_ms"]


# ---- the end ---------------------------------------------------------------------------------------------------


def test_a_closed_engine_says_so_and_may_be_closed_again(engine: Engine, frame: NDArray[np.uint8]) -> None:
    engine.run(frame)
    with engine as same:
        assert same is engine
    for call in (engine.run, engine.submit, lambda frame: list(engine.map([frame]))):
        with pytest.raises(Error, match="the engine is closed; create a new one"):
            call(frame)
    engine.close()
    assert engine.info.device == "cpu"


def test_the_context_manager_closes_after_an_error(fake_engine: MakeEngine) -> None:
    engine = fake_engine()
    with pytest.raises(ZeroDivisionError), engine:
        raise ZeroDivisionError
    with pytest.raises(Error, match="closed"):
        engine.run(fakes.tagged(1))


SCRIPT = """
import sys, time
from pathlib import Path
import numpy
from rmbg_trt import Engine
engine = Engine(Path(sys.argv[1]), precision="fp32", slots=2)
frame = numpy.zeros((1000, 1500, 3), numpy.uint8)
tickets = [engine.submit(frame, output="composite", background="blur:50") for _ in range(4)]
print("ends with frames in flight", flush=True)
"""


@pytest.mark.parametrize("ending", ["", "raise SystemExit(0)", "del engine", "del tickets, frame"])
def test_a_program_may_end_with_frames_in_flight(in_python: Callable[..., str], small_model: Path, ending: str) -> None:
    assert in_python(SCRIPT + ending, str(small_model)) == "ends with frames in flight"
