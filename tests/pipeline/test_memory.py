# SPDX-License-Identifier: Apache-2.0
"""The memory of a pipeline: none is allocated for a frame, all of it is given back."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from tests import fakes

from rmbg_trt import _core

SIZES = [(48, 64), (64, 48), (100, 33), (33, 101), (240, 320), (17, 5)]


def mixed_jobs() -> list[tuple[NDArray[np.uint8], NDArray[np.uint8], str, _core.FrameOptions]]:
    """Arguments of ``run``: frames of many sizes, in every output."""
    rng = np.random.default_rng(3)
    jobs = []
    for size in SIZES:
        for channels in ((), (3,), (4,)):
            frame = rng.integers(0, 256, (*size, *channels), dtype=np.uint8)
            for made, options in (
                ((), _core.FrameOptions()),
                ((4,), _core.FrameOptions("cutout", premultiplied=True)),
                ((3,), _core.FrameOptions("composite", background=(1, 2, 3))),
                ((3,), _core.FrameOptions("composite", blur_sigma=2.0)),
            ):
                jobs.append((frame, np.zeros((*size, *made), np.uint8), "bgr", options))
    return jobs


def test_nothing_is_allocated_a_frame() -> None:
    pipeline = _core.Pipeline([fakes.known(np.eye(32, dtype=np.float32))])
    jobs = mixed_jobs()

    def all_jobs() -> tuple[int, int]:
        for job in jobs:
            pipeline.run(*job)
        return _core.allocation_count(), _core.bytes_in_use()

    before = _core.allocation_count()
    warm = all_jobs()
    assert warm[0] > before, "the counter does not count"
    for _ in range(3):
        assert all_jobs() == warm


@pytest.mark.slow
def test_memory_is_given_back() -> None:
    gc.collect()
    before = _core.bytes_in_use()
    pipeline = _core.Pipeline([fakes.known(np.eye(32, dtype=np.float32))])
    frame, result = np.zeros((400, 400, 4), np.uint8), np.zeros((400, 400, 3), np.uint8)
    pipeline.run(frame, result, "bgr", _core.FrameOptions("composite", blur_sigma=1.0))
    assert _core.bytes_in_use() > before + 2 * 400 * 400 * 3
    del pipeline
    gc.collect()
    assert _core.bytes_in_use() == before


@pytest.mark.slow
def test_memory_is_flat_over_two_thousand_frames() -> None:
    pipeline = _core.Pipeline([fakes.known(np.eye(32, dtype=np.float32)) for _ in range(2)])
    jobs = mixed_jobs()

    def frames(count: int) -> int:
        for i in range(count):
            job = jobs[i % len(jobs)]
            if i % 2:
                pipeline.run(*job)
            else:
                pipeline.submit(*job).wait()
        gc.collect()
        return psutil.Process().memory_info().rss

    warm = frames(300)
    assert frames(2000) - warm < 5 * 2**20


_CLOSED = """
import gc, sys
import numpy as np, psutil
from rmbg_trt import Engine

frame, kept = np.zeros((300, 400, 3), np.uint8), []

def resident():
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20

def use():
    engine = Engine(sys.argv[1], device="cpu", runtime=sys.argv[2])
    engine.submit(frame).result()
    return engine

use().close()  # what is loaded once for all stays
use().close()
before = resident()
engine = use()
opened = resident()
kept.append(engine)
engine.close()
for _ in range(4):
    kept.append(use())
    kept[-1].close()
print(opened - before, resident() - before, kept[0].info.mode)
"""


@pytest.mark.weights
@pytest.mark.parametrize("runtime", ["native", "openvino"])
def test_closed_engines_that_are_still_referred_to_hold_nothing(
    in_python: Callable[..., str], u2netp_path: Path, runtime: str
) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino")
    opened, left, mode = in_python(_CLOSED, str(u2netp_path), runtime).split()
    assert float(opened) > 20  # MiB: the network
    assert float(left) < 5
    assert mode == "cpu"
