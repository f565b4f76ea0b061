# SPDX-License-Identifier: Apache-2.0
"""No op touches a byte outside of its pictures: they are put against pages that may not be touched.

Vector loads take several pixels at once, so the last ones of a picture are where a read too far would happen.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest

SCRIPT = """
import ctypes, mmap, sys
import numpy as np
from rmbg_trt import _core
from tests import fakes

libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
PAGE = mmap.PAGESIZE
rng = np.random.default_rng(1)
kept = []

def fenced(shape, at_end):
    # An array that begins or ends where a forbidden page does.
    size = int(np.prod(shape))
    pages = -(-size // PAGE)
    block = mmap.mmap(-1, (pages + 2) * PAGE)
    base = np.frombuffer(block, np.uint8)
    for page in (0, pages + 1):
        assert libc.mprotect(base.ctypes.data + page * PAGE, PAGE, 0) == 0
    begin = (pages + 1) * PAGE - size if at_end else PAGE
    kept.append((block, base))
    return base[begin : begin + size].reshape(shape)

def picture(height, width, channels, at_end):
    shape = (height, width) if channels == 1 else (height, width, channels)
    array = fenced(shape, at_end)
    array[...] = rng.integers(0, 256, shape, dtype=np.uint8)
    return array

pipeline = _core.Pipeline([fakes.known(rng.random((32, 40), dtype=np.float32))])
for at_end in (True, False):
    for channels in (1, 3, 4):
        for height, width in ((1, 1), (3, 2), (17, 33), (40, 8), (9, 200), (64, 97)):
            frame = picture(height, width, channels, at_end)
            for filter in ("lanczos", "bilinear", "area"):
                for size in ((1, 1), (5, 7), (32, 40), (height, 2 * width), (2 * height, width), (70, 301)):
                    _core.resample(frame, size, filter)
            _core.preprocess(frame, (32, 40))
            _core.gaussian_blur(frame, 3.0)
            back = picture(height, width, 3, at_end)
            for output, last in (("alpha", ()), ("cutout", (4,)), ("composite", (3,))):
                result = fenced((height, width, *last), at_end)
                options = _core.FrameOptions(output, background=back if output == "composite" else None)
                pipeline.run(frame, result, "bgr", options)
if sys.argv[1:] == ["touch"]:
    kept[0][1][:PAGE].sum()
print("done")
"""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")


@pytest.mark.parametrize("isa", ["generic", ""])
def test_nothing_outside_is_touched(in_python: Callable[..., str], isa: str) -> None:
    assert in_python(SCRIPT, RMBG_ISA=isa) == "done"


def test_the_fence_works(in_python: Callable[..., str]) -> None:
    with pytest.raises(AssertionError, match="exit code -11"):
        in_python(SCRIPT, "touch", ASAN_OPTIONS=f"{os.environ.get('ASAN_OPTIONS', '')}:handle_segv=0")  # make sanitize
