# SPDX-License-Identifier: Apache-2.0
"""An engine for clips whose alpha is known: opaque on the left, nothing on the right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.video.clips import left_over, make_clip

from rmbg_trt import Engine
from rmbg_trt.errors import InputError
from rmbg_trt.video import matte_video


def left_half(tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    alpha = np.zeros(tensor.shape[2:], np.float32)
    alpha[:, : alpha.shape[1] // 2] = 1
    return alpha


@pytest.fixture
def engine(fake_engine: Callable[..., Engine]) -> Engine:
    return fake_engine(left_half, color="rgb", stretch="none", filter="bilinear")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "a.mp4", 6)


@pytest.fixture
def refused(engine: Engine) -> Callable[[Path, str], None]:
    """Checks that a clip is refused with a message, and that nothing is left of the result."""

    def check(clip: Path, message: str) -> None:
        out = clip.parent / "out"
        with pytest.raises(InputError, match=message):
            matte_video(clip, out / "o.mp4", engine=engine, background="red")
        assert not out.exists() or list(out.iterdir()) == []
        assert left_over(clip.parent) == []

    return check
