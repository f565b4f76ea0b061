# SPDX-License-Identifier: Apache-2.0
"""Options that make no sense for any clip."""

from __future__ import annotations

from typing import Any

import pytest

from rmbg_trt.errors import InputError
from rmbg_trt.video import VideoOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "composite"}, "needs a background"),
        ({"output": "alpha", "background": "red"}, "leave it out"),
        ({"output": "mask"}, "'mask'; expected"),
        ({"start": -1}, "start is -1"),
        ({"duration": 0}, "duration is 0"),
        ({"fps": 0}, "frame rate is 0"),
        ({"width": 0}, "width is 0"),
        ({"height": 100_000}, "height is 100000"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        VideoOptions(**options).check()
