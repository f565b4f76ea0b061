# SPDX-License-Identifier: Apache-2.0
"""CUDA calls that fail: the frame's error says what and what to do, the engine lives, nothing leaks, graphs come back.

Only the stand-in (tests/cuda_stand_in) can let calls fail, and count what is left.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.gpu import gpu_networks as gpu
from tests.gpu.stand_in import StandIn

from rmbg_trt import CudaError, NetworkError, _core

OUT_OF_MEMORY, INVALID_VALUE, UNKNOWN, ILLEGAL_ADDRESS = 2, 1, 999, 700


def check(pipeline: _core.Pipeline, seed: int, size: tuple[int, int] = (40, 60)) -> None:
    frame = gpu.random_frame(np.random.default_rng(seed), *size, 3)
    np.testing.assert_array_equal(gpu.run(pipeline, frame, "alpha"), gpu.run(gpu.on_the_cpu(), frame, "alpha"))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ("cudaGraphLaunch", UNKNOWN, r"launching the graph: .*cudaErrorUnknown"),
        ("cudaStreamSynchronize", UNKNOWN, r"waiting for the GPU: .*cudaErrorUnknown"),
    ],
)
def test_a_replay_that_fails(stand_in: StandIn, call: str, error: int, message: str) -> None:
    pipeline, _ = gpu.pipeline()
    for seed in range(3):
        check(pipeline, seed)
    stand_in.fail(call, error)
    with pytest.raises(CudaError, match=message):
        check(pipeline, 3)
    instantiated = stand_in.calls("cudaGraphInstantiate")
    for seed in range(4, 7):
        check(pipeline, seed)
    assert stand_in.calls("cudaGraphInstantiate") == instantiated + 3  # none is trusted any more: all are made anew
    assert pipeline.modes() == ["graph"]


@pytest.mark.parametrize(
    "call", ["cudaLaunchKernel", "cudaMemcpyAsync", "cudaHostAlloc", "cudaMalloc", "cudaStreamSynchronize"]
)
def test_a_first_frame_that_fails(stand_in: StandIn, call: str) -> None:
    """Each call of its way, one after the other."""
    pipeline, _ = gpu.pipeline()
    check(pipeline, 0, (20, 20))
    failed = 0
    for after in range(30):
        size = (40 + after, 60 + after)  # larger each time, so that all buffers grow
        stand_in.fail(call, OUT_OF_MEMORY, after)
        message = ""
        try:
            check(pipeline, after, size)
        except (CudaError, NetworkError) as error:  # the network makes such calls, too
            message = str(error)
        if not message:  # there are no more calls of this kind
            stand_in.reset()
            break
        failed += 1
        assert "cudaErrorMemoryAllocation" in message
        assert "use smaller frames or fewer slots" in message
        check(pipeline, after, size)
    assert failed > 0


@pytest.mark.parametrize(
    ("call", "after", "graphs_left"),
    [
        ("cudaStreamBeginCapture", 0, 2),
        ("cudaStreamEndCapture", 0, 2),
        ("cudaGraphCreate", 0, 1),
        ("cudaGraphCreate", 1, 1),
        ("cudaGraphAddKernelNode", 0, 1),
        ("cudaGraphAddMemcpyNode1D", 0, 1),
        ("cudaGraphAddMemcpyNode1D", 1, 1),
        ("cudaGraphInstantiate", 0, 1),
        ("cudaGraphInstantiate", 1, 1),
        ("cudaGraphInstantiate", 2, 2),
    ],
)
def test_recording_that_fails_once_is_tried_again(stand_in: StandIn, call: str, after: int, graphs_left: int) -> None:
    """Of the two graphs of a kind of frame, or of the network's: the others are made all the same."""
    pipeline, networks = gpu.pipeline()
    check(pipeline, 0)
    assert stand_in.live("graph_execs") == 0
    stand_in.fail(call, UNKNOWN, after)
    check(pipeline, 1)
    assert stand_in.live("graph_execs") == graphs_left
    assert pipeline.modes()[0].endswith("; retries after 1 frame")
    for seed in range(2, 5):
        check(pipeline, seed)
    assert pipeline.modes() == ["graph"]
    assert stand_in.live("graph_execs") == 3
    assert networks[0].enqueued <= 5  # run and recorded, and again where that failed


def test_a_large_frame_without_memory_leaves_the_kinds_before_it_whole(stand_in: StandIn) -> None:
    """A buffer that could not grow is gone; frames that are known already have it again."""
    for after in range(30):
        pipeline, _ = gpu.pipeline()
        for seed in range(3):
            check(pipeline, seed)
        stand_in.fail("cudaMalloc", OUT_OF_MEMORY, after)
        try:
            check(pipeline, 3, (300, 500))
        except CudaError:
            for seed in range(4, 7):
                check(pipeline, seed)
        else:  # there are no more allocations
            stand_in.reset()
            break
    assert after > 2


def test_recording_that_fails_for_long_is_tried_less_and_less(stand_in: StandIn) -> None:
    pipeline, networks = gpu.pipeline()
    for seed in range(40):
        for after in range(3):
            stand_in.fail("cudaGraphInstantiate", INVALID_VALUE, after)
        check(pipeline, seed)
    assert pipeline.modes()[0].startswith("eager: instantiating the graph: ")
    assert pipeline.modes()[0].endswith("; retries after 32 frames")
    assert stand_in.live("graph_execs") == 0
    assert stand_in.calls("cudaGraphInstantiate") == 2 * 6  # after 1, 2, 4, 8 and 16 frames, of frames and the network
    stand_in.reset()
    for seed in range(40):
        check(pipeline, seed)
    assert pipeline.modes() == ["graph"]
    assert networks[0].enqueued < 80


