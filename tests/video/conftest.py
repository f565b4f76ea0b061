# SPDX-License-Identifier: Apache-2.0
"""An engine for clips whose alpha is known: opaque on the left, nothing on the right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from rmbg_trt import Engine


def left_half(tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    alpha = np.zeros(tensor.shape[2:], np.float32)
    alpha[:, : alpha.shape[1] // 2] = 1
    return alpha


@pytest.fixture
def engine(fake_engine: Callable[..., Engine]) -> Engine:
    return fake_engine(left_half, color="rgb", stretch="none", filter="bilinear")
