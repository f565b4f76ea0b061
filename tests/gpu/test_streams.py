# SPDX-License-Identifier: Apache-2.0
"""Streams of frames in GPU memory: whose they are, and that frames of two do not wait for each other."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tests.gpu import gpu_networks as gpu

from rmbg_trt import InputError, _core
from rmbg_trt.frame import stream_handle

run = gpu.run_on_gpu


def test_frames_of_two_streams_do_not_wait_for_each_other() -> None:
    """Each stream has a slot of its own while there are enough: the first frame is enqueued, the second recorded."""
    pipeline, networks = gpu.pipeline(2)
    frame = _core.cuda_upload(gpu.random_frame(np.random.default_rng(5), 30, 50, 3))
    counts = []
    for stream in (1, 1, 1, 2, 1, 2, 2):
        run(pipeline, frame, stream=stream)
        counts.append([each.enqueued for each in networks])
    assert counts == [[1, 0], [2, 0], [2, 0], [2, 1], [2, 1], [2, 2], [2, 2]]


def test_default_streams_of_two_threads_are_two_streams() -> None:
    """They have one handle, 2, and a slot each."""
    pipeline, networks = gpu.pipeline(2)
    frame = _core.cuda_upload(gpu.random_frame(np.random.default_rng(5), 30, 50, 3))
    counts = []
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        for thread in (one, other, one, one, other, other):
            thread.submit(run, pipeline, frame, stream=2).result()
            counts.append([each.enqueued for each in networks])
    assert counts == [[1, 0], [1, 1], [2, 1], [2, 1], [2, 2], [2, 2]]


@pytest.mark.parametrize("dropped_there", [True, False])
def test_memory_used_on_the_default_stream_of_a_thread(dropped_there: bool) -> None:
    """It is not written again before that thread's work is done, whichever thread drops it."""
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    frames = [gpu.random_frame(np.random.default_rng(seed), 30, 50, 3) for seed in range(2)]
    on_gpu = [_core.cuda_upload(frame) for frame in frames]
    copied = _core.cuda_upload(np.zeros((30, 50), np.uint8))

    def use(held: list[_core.DeviceArray]) -> None:
        capsule = held[0].__dlpack__(stream=2)
        _core.copy_on_device(copied.ptr, held[0].ptr, copied.nbytes, 2)
        del capsule
        if dropped_there:
            held.clear()

    with ThreadPoolExecutor(1) as thread:
        held = [run(pipeline, on_gpu[0], stream=1)]
        thread.submit(use, held).result()
        held.clear()
        second = run(pipeline, on_gpu[1], stream=1)
        np.testing.assert_array_equal(second.numpy(), gpu.run(cpu, frames[1], "alpha"))
        thread.submit(lambda: run(pipeline, on_gpu[0], stream=2).numpy()).result()  # waits for its default stream
    np.testing.assert_array_equal(copied.numpy(), gpu.run(cpu, frames[0], "alpha"))


def test_a_result_on_the_default_stream_of_another_thread() -> None:
    """Who reads the CUDA Array Interface finds its own default stream named, and may use it."""
    (pipeline, _), cpu = gpu.pipeline(2), gpu.on_the_cpu()
    frame = gpu.random_frame(np.random.default_rng(0), 30, 50, 3)
    on_gpu, copied = _core.cuda_upload(frame), _core.cuda_upload(np.zeros((30, 50), np.uint8))
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(run, pipeline, on_gpu, stream=2).result()
    assert result.__cuda_array_interface__["stream"] == 2
    _core.copy_on_device(copied.ptr, result.ptr, copied.nbytes, 2)
    run(pipeline, on_gpu, stream=2).numpy()  # waits for this thread's default stream
    np.testing.assert_array_equal(copied.numpy(), gpu.run(cpu, frame, "alpha"))


def test_streams_of_all_libraries() -> None:
    class Stream:
        def __init__(self, **attributes: Any) -> None:
            self.__dict__.update(attributes)

    class Protocol:
        def __cuda_stream__(self) -> tuple[int, int]:
            return 0, 11

    class CUstream:  # of cuda-python: it is no int, and has no __index__
        def __init__(self, number: int) -> None:
            self.number = number

        def __int__(self) -> int:
            return self.number

    assert stream_handle(None, Protocol()) == 11
    assert stream_handle(None, Stream(cuda_stream=12)) == 12
    assert stream_handle(None, Stream(ptr=13)) == 13
    assert stream_handle(None, Stream(handle=14)) == 14
    for handle in (ctypes.c_void_p, CUstream, np.uint64):
        assert stream_handle(None, Stream(handle=handle(15))) == 15
        assert stream_handle(None, Stream(handle=handle(0))) == 1
        assert stream_handle(None, handle(16)) == 16
    assert stream_handle(None, Stream(handle=ctypes.c_void_p(None))) == 1  # Numba's default stream
    assert stream_handle(None, ctypes.c_void_p(None)) == 1
    assert stream_handle(None, Stream(cuda_stream=0)) == 1
    assert stream_handle(None, 0) == 1
    assert stream_handle(None, 2) == 2
    for wrong in ("0", 1.5, np.float32(3), True, -1, Stream(), Stream(handle="15"), Stream(handle=None)):
        with pytest.raises(InputError, match="expected a stream of PyTorch, CuPy, PyCUDA or Numba"):
            stream_handle(None, wrong)
    assert stream_handle(Stream(), None) == 1
    for given, handle in ((9, 9), (0, 1), (None, 1)):
        assert stream_handle(Stream(__cuda_array_interface__={"stream": given}), None) == handle
