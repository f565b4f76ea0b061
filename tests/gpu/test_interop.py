# SPDX-License-Identifier: Apache-2.0
"""With CuPy, Numba and PyCUDA, where they are installed: their arrays in and out, in the order of their streams."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.gpu import gpu_networks as gpu

run = gpu.run_on_gpu


def frames_and_mattes(count: int = 4) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Frames (333, 257, 3), and what the CPU makes of them."""
    rng, cpu = np.random.default_rng(0), gpu.on_the_cpu()
    frames = [np.ascontiguousarray(gpu.random_frame(rng, 333, 257, 3)) for _ in range(count)]
    return [(frame, gpu.run(cpu, frame, "alpha")) for frame in frames]


@pytest.mark.parametrize("given", [True, False])
def test_cupy(given: bool) -> None:
    """Its stream is found, or given; results come by DLPack and by the CUDA Array Interface."""
    cupy: Any = pytest.importorskip("cupy", exc_type=ImportError)
    pipeline, _ = gpu.pipeline()
    for stream in (cupy.cuda.Stream.null, cupy.cuda.Stream(non_blocking=True)):
        for frame, expected in frames_and_mattes():
            with stream:
                array = cupy.asarray(frame)
                result = run(pipeline, array, stream=stream if given else None)
                got = [take(result) for take in (cupy.from_dlpack, cupy.asarray)]
                got = [each.copy() for each in got]
                del result  # before its stream
                array[:] = 7  # behind our work
            stream.synchronize()
            for each in got:
                np.testing.assert_array_equal(cupy.asnumpy(each), expected)


def test_results_go_into_parts_of_cupys_arrays() -> None:
    cupy: Any = pytest.importorskip("cupy", exc_type=ImportError)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    whole = cupy.random.randint(0, 256, (100, 200, 3)).astype(cupy.uint8)
    for _ in range(3):
        crop, out = whole[10:70, 20:101], cupy.zeros((60, 90), cupy.uint8)[:, 3:84]
        assert run(pipeline, crop, out=out) is out
        expected = gpu.run(cpu, np.ascontiguousarray(cupy.asnumpy(crop)), "alpha")
        np.testing.assert_array_equal(cupy.asnumpy(out), expected)


def test_numba() -> None:
    cuda: Any = pytest.importorskip("numba.cuda", exc_type=ImportError)
    if not cuda.is_available():
        pytest.skip("Numba finds no GPU")
    pipeline, _ = gpu.pipeline()
    for stream, given in itertools.product((cuda.default_stream(), cuda.stream()), (True, False)):
        for frame, expected in frames_and_mattes():
            array = cuda.to_device(frame, stream=stream)  # of the default stream: Numba says that it is number 0
            result = run(pipeline, array, stream=stream if given else None)
            got = cuda.as_cuda_array(result).copy_to_host(stream=stream)
            del result  # before its stream
            stream.synchronize()
            np.testing.assert_array_equal(got, expected)


def test_pycuda() -> None:
    pytest.importorskip(
        "pycuda.autoprimaryctx", exc_type=ImportError
    )  # autoinit would make a context in which our memory is not
    driver: Any = pytest.importorskip("pycuda.driver", exc_type=ImportError)
    gpuarray: Any = pytest.importorskip("pycuda.gpuarray", exc_type=ImportError)
    pipeline, _ = gpu.pipeline()
    for stream in (None, driver.Stream()):
        for frame, expected in frames_and_mattes():
            array = gpuarray.to_gpu(frame) if stream is None else gpuarray.to_gpu_async(frame, stream=stream)
            result = run(pipeline, array, stream=stream)
            got = np.empty_like(expected)
            if stream is None:
                driver.memcpy_dtoh(got, result.ptr)
            else:
                driver.memcpy_dtoh_async(got, result.ptr, stream)
                stream.synchronize()
            np.testing.assert_array_equal(got, expected)
