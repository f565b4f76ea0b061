# SPDX-License-Identifier: Apache-2.0
"""The device that a thread works with: ours for the length of a call, and then what was before, be it nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from tests.gpu import gpu_networks as gpu
from tests.gpu.stand_in import StandIn

from rmbg_trt import CudaError, _core
from rmbg_trt.runtimes.devices import current_gpu

SCRIPT = """
import numpy as np
from tests.gpu import gpu_networks as gpu
from tests.gpu.stand_in import StandIn
from rmbg_trt import _core
from rmbg_trt.runtimes.devices import current_gpu

contexts = StandIn().contexts
seen = [contexts()]
frame = np.zeros((24, 32, 3), np.uint8)
with current_gpu(1):
    network = gpu.RedPlane()
seen.append(contexts())
pipeline = _core.Pipeline([network.network], device=1)
for _ in range(3):
    pipeline.run(frame, np.empty((24, 32), np.uint8), "bgr", _core.FrameOptions())
pipeline.measure(1)
result = _core.run_on_device(pipeline, _core.cuda_upload(frame, 1), None, "bgr", _core.FrameOptions(), 1)
result.numpy()
del result
pipeline.close()
seen.append(contexts())
print(*(f"{each:b}" for each in seen))
"""


@pytest.fixture
def two_gpus() -> None:
    if len(_core.cuda_devices()) < 2:
        pytest.skip("one GPU only")


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.stand_in
def test_the_first_gpu_is_left_alone_by_an_engine_on_the_second(in_python: Callable[..., str]) -> None:
    """A context takes hundreds of MB of a GPU, and cudaSetDevice(0) would make one there."""
    assert in_python(SCRIPT) == "0 10 10"


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("of_caller", [0, 1])
def test_the_callers_device_is_kept(of_caller: int) -> None:
    seen = []

    def work() -> None:
        _core.set_cuda_device(of_caller)
        pipeline = _core.Pipeline([gpu.RedPlane().network], device=1 - of_caller)
        pipeline.close()
        with current_gpu(1 - of_caller):
            seen.append(_core.set_cuda_device(1 - of_caller))
        seen.append(_core.set_cuda_device(0))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [1 - of_caller, of_caller]


def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(CudaError, match="selecting the GPU"), current_gpu(99):
        raise AssertionError("it was made current")


def test_a_pushed_context_is_the_primary_one(stand_in: StandIn) -> None:
    """FFmpeg asks the driver what is current; a thread that has not used CUDA has nothing."""
    pipeline, _ = gpu.pipeline()

    def run() -> None:
        pipeline.run(np.zeros((24, 32, 3), np.uint8), np.empty((24, 32), np.uint8), "bgr", _core.FrameOptions())

    stand_in.foreign_context(1)
    try:
        with _core.CudaDeviceScope(0, pushed=True):
            run()
        with pytest.raises(CudaError, match=r"not the GPU.s primary one"):  # as before the scope
            run()
    finally:
        stand_in.foreign_context(0)
    with _core.CudaDeviceScope(0, pushed=True):
        assert stand_in.context_is_current()
    assert not stand_in.context_is_current()
    with _core.CudaDeviceScope(0):
        assert not stand_in.context_is_current()


def test_a_stream_of_the_current_gpu() -> None:
    """What TensorRT-RTX is asked about: one that can be captured, as the pipeline's own."""
    stream = _core.CudaStream()
    assert stream.cuda_stream > 2
    pipeline, _ = gpu.pipeline()
    frame = gpu.random_frame(np.random.default_rng(0), 24, 32, 3)
    result = gpu.run_on_gpu(pipeline, _core.cuda_upload(frame), stream=stream)
    np.testing.assert_array_equal(result.numpy(), gpu.run(gpu.on_the_cpu(), frame, "alpha"))
