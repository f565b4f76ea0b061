# SPDX-License-Identifier: Apache-2.0
"""Pipelines on a GPU: the same bytes as on the CPU, as plain launches and as graphs, for frames of changing kinds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.gpu import gpu_networks as gpu
from tests.gpu.stand_in import StandIn

from rmbg_trt import InputError, NetworkError, _core

OUTPUTS = [
    ("alpha", {}),
    ("cutout", {}),
    ("cutout", {"premultiplied": True}),
    ("composite", {"background": (9, 200, 30)}),
    ("composite", {"blur_sigma": 2.5}),
]
SIZES = [(40, 60), (61, 33), (300, 17), (5, 200), (1, 1), (96, 128)]


@pytest.mark.parametrize(("output", "options"), OUTPUTS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_same_bytes_as_on_the_cpu(output: str, options: dict[str, object], channels: int) -> None:
    rng = np.random.default_rng(channels)
    (pipeline, networks), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for size in SIZES:
        for turn in range(3):  # plain launches; recorded and replayed; replayed
            frame = gpu.random_frame(rng, *size, channels)
            got, expected = gpu.run(pipeline, frame, output, **options), gpu.run(cpu, frame, output, **options)
            np.testing.assert_array_equal(got, expected, f"{size}, turn {turn}")
    assert pipeline.modes() == ["graph"]
    assert networks[0].enqueued == 2  # run once, and recorded


def test_frames_of_ever_new_sizes_run_the_network_as_its_graph() -> None:
    """A folder of pictures: none is of a kind that was seen, and the network is one launch all the same."""
    rng = np.random.default_rng(5)
    (pipeline, networks), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for index in range(12):
        frame = gpu.random_frame(rng, 30 + index, 70 - index, 3)
        np.testing.assert_array_equal(gpu.run(pipeline, frame, "alpha"), gpu.run(cpu, frame, "alpha"))
    assert networks[0].enqueued == 2
    assert pipeline.modes() == ["graph"]


def test_a_new_size_costs_one_copy_of_tables_and_no_wait(stand_in: StandIn) -> None:
    pipeline, _ = gpu.pipeline()
    rng = np.random.default_rng(6)
    calls = ("cudaMemcpyAsync", "cudaStreamSynchronize", "cudaEventSynchronize")
    for size in ((60, 70), (60, 70), (59, 70)):  # after these the network is a graph, and memory is large enough
        gpu.run(pipeline, gpu.random_frame(rng, *size, 3), "alpha")
    before = [stand_in.calls(call) for call in calls]
    gpu.run(pipeline, gpu.random_frame(rng, 40, 50, 3), "alpha")
    # The tables, the frame and the result; the wait for the result.
    assert [stand_in.calls(call) - count for call, count in zip(calls, before, strict=True)] == [3, 1, 0]


def test_tables_of_new_sizes_that_nobody_waits_for() -> None:
    """One block of pinned memory brings them all, while frames on the GPU are not waited for."""
    rng = np.random.default_rng(7)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    gpu.run_on_gpu(pipeline, _core.cuda_upload(gpu.random_frame(rng, 300, 300, 3))).numpy()  # now all has room
    frames = [gpu.random_frame(rng, 30 + 7 * index, 90 - 8 * index, 3) for index in range(7)]
    on_gpu = [_core.cuda_upload(frame) for frame in frames]  # freeing one would wait
    results = [gpu.run_on_gpu(pipeline, frame) for frame in on_gpu]
    for frame, result in zip(frames, results, strict=True):
        np.testing.assert_array_equal(result.numpy(), gpu.run(cpu, frame, "alpha"))


def test_the_network_is_made_executable_once(stand_in: StandIn) -> None:
    """However many kinds of frames there are: each has two small graphs."""
    pipeline, networks = gpu.pipeline()
    before = stand_in.calls("cudaGraphInstantiate")
    for kind in range(6):
        for seed in range(3):
            gpu.run(pipeline, gpu.random_frame(np.random.default_rng(seed), 40 + kind, 60, 3), "alpha")
    assert stand_in.calls("cudaGraphInstantiate") - before == 1 + 6 * 2
    assert networks[0].enqueued == 2


def test_backgrounds_change_with_the_frame() -> None:
    rng = np.random.default_rng(1)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for _ in range(4):
        frame = gpu.random_frame(rng, 50, 70, 3)
        for background in (gpu.random_frame(rng, 50, 70, 3), tuple(map(int, rng.integers(0, 256, 3)))):
            got = gpu.run(pipeline, frame, "composite", background=background)
            np.testing.assert_array_equal(got, gpu.run(cpu, frame, "composite", background=background))


@pytest.mark.parametrize("options", [{"filter": "bilinear"}, {"filter": "area"}, {"stretch": "fixed"}])
def test_options_of_the_pipeline(options: dict[str, object]) -> None:
    (pipeline, _), cpu = gpu.pipeline(**options), gpu.on_the_cpu(**options)
    for seed in range(3):
        frame = gpu.random_frame(np.random.default_rng(seed), 77, 55, 3)
        np.testing.assert_array_equal(gpu.run(pipeline, frame, "alpha"), gpu.run(cpu, frame, "alpha"))


def test_half_precision() -> None:
    network = gpu.RedPlane(dtype="float16")
    pipeline = _core.Pipeline([network.network], device=0)
    cpu = _core.Pipeline([gpu.fakes.network(lambda x: x[0, 0].astype(np.float16), gpu.SIZE)])
    for seed in range(3):
        frame = gpu.random_frame(np.random.default_rng(seed), 77, 55, 3)
        np.testing.assert_array_equal(gpu.run(pipeline, frame, "alpha"), gpu.run(cpu, frame, "alpha"))


def test_pinned_frames_are_used_in_place() -> None:
    rng = np.random.default_rng(2)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    frames = [_core.host_buffer([60, 70, 3], pinned=True) for _ in range(3)]
    results = [_core.host_buffer([60, 70], pinned=True) for _ in range(3)]
    gpu.run_on_gpu(pipeline, _core.cuda_upload(np.zeros((60, 70, 3), np.uint8)))
    taken = _core.bytes_in_use("pinned")  # with the block that brings a size's tables
    for turn in range(3):
        for frame, result in zip(frames, results, strict=True):
            frame[...] = rng.integers(0, 256, frame.shape, dtype=np.uint8)
            pipeline.run(frame, result, "bgr", _core.FrameOptions())
            np.testing.assert_array_equal(result, gpu.run(cpu, frame, "alpha"), f"turn {turn}")
    assert _core.bytes_in_use("pinned") == taken


@pytest.mark.parametrize("output", ["alpha", "composite"])
def test_pinned_memory_of_two_origins_takes_turns(output: str) -> None:
    """Ours, and NumPy's that was registered: a copy in a graph cannot be changed from the one to the other."""
    rng = np.random.default_rng(2)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    channels = [] if output == "alpha" else [3]
    ours = [_core.host_buffer([60, 70, *depth], pinned=True) for depth in ([3], [3], channels)]
    registered = [np.zeros((60, 70, *depth), np.uint8) for depth in ([3], [3], channels)]
    for array in registered:
        _core.register_host(array)
    try:
        for turn in range(24):
            sources = [(ours, registered)[turn >> shift & 1] for shift in range(3)]  # all mixtures of both
            frame, background, result = (source[i] for i, source in enumerate(sources))
            for array in (frame, background):
                array[...] = rng.integers(0, 256, array.shape, dtype=np.uint8)
            options = {} if output == "alpha" else {"background": background}
            pipeline.run(frame, result, "bgr", _core.FrameOptions(output, **options))
            np.testing.assert_array_equal(result, gpu.run(cpu, frame, output, **options), f"turn {turn}")
            assert pipeline.modes() == ["graph"]
    finally:
        for array in registered:
            _core.unregister_host(array)


