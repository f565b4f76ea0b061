# SPDX-License-Identifier: Apache-2.0
"""Options from keywords, and those that make no sense for any clip."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from rmbg_trt.errors import InputError
from rmbg_trt.options import FrameKeywords, FrameOptions
from rmbg_trt.video import VideoOptions
from rmbg_trt.video.options import VideoKeywords, frame_options_with


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "composite"}, "needs a background"),
        ({"output": "alpha", "background": "red"}, "leave it out"),
        ({"output": "mask"}, "'mask'; expected"),
        ({"output": "alpha", "premultiplied": True}, "premultiplied only applies to a cutout"),
        ({"nv12": "bt709"}, "nv12 is for frames that you give"),
        ({"start": -1}, "start is -1"),
        ({"start": "1:00"}, "start is '1:00'; expected a number of seconds"),
        ({"duration": float("nan")}, "duration is nan; expected a number of seconds"),
        ({"fps": "25"}, "frame rate is '25'; expected a number"),
        ({"width": 10.5}, "width is 10.5; expected a whole number of pixels"),
        ({"duration": 0}, "duration is 0"),
        ({"fps": 0}, "frame rate is 0"),
        ({"width": 0}, "width is 0"),
        ({"height": 100_000}, "height is 100000"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        VideoOptions.of(**options).check()


def test_keywords_are_the_fields() -> None:
    fields = {field.name: field.type for field in dataclasses.fields(VideoOptions) if field.name != "frame"}
    keywords = {name: kind.__forward_arg__ for name, kind in VideoKeywords.__annotations__.items()}
    of_frames = {name: kind.__forward_arg__ for name, kind in FrameKeywords.__annotations__.items()}
    assert keywords == {**of_frames, **fields}
    assert VideoKeywords.__required_keys__ == frozenset()


def test_every_option_of_a_frame_arrives() -> None:
    usual = vars(VideoOptions().frame)
    unusual: Any = {name: not value if isinstance(value, bool) else "other" for name, value in usual.items()}
    assert VideoOptions.of(**unusual, crf=3) == VideoOptions(FrameOptions(**unusual), crf=3)


@pytest.mark.parametrize(
    ("options", "output"), [({}, "cutout"), ({"background": "red"}, "composite"), ({"output": "alpha"}, "alpha")]
)
def test_the_output_follows_from_the_background(options: Any, output: str) -> None:
    assert VideoOptions.of(**options).frame.output == output


def test_what_a_matter_decides_itself() -> None:
    frame = FrameOptions("cutout", premultiplied=True, refine=True)
    matter = SimpleNamespace(options=FrameOptions("alpha", decontaminate=True))
    assert frame_options_with(matter, frame) == FrameOptions("cutout", premultiplied=True, decontaminate=True)
    assert frame_options_with(object(), frame) == frame
