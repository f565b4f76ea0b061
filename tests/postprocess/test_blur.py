# SPDX-License-Identifier: Apache-2.0
"""The blur is Pillow's GaussianBlur, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import reference

from rmbg_trt import InputError, _core


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_any_picture(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 60))
    shape = data.draw(st.sampled_from([(), (1,), (3,), (4,)]))
    sigma = data.draw(st.one_of(st.floats(0.0625, 4, width=32), st.floats(4, 60, width=32)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    wide = rng.integers(0, 256, (height, width + 3, *shape), dtype=np.uint8)
    source = wide[:, 2:-1]
    expected = reference.blur(source.reshape(height, width) if shape in ((), (1,)) else source, sigma)
    np.testing.assert_array_equal(_core.gaussian_blur(source, sigma), expected)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 12.5, 1000.0])
def test_a_photograph(sigma: float) -> None:
    source = reference.photograph("rocket")
    np.testing.assert_array_equal(_core.gaussian_blur(source, sigma), reference.blur(source, sigma))


def test_white_stays_white() -> None:
    # The largest sum the 24-bit fixed point meets.
    for sigma in (0.5, 7.0, 900.0):
        assert (_core.gaussian_blur(np.full((40, 50, 3), 255, np.uint8), sigma) == 255).all()


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_sigma_must_be_positive(sigma: float) -> None:
    with pytest.raises(InputError, match=r"sigma is .*expected more than 0"):
        _core.gaussian_blur(np.zeros((4, 4, 3), np.uint8), sigma)
