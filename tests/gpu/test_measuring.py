# SPDX-License-Identifier: Apache-2.0
"""Measuring a frame's stages: over the slot's own memory, of which nothing is read that nobody wrote."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.gpu import gpu_networks as gpu
from tests.gpu.stand_in import StandIn

from rmbg_trt import _core

SIZE = (41, 61)  # rows are padded, whatever the channels
OUTPUTS: list[tuple[str, dict[str, Any]]] = [
    ("alpha", {}),
    ("cutout", {}),
    ("composite", {"background": np.zeros((*SIZE, 3), np.uint8)}),
    ("composite", {"blur_sigma": 2.0}),
]


def test_measured_stages() -> None:
    pipeline, _ = gpu.pipeline()
    assert pipeline.measure(3) == []
    for _ in range(2):
        gpu.run(pipeline, gpu.random_frame(np.random.default_rng(0), 40, 60, 3), "alpha")
    times = pipeline.measure(5)
    assert len(times) == 5
    for each in times:
        assert all(value >= 0 for value in each.values())
        stages = sum(value for name, value in each.items() if name != "total_ms")
        assert stages == pytest.approx(each["total_ms"], rel=0.05, abs=0.01)
    # The slot is as good as before.
    frame = gpu.random_frame(np.random.default_rng(1), 40, 60, 3)
    np.testing.assert_array_equal(gpu.run(pipeline, frame, "alpha"), gpu.run(gpu.on_the_cpu(), frame, "alpha"))


@pytest.mark.parametrize(("output", "options"), OUTPUTS)
@pytest.mark.parametrize("pinned", [False, True])
def test_copies_of_bytes_that_were_written(
    stand_in: StandIn, output: str, options: dict[str, Any], pinned: bool
) -> None:
    """Frames that go through the slot's pinned memory, and those that do not, so that it is new."""
    before = stand_in.fresh_bytes_copied()
    tables, _ = gpu.pipeline(stretch="fixed")
    gpu.run_on_gpu(tables, _core.cuda_upload(np.zeros((*SIZE, 3), np.uint8)))
    del tables  # waits
    in_tables = stand_in.fresh_bytes_copied() - before  # numbers that look like fresh memory
    before += 2 * in_tables
    pipeline, _ = gpu.pipeline(stretch="fixed")
    frame = _core.host_buffer([*SIZE, 3], pinned=pinned)
    result = _core.host_buffer([*SIZE, {"alpha": 1, "cutout": 4, "composite": 3}[output]], pinned=pinned)
    frame[...] = 3
    pipeline.run(frame, result[..., 0] if output == "alpha" else result, "bgr", _core.FrameOptions(output, **options))
    assert stand_in.fresh_bytes_copied() == before
    assert len(pipeline.measure(2)) == 2
    assert stand_in.fresh_bytes_copied() == before


@pytest.mark.parametrize("nv12", [None, "bt709"])
def test_a_frame_on_the_gpu_is_black(nv12: str | None) -> None:
    (pipeline, (network,)), (alone, (reference,)) = gpu.pipeline(), gpu.pipeline()
    shape = (42, 62) if nv12 else (*SIZE, 3)
    frame = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    gpu.run_on_gpu(pipeline, _core.cuda_upload(frame), nv12=nv12).numpy()
    pipeline.measure(1)
    gpu.run_on_gpu(alone, _core.cuda_upload(np.zeros(shape, np.uint8)), nv12=nv12).numpy()
    np.testing.assert_array_equal(network.tensors[0].numpy(), reference.tensors[0].numpy())


def test_everything_at_once() -> None:
    pipeline, _ = gpu.pipeline(stretch="fixed")
    frame = np.random.default_rng(8).integers(0, 256, (42, 62), dtype=np.uint8)
    options, track = (
        _core.FrameOptions("cutout", nv12="bt601", refine=True, decontaminate=True),
        _core.Track(True, True),
    )
    for _ in range(3):
        pipeline.run(frame, np.empty((28, 62, 4), np.uint8), "bgr", options, track)
    times = pipeline.measure(2)
    assert len(times) == 2
    assert all(each["total_ms"] >= each["postprocess_ms"] > 0 for each in times)