@pytest.mark.parametrize("call", ["cudaGraphExecKernelNodeSetParams", "cudaGraphExecMemcpyNodeSetParams1D"])
def test_a_graph_that_cannot_be_changed(stand_in: StandIn, call: str) -> None:
    """The frame is run by plain launches instead, and the graph made anew."""
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    frames = [_core.host_buffer([40, 60, 3], pinned=True) for _ in range(2)]
    for index, frame in enumerate(frames * 4):
        frame[...] = gpu.random_frame(np.random.default_rng(index), 40, 60, 3)
        if index == 3:
            stand_in.fail(call, INVALID_VALUE)
        if index == 4:
            stand_in.reset()
        np.testing.assert_array_equal(gpu.run(pipeline, frame, "alpha"), gpu.run(cpu, frame, "alpha"))
    assert pipeline.modes() == ["graph"]


def test_graphs_that_cannot_be_changed_for_long_are_made_less_and_less(stand_in: StandIn) -> None:
    """Made anew for each second frame, they would cost more than plain launches, and nobody would know."""
    rng = np.random.default_rng(0)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()

    def run() -> None:
        frame = gpu.random_frame(rng, 40, 60, 3)
        result = gpu.run_on_gpu(pipeline, _core.cuda_upload(frame))
        np.testing.assert_array_equal(result.numpy(), gpu.run(cpu, frame, "alpha"))

    made = stand_in.calls("cudaGraphInstantiate")
    for _ in range(20):
        stand_in.fail("cudaGraphExecKernelNodeSetParams", INVALID_VALUE)
        run()
    assert pipeline.modes()[0].startswith("eager: changing a kernel of the graph: ")
    assert pipeline.modes()[0].endswith("; retries after 8 frames")
    assert stand_in.calls("cudaGraphInstantiate") - made == 1 + 4 * 2  # the network's; after 1, 2 and 4 frames
    stand_in.reset()
    for _ in range(6):
        run()
    assert pipeline.modes() == ["graph"]


def test_a_lost_gpu_is_told(stand_in: StandIn) -> None:
    pipeline, _ = gpu.pipeline()
    check(pipeline, 0)
    stand_in.fail("cudaStreamSynchronize", ILLEGAL_ADDRESS)
    with pytest.raises(CudaError, match="this process can no longer use the GPU: restart it"):
        check(pipeline, 1)
    with pytest.raises(CudaError):
        check(pipeline, 2)
    pipeline.close()


def test_a_foreign_context_is_told(stand_in: StandIn) -> None:
    pipeline, _ = gpu.pipeline()
    stand_in.foreign_context(1)
    try:
        with pytest.raises(CudaError, match=r"import pycuda\.autoprimaryctx instead of pycuda\.autoinit"):
            check(pipeline, 0)
    finally:
        stand_in.foreign_context(0)
    check(pipeline, 0)


def test_making_a_pipeline_fails_without_a_leak(stand_in: StandIn) -> None:
    kinds = ("device_bytes", "pinned_bytes", "streams", "events", "graphs", "graph_execs")
    for call in ("cudaStreamCreateWithFlags", "cudaEventCreateWithFlags", "cudaMalloc", "cudaHostAlloc"):
        for after in range(3):
            before = {kind: stand_in.live(kind) for kind in kinds}
            stand_in.fail(call, UNKNOWN, after)
            try:
                gpu.pipeline()
            except CudaError:
                assert {kind: stand_in.live(kind) for kind in kinds} == before, f"{call} {after}"
            stand_in.reset()


def test_nothing_is_left(stand_in: StandIn) -> None:
    kinds = ("device_bytes", "pinned_bytes", "streams", "events", "graphs", "graph_execs")
    before = {kind: stand_in.live(kind) for kind in kinds}
    pipeline, networks = gpu.pipeline(slots=2)
    for seed in range(4):
        check(pipeline, seed)
    frame = _core.cuda_upload(np.zeros((20, 30, 3), np.uint8))
    for _ in range(3):
        gpu.run_on_gpu(pipeline, frame)
    pipeline.measure(2)
    assert stand_in.live("graph_execs") > 0
    del pipeline, networks, frame
    assert {kind: stand_in.live(kind) for kind in kinds} == before


def test_a_frame_on_another_gpu_is_refused(stand_in: StandIn) -> None:
    if len(_core.cuda_devices()) < 2:
        pytest.skip("there is one GPU only")
    pipeline, _ = gpu.pipeline()
    frame = _core.cuda_upload(np.zeros((20, 30, 3), np.uint8), device=1)
    with pytest.raises(ValueError, match="frame is on cuda:1, but this engine runs on cuda:0"):
        gpu.run_on_gpu(pipeline, frame)


def test_a_pipeline_on_the_second_gpu(stand_in: StandIn) -> None:
    if len(_core.cuda_devices()) < 2:
        pytest.skip("there is one GPU only")
    pipeline = _core.Pipeline([gpu.RedPlane().network], device=1)
    for seed in range(3):
        check(pipeline, seed)
    assert pipeline.modes() == ["graph"]
    frame = gpu.random_frame(np.random.default_rng(5), 20, 30, 3)
    result = gpu.run_on_gpu(pipeline, _core.cuda_upload(frame, device=1))
    assert result.device == 1
    np.testing.assert_array_equal(result.numpy(), gpu.run(gpu.on_the_cpu(), frame, "alpha"))
