# SPDX-License-Identifier: Apache-2.0
"""What the tests of tracks share: frames with a number, networks that read it, and a track with one slot as oracle."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests import fakes
from tests.fakes import TIMEOUT_S

from rmbg_trt import _core

Bytes = NDArray[np.uint8]
SIZE = (24, 32)


def bar(tag: int) -> NDArray[np.float64]:
    """The prediction of a frame: a bar that moves and flickers, so that every frame changes all that come after it."""
    rng = np.random.default_rng(1000 + tag)
    x = np.arange(SIZE[1])
    return (abs(x - 6 - tag % 20) < 5) * rng.uniform(0.6, 1.0) + rng.normal(0, 0.05, SIZE)


def predict(tensor: NDArray[np.float32]) -> NDArray[np.float64]:
    return bar(fakes.tag_of(tensor))


def at_random_times(seed: int) -> fakes.Predict:
    pauses = np.random.default_rng(seed).exponential(0.004, 10_000)
    turn = itertools.count()

    def wait_and_predict(tensor: NDArray[np.float32]) -> NDArray[np.float64]:
        time.sleep(pauses[next(turn)])
        return predict(tensor)

    return wait_and_predict


def failing(*tags: int, how: fakes.Predict = predict) -> fakes.Predict:
    def fail_or_predict(tensor: NDArray[np.float32]) -> object:
        if fakes.tag_of(tensor) in tags:
            raise ValueError(f"tag {fakes.tag_of(tensor)}")
        return how(tensor)

    return fail_or_predict


def pipeline_of(slots: int = 1, how: Callable[[int], fakes.Predict] = lambda slot: predict) -> _core.Pipeline:
    return _core.Pipeline([fakes.network(how(slot), SIZE) for slot in range(slots)], stretch="fixed")


def run(pipeline: _core.Pipeline, frame: Bytes, track: _core.Track | None, **options: Any) -> Bytes:
    result = np.empty(frame.shape[:2], np.uint8)
    pipeline.run(frame, result, "bgr", _core.FrameOptions("alpha", **options), track)
    return result


class Submitted:
    def __init__(self, pipeline: _core.Pipeline, frame: Bytes, track: _core.Track | None, **options: Any) -> None:
        self._result = np.empty(frame.shape[:2], np.uint8)
        self._completion = pipeline.submit(frame, self._result, "bgr", _core.FrameOptions("alpha", **options), track)

    def result(self) -> Bytes:
        assert self._completion.wait(TIMEOUT_S), "the frame is never done"
        self._completion.rethrow()
        return self._result


def one_by_one(tags: Iterable[int], track: _core.Track | None = None, **options: Any) -> list[Bytes]:
    """What one slot makes of these frames on a new track."""
    pipeline, track = pipeline_of(), track or _core.Track(True, True)
    return [run(pipeline, fakes.moving(tag), track, **options) for tag in tags]