def test_more_kinds_of_frames_than_are_kept_and_memory_that_stays() -> None:
    rng = np.random.default_rng(3)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    sizes = [(30, 20 + 9 * i) for i in range(11)]

    def round_trip(turns: int) -> dict[str, int]:
        for _ in range(turns):
            for size in sizes:
                frame = gpu.random_frame(rng, *size, 3)
                np.testing.assert_array_equal(gpu.run(pipeline, frame, "alpha"), gpu.run(cpu, frame, "alpha"))
        return {kind: _core.bytes_in_use(kind) for kind in ("host", "pinned", "device")}

    # Eleven sizes go round over eight plans: after eleven rounds each plan has been made for the largest.
    assert round_trip(11) == round_trip(4)


def test_everything_is_given_back() -> None:
    before = {kind: _core.bytes_in_use(kind) for kind in ("pinned", "device")}
    pipeline, _ = gpu.pipeline(slots=2)
    gpu.run(pipeline, gpu.random_frame(np.random.default_rng(0), 40, 40, 3), "alpha")
    assert _core.bytes_in_use("device") > before["device"]
    pipeline.close()
    del pipeline, _
    assert {kind: _core.bytes_in_use(kind) for kind in before} == before


def test_a_failing_network_fails_its_frame_only() -> None:
    broken = False

    def before() -> None:
        if broken:
            raise RuntimeError("out of order")

    network = gpu.RedPlane(before=before)
    pipeline, cpu = _core.Pipeline([network.network], device=0), gpu.on_the_cpu()
    rng = np.random.default_rng(4)
    for broken in (False, True, True, False, False, False):
        frame = gpu.random_frame(rng, 30, 50, 3)
        if broken:
            # Recording fails, and so does the frame that is then run by plain launches.
            with pytest.raises(NetworkError, match="the network failed: RuntimeError: out of order"):
                gpu.run(pipeline, frame, "alpha")
        else:
            np.testing.assert_array_equal(gpu.run(pipeline, frame, "alpha"), gpu.run(cpu, frame, "alpha"))
    assert pipeline.modes() == ["graph"]


