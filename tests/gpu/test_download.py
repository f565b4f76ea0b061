# SPDX-License-Identifier: Apache-2.0
"""``DeviceArray.numpy()``: in chunks of pinned memory, by several threads, and after a call that failed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.gpu import gpu_networks as gpu
from tests.gpu.stand_in import StandIn

from rmbg_trt import CudaError, _core

CHUNK = 2 << 20  # kChunk of device_download.cpp
UNKNOWN = 999


def random_bytes(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, count, dtype=np.uint8)


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 5 * CHUNK + 77])
def test_every_byte_comes(count: int) -> None:
    array = random_bytes(count)
    np.testing.assert_array_equal(_core.cuda_upload(array).numpy(), array)


@pytest.mark.parametrize(("count", "copies"), [(0, 0), (CHUNK, 1), (CHUNK + 1, 2), (4 * CHUNK, 4)])
def test_chunks_are_kept(stand_in: StandIn, count: int, copies: int) -> None:
    on_gpu = _core.cuda_upload(random_bytes(count))
    _core.cuda_upload(random_bytes(1)).numpy()
    kinds = ("pinned_bytes", "streams", "events")
    before, copied = [stand_in.live(kind) for kind in kinds], stand_in.calls("cudaMemcpyAsync")
    on_gpu.numpy()
    assert stand_in.calls("cudaMemcpyAsync") == copied + copies
    assert [stand_in.live(kind) for kind in kinds] == before


def test_threads_at_once() -> None:
    devices = range(len(_core.cuda_devices()))
    arrays = [random_bytes(3 * CHUNK + 1000 * seed, seed) for seed in range(4)]
    on_gpu = [_core.cuda_upload(array, device=seed % len(devices)) for seed, array in enumerate(arrays)]

    def download(turn: int) -> bool:
        return np.array_equal(on_gpu[turn % 4].numpy(), arrays[turn % 4])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(download, range(16)))


def test_a_result_is_waited_for() -> None:
    """Of a frame on the GPU that nobody has waited for, larger than two chunks."""
    frame = gpu.random_frame(np.random.default_rng(1), 1200, 1001, 3)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for _ in range(3):
        got = gpu.run_on_gpu(pipeline, _core.cuda_upload(frame), "cutout")
        np.testing.assert_array_equal(got.numpy(), gpu.run(cpu, frame, "cutout"))


@pytest.mark.parametrize("call", ["cudaMemcpyAsync", "cudaEventRecord", "cudaEventSynchronize"])
def test_a_call_that_fails_leaves_the_chunks_usable(stand_in: StandIn, call: str) -> None:
    array, other = random_bytes(3 * CHUNK, 1), random_bytes(3 * CHUNK, 2)
    on_gpu, other_on_gpu = _core.cuda_upload(array), _core.cuda_upload(other)
    for after in range(3):
        stand_in.fail(call, UNKNOWN, after)
        with pytest.raises(CudaError, match="cudaErrorUnknown"):
            on_gpu.numpy()
        np.testing.assert_array_equal(other_on_gpu.numpy(), other)
        np.testing.assert_array_equal(on_gpu.numpy(), array)
