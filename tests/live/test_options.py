# SPDX-License-Identifier: Apache-2.0
"""Options that are refused."""

from __future__ import annotations

from typing import Any, cast

import pytest
from tests.live.parts import NumberedSource, SlowMatter

from rmbg_trt import FrameOptions
from rmbg_trt.errors import InputError
from rmbg_trt.live import LiveMatter, LiveOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame": FrameOptions("composite")}, "a composite needs a background"),
        ({"frame": FrameOptions("alpha"), "backgrounds": ["red"]}, "a background only applies to a composite"),
        ({"frame": FrameOptions(cast(Any, "matte"))}, "the output is 'matte'"),
        ({"frame": FrameOptions("composite", "red")}, "give it in backgrounds"),
        ({"frame": FrameOptions(premultiplied=True)}, "premultiplied only applies to a cutout"),
        ({"backgrounds": ["reddish"]}, "'reddish' is not a colour"),
        ({"fps": 0.0}, "the frame rate is 0"),
        ({"reconnect": -1}, "reconnect is -1"),
        ({"slots": 0}, "slots is 0"),
        ({"width": 0}, "the width is 0"),
    ],
)
def test_invalid_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LiveMatter(NumberedSource(), SlowMatter(), [], LiveOptions(**options))