def test_a_network_that_cannot_be_recorded_runs_by_plain_launches() -> None:
    network = gpu.RedPlane(capturable=False)
    pipeline, cpu = _core.Pipeline([network.network], device=0), gpu.on_the_cpu()
    for seed in range(4):
        frame = gpu.random_frame(np.random.default_rng(seed), 30, 50, 3)
        np.testing.assert_array_equal(gpu.run(pipeline, frame, "alpha"), gpu.run(cpu, frame, "alpha"))
    assert network.enqueued == 4
    assert pipeline.modes() == ["eager: the network cannot be recorded into a graph"]


def test_recording_that_fails_again_and_again_is_given_up_and_said() -> None:
    recorded: list[int] = []

    def graph() -> int:
        recorded.append(1)
        raise RuntimeError("no graph today")

    network = gpu.RedPlane()
    inner = network.network
    outer = _core.python_network(
        inner.input, inner.output, lambda a, b: network.tensors.extend((a, b)), network._enqueue, True, graph
    )
    pipeline, cpu = _core.Pipeline([outer], device=0), gpu.on_the_cpu()
    for seed in range(7):
        frame = gpu.random_frame(np.random.default_rng(seed), 30, 50, 3)
        np.testing.assert_array_equal(gpu.run(pipeline, frame, "alpha"), gpu.run(cpu, frame, "alpha"))
    assert len(recorded) == 3
    assert pipeline.modes()[0].startswith("eager: the network could not be recorded: RuntimeError: no graph today")


def test_submitted_frames_over_three_slots() -> None:
    rng = np.random.default_rng(5)
    (pipeline, _), cpu = gpu.pipeline(slots=3), gpu.on_the_cpu()
    frames = [gpu.random_frame(rng, 40 + i % 4, 52, 3) for i in range(24)]
    results = [gpu.result_for(frame, "alpha") for frame in frames]
    pairs = zip(frames, results, strict=True)
    waiting = [pipeline.submit(frame, result, "bgr", _core.FrameOptions()) for frame, result in pairs]
    for completion, frame, result in zip(waiting, frames, results, strict=True):
        assert completion.wait(60)
        completion.rethrow()
        np.testing.assert_array_equal(result, gpu.run(cpu, frame, "alpha"))


def test_threads_share_a_pipeline() -> None:
    (pipeline, _), cpu = gpu.pipeline(slots=2), gpu.on_the_cpu()

    def work(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        for _ in range(6):
            frame = gpu.random_frame(rng, int(rng.integers(20, 60)), 44, 3)
            if not np.array_equal(gpu.run(pipeline, frame, "alpha"), gpu.run(cpu, frame, "alpha")):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


@pytest.mark.parametrize("shape", [(20, 30, 3), (20, 31)])
def test_a_result_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    pipeline, _ = gpu.pipeline()
    with pytest.raises(InputError, match="result is"):
        pipeline.run(np.zeros((20, 30, 3), np.uint8), np.zeros(shape, np.uint8), "bgr", _core.FrameOptions())


def test_many_frames_of_changing_sizes(frames_to_run: int) -> None:
    """No error and no leak over many frames; ``make gpu-check`` runs 1,000."""
    rng = np.random.default_rng(7)
    (pipeline, _), cpu = gpu.pipeline(slots=2), gpu.on_the_cpu()
    sizes = [(int(h), int(w)) for h, w in rng.integers(1, 160, (12, 2))]
    taken: dict[str, int] = {}
    check: Callable[[NDArray[np.uint8], NDArray[np.uint8]], None] = np.testing.assert_array_equal
    for index in range(frames_to_run):
        frame = gpu.random_frame(rng, *sizes[int(rng.integers(12))], 3)
        got = gpu.run(pipeline, frame, "cutout")
        if index % 50 == 0:
            check(got, gpu.run(cpu, frame, "cutout"))
        if index == frames_to_run // 2:
            taken = {kind: _core.bytes_in_use(kind) for kind in ("host", "pinned", "device")}
    assert all(_core.bytes_in_use(kind) <= 1.5 * count for kind, count in taken.items())


@pytest.mark.parametrize("name", ["bt601", "bt709-full"])
@pytest.mark.parametrize("output", ["alpha", "cutout"])
def test_nv12(name: str, output: str) -> None:
    rng = np.random.default_rng(8)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for height, width in ((48, 66), (2, 2), (48, 66), (48, 66)):
        frame = rng.integers(0, 256, (height * 3 // 2, width + 5), dtype=np.uint8)[:, 3 : 3 + width]
        results = [gpu.result_for(frame[:height], output) for _ in range(2)]
        for each, result in zip((pipeline, cpu), results, strict=True):
            each.run(frame, result, "bgr", _core.FrameOptions(output, nv12=name))
        np.testing.assert_array_equal(*results)
        device = gpu.run_on_gpu(pipeline, _core.cuda_upload(frame), output, nv12=name)
        np.testing.assert_array_equal(device.numpy(), results[0])
