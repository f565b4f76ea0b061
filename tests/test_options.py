# SPDX-License-Identifier: Apache-2.0
"""The options of a frame: all at once, one by one, and those of engines that hold where a call says nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests import fakes, reference

from rmbg_trt import Engine, FrameOptions, InputError, VideoMatter, _core
from rmbg_trt.frame import open_frame
from rmbg_trt.options import FrameKeywords

Bytes = NDArray[np.uint8]
SIZE = (32, 32)


def predict(tensor: NDArray[np.float32]) -> Any:
    return np.float32(np.hypot(*np.mgrid[-16:16, -16:16]) < 9)


@pytest.fixture
def engine(fake_engine: Callable[..., Engine]) -> Engine:
    return fake_engine(predict)


def made_of(frame: Bytes, output: str, **options: Any) -> Bytes:
    """What the core makes of a frame."""
    last = {"alpha": (), "cutout": (4,), "composite": (3,)}[output]
    result = np.empty((*frame.shape[:2], *last), np.uint8)
    pipeline = _core.Pipeline([fakes.network(predict, SIZE)])
    pipeline.run(frame, result, "bgr", _core.FrameOptions(output, **options))
    return result


FRAME = np.random.default_rng(0).integers(0, 256, (60, 72, 3), dtype=np.uint8)


def test_keywords_are_the_fields() -> None:
    fields = {field.name: field.type for field in dataclasses.fields(FrameOptions)}
    assert {name: kind.__forward_arg__ for name, kind in FrameKeywords.__annotations__.items()} == fields
    assert FrameKeywords.__required_keys__ == frozenset()


NEEDS_TEST_BINDINGS = pytest.mark.skipif(not hasattr(_core, "_same_work"), reason="build with RMBG_TESTS=ON")


def share_graphs(engine: Engine, one: FrameOptions, other: FrameOptions) -> bool:
    """Whether frames with these options may share CUDA graphs."""
    return _core._same_work(*(open_frame(engine._pipeline, FRAME, "bgr", each).options for each in (one, other)))


@NEEDS_TEST_BINDINGS
@pytest.mark.parametrize("name", sorted({field.name for field in dataclasses.fields(FrameOptions)} - {"background"}))
def test_another_option_is_another_graph(engine: Engine, name: str) -> None:
    usual = FrameOptions("cutout")
    value = {"output": "alpha", "nv12": "bt709"}.get(name, getattr(usual, name) is False)
    assert not share_graphs(engine, usual, dataclasses.replace(usual, **{name: value}))
    assert share_graphs(engine, usual, FrameOptions("cutout"))


@NEEDS_TEST_BINDINGS
def test_backgrounds_of_one_kind_share_graphs(engine: Engine) -> None:
    """A graph is given each frame's colour, or the address of its image."""
    over = {name: FrameOptions("composite", name) for name in ("red", "navy", "blur:3", "blur:4")}
    images = [FrameOptions("composite", np.full_like(FRAME, shade)) for shade in (1, 2)]
    assert share_graphs(engine, over["red"], over["navy"])
    assert share_graphs(engine, *images)
    assert not share_graphs(engine, over["red"], images[0])
    assert not share_graphs(engine, over["red"], over["blur:3"])
    assert not share_graphs(engine, over["blur:3"], over["blur:4"])


def test_all_at_once_or_one_by_one(engine: Engine) -> None:
    options = FrameOptions("composite", (1, 2, 3), refine=True, decontaminate=True)
    expected = made_of(FRAME, "composite", background=(1, 2, 3), refine=True, decontaminate=True)
    one_by_one = dataclasses.asdict(options)
    for got in (
        engine.run(FRAME, options=options),
        engine.run(FRAME, **one_by_one),
        engine.submit(FRAME, options=options).result(),
        engine.submit(FRAME, **one_by_one).result(),
        next(engine.map([FRAME], options=options)),
        next(engine.map([FRAME], **one_by_one)),
    ):
        np.testing.assert_array_equal(got, expected)


def test_a_keyword_goes_before_the_options(engine: Engine) -> None:
    options = FrameOptions("composite", (1, 2, 3), refine=True)
    got = engine.run(FRAME, options=options, background=(4, 5, 6))
    np.testing.assert_array_equal(got, made_of(FRAME, "composite", background=(4, 5, 6), refine=True))
    assert options.background == (1, 2, 3)


@pytest.mark.parametrize("name", ["refine", "decontaminate"])
def test_what_an_engine_does_unless_a_call_says_otherwise(fake_engine: Callable[..., Engine], name: str) -> None:
    engine = fake_engine(predict, **{name: True})
    with_it, without = made_of(FRAME, "cutout", **{name: True}), made_of(FRAME, "cutout")
    assert (with_it != without).any()
    np.testing.assert_array_equal(engine.run(FRAME, output="cutout"), with_it)
    np.testing.assert_array_equal(engine.run(FRAME, output="cutout", **{name: False}), without)
    np.testing.assert_array_equal(engine.run(FRAME, options=FrameOptions("cutout")), without)


def test_the_default_blur_grows_with_the_frame(engine: Engine) -> None:
    composite = engine.run(FRAME, output="composite", background="blur")
    blurred = reference.blur(FRAME, 0.02 * min(FRAME.shape[:2]))
    np.testing.assert_array_equal(composite, reference.over(FRAME, blurred, made_of(FRAME, "alpha")))


def test_a_call_that_refines_what_cannot_be(fake_engine: Callable[..., Engine]) -> None:
    engine = fake_engine(lambda _: 0.5, out=(16, 16))
    with pytest.raises(InputError, match="as large as its input; this one maps 32x32 to 16x16"):
        engine.run(FRAME, refine=True)
    assert engine.run(FRAME).shape == FRAME.shape[:2]


def test_a_network_that_cannot_be_refined_says_so_at_once(fake_engine: Callable[..., Engine]) -> None:
    engine = fake_engine(lambda _: 0.5, size=(40, 56), out=(20, 28), slots=1)
    with pytest.raises(InputError, match="as large as its input; this one maps 56x40 to 28x20; leave refine out"):
        VideoMatter(engine)
    assert VideoMatter(engine, refine=False).run(FRAME).shape == (60, 72)


def test_a_video_takes_them_too(engine: Engine) -> None:
    matter = VideoMatter(engine, stabilize=False, stretch="minmax")
    options = FrameOptions("cutout", refine=True)
    expected = made_of(FRAME, "cutout", refine=True)
    np.testing.assert_array_equal(matter.run(FRAME, options=options), expected)
    np.testing.assert_array_equal(matter.submit(FRAME, options=options).result(), expected)
    np.testing.assert_array_equal(next(matter.map([FRAME], options=options)), expected)
    np.testing.assert_array_equal(matter.run(FRAME, output="cutout", decontaminate=False), expected)


@pytest.mark.parametrize("call", ["run", "submit", "map"])
@pytest.mark.parametrize("video", [False, True])
def test_a_name_that_no_option_has(engine: Engine, video: bool, call: str) -> None:
    matter: Any = VideoMatter(engine) if video else engine
    with pytest.raises(TypeError, match="unexpected keyword argument 'outptu'"):
        getattr(matter, call)(FRAME, outptu="alpha")
    assert matter.run(FRAME).shape == FRAME.shape[:2]
