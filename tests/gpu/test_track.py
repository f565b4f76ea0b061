# SPDX-License-Identifier: Apache-2.0
"""Frames of a track over slots and streams: what runs at the same time, what waits, and what a failure leaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.gpu import gpu_networks as gpu
from tests.gpu.stand_in import StandIn

from rmbg_trt import CudaError, NetworkError, _core

Bytes = NDArray[np.uint8]
TIMEOUT_S = 60.0
UNKNOWN = 999
TRACKS = [(True, False), (False, True), (True, True)]


def scene(number: int, height: int = 50, width: int = 70) -> Bytes:
    """A frame that hangs together with those beside it: a bar that moves, and noise."""
    rng = np.random.default_rng(number)
    frame = rng.integers(0, 40, (height, width, 3))
    frame[:, abs(np.arange(width) - 10 - 3 * (number % 15)) < 9] += 200
    return frame.clip(0, 255).astype(np.uint8)


class OnTheCpu:
    """A track there, which takes the same frames one by one."""

    def __init__(self, *carried: bool, **quality: bool) -> None:
        self.track = _core.Track(*carried)
        self._pipeline, self._quality = gpu.on_the_cpu(stretch="fixed"), quality

    def run(self, frame: Bytes, output: str = "alpha") -> Bytes:
        return gpu.run(self._pipeline, frame, output, track=self.track, **self._quality)


class Submitted:
    def __init__(self, pipeline: _core.Pipeline, frame: Bytes, track: _core.Track, **quality: bool) -> None:
        self._result = np.empty(frame.shape[:2], np.uint8)
        self._completion = pipeline.submit(frame, self._result, "bgr", _core.FrameOptions("alpha", **quality), track)

    def numpy(self) -> Bytes:
        assert self._completion.wait(TIMEOUT_S), "the frame is never done"
        self._completion.rethrow()
        return self._result


class OnGpu:
    """A frame in the GPU's memory, on this stream. Freeing that memory would wait for all streams: it is kept."""

    def __init__(
        self, pipeline: _core.Pipeline, stream: int, frame: Bytes, track: _core.Track, out: Any = None, **quality: bool
    ) -> None:
        self._frame = _core.cuda_upload(frame)
        options = _core.FrameOptions(**quality)
        self._result = _core.run_on_device(pipeline, self._frame, out, "bgr", options, stream, track)

    def numpy(self) -> Bytes:
        return self._result.numpy()


# ---- what runs at the same time ----------------------------------------------------------------------------------


@pytest.mark.parametrize("carried", TRACKS)
def test_networks_run_at_once_and_the_turn_comes_after_them(carried: tuple[bool, bool]) -> None:
    meeting = threading.Barrier(3)  # passes only when three frames are in their networks
    networks = [gpu.RedPlane(capturable=False, before=lambda: meeting.wait(20) and None) for _ in range(3)]
    pipeline = _core.Pipeline([each.network for each in networks], stretch="fixed", device=0)
    track, cpu = _core.Track(*carried), OnTheCpu(*carried)
    waiting = [Submitted(pipeline, scene(number), track) for number in range(9)]
    for number, each in enumerate(waiting):
        np.testing.assert_array_equal(each.numpy(), cpu.run(scene(number)), f"frame {number}")


@pytest.mark.parametrize("carried", TRACKS)
def test_the_graph_before_the_turn_waits_for_no_frame(carried: tuple[bool, bool]) -> None:
    """A frame's network is done on the GPU while the frame before is still held back on its way to its own."""
    held, go, in_the_way = threading.Event(), threading.Event(), False

    def hold() -> None:
        if in_the_way:
            held.set()
            assert go.wait(TIMEOUT_S)

    networks = [gpu.RedPlane(capturable=False, before=hold), gpu.RedPlane()]
    pipeline = _core.Pipeline([each.network for each in networks], stretch="fixed", device=0)
    track, cpu = _core.Track(*carried), OnTheCpu(*carried)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:

        def start(number: int) -> Any:  # even frames on one thread, stream and slot, odd ones on another
            return (other if number % 2 else one).submit(OnGpu, pipeline, 2 - number % 2, scene(number), track)

        try:
            for number in range(6):
                np.testing.assert_array_equal(start(number).result().numpy(), cpu.run(scene(number)))
            assert [each.enqueued for each in networks] == [3, 2]  # launched; launched, recorded
            alone, (reference,) = gpu.pipeline()
            gpu.run(alone, scene(7), "alpha")
            in_the_way = True
            first = start(6)
            assert held.wait(TIMEOUT_S)
            second = start(7)
            end = time.monotonic() + 20
            while not np.array_equal(networks[1].tensors[1].numpy(), reference.tensors[1].numpy()):
                assert time.monotonic() < end, "the network waits for the frame before"
                time.sleep(0.01)
                _core.cuda_upload(np.zeros(1, np.uint8))  # waits for stream 1
            assert not second.done()
        finally:
            go.set()
        for number, each in enumerate((first, second), 6):
            np.testing.assert_array_equal(each.result().numpy(), cpu.run(scene(number)))


@pytest.mark.parametrize("carried", TRACKS)
def test_nothing_after_the_turn_is_waited_for(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, carried: tuple[bool, bool]
) -> None:
    """In the late schedule, what nobody waits for is not done: the result of the frame before."""
    monkeypatch.setenv("RMBG_STAND_IN_SCHEDULE", "late")
    (pipeline, _), track, cpu = gpu.pipeline(2, stretch="fixed"), _core.Track(*carried), OnTheCpu(*carried)
    for number in range(6):
        got = OnGpu(pipeline, 2 - number % 2, scene(number), track).numpy()
        np.testing.assert_array_equal(got, cpu.run(scene(number)))
    out = _core.cuda_upload(np.full((50, 70), 77, np.uint8))
    launched = stand_in.calls("cudaGraphLaunch")
    first = OnGpu(pipeline, 2, scene(6), track, out)
    second = OnGpu(pipeline, 1, scene(7), track)
    assert stand_in.calls("cudaGraphLaunch") == launched + 2 * 3
    expected = [cpu.run(scene(number)) for number in (6, 7, 8)]
    np.testing.assert_array_equal(second.numpy(), expected[1])
    assert (out.numpy() == 77).all()
    np.testing.assert_array_equal(OnGpu(pipeline, 2, scene(8), track).numpy(), expected[2])
    np.testing.assert_array_equal(first.numpy(), expected[0])


def test_a_frame_without_a_track_is_three_graphs(stand_in: StandIn) -> None:
    pipeline, _ = gpu.pipeline(stretch="fixed")
    for number in range(3):
        launched, kernels = stand_in.calls("cudaGraphLaunch"), stand_in.calls("cudaLaunchKernel")
        gpu.run(pipeline, scene(number), "alpha")
    assert stand_in.calls("cudaGraphLaunch") == launched + 3
    assert stand_in.calls("cudaLaunchKernel") == kernels


# ---- the same bytes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 2, 3])
@pytest.mark.parametrize("quality", [{}, {"refine": True, "decontaminate": True}])
def test_frames_come_in_every_way(slots: int, quality: dict[str, bool]) -> None:
    """By run and submit, on two streams, of two tracks, with resets and other sizes in between."""
    rng = np.random.default_rng(slots)
    pipeline, _ = gpu.pipeline(slots, stretch="fixed")
    tracks = [(_core.Track(*carried), OnTheCpu(*carried, **quality)) for carried in ((True, True), (False, True))]
    sizes = [(50, 70), (50, 70), (33, 91)]
    waiting: list[tuple[Any, Bytes]] = []
    for number in range(60):
        track, cpu = tracks[rng.integers(2)]
        if rng.random() < 0.1:
            track.reset()
            cpu.track.reset()
        frame = scene(number, *sizes[number // 8 % 3])
        way = rng.integers(4)
        if way == 0:
            np.testing.assert_array_equal(gpu.run(pipeline, frame, "alpha", track=track, **quality), cpu.run(frame))
        elif way == 1:
            waiting.append((Submitted(pipeline, frame, track, **quality), cpu.run(frame)))
        else:
            waiting.append((OnGpu(pipeline, int(way) - 1, frame, track, **quality), cpu.run(frame)))
    for number, (got, expected) in enumerate(waiting):
        np.testing.assert_array_equal(got.numpy(), expected, f"frame {number} of those that are not waited for")
    assert pipeline.modes() == ["graph"] * slots


def test_a_track_that_carries_nothing_keeps_to_its_order() -> None:
    (pipeline, _), track, cpu = gpu.pipeline(2, stretch="fixed"), _core.Track(False, False), OnTheCpu(False, False)
    waiting = [Submitted(pipeline, scene(number), track) for number in range(8)]
    for number, each in enumerate(waiting):
        np.testing.assert_array_equal(each.numpy(), cpu.run(scene(number)))


def test_threads_on_one_track_take_turns() -> None:
    """All show the same frame, so that the results do not depend on whose turn comes first."""
    (pipeline, _), track, cpu = gpu.pipeline(2, stretch="fixed"), _core.Track(True, True), OnTheCpu(True, True)
    expected = cpu.run(scene(3))
    np.testing.assert_array_equal(cpu.run(scene(3)), expected)

    def work(_: int) -> bool:
        return all((gpu.run(pipeline, scene(3), "alpha", track=track) == expected).all() for _ in range(6))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4), timeout=TIMEOUT_S)) == [True] * 4


# ---- failures ----------------------------------------------------------------------------------------------------


def left_out(cpu: OnTheCpu, frame: Bytes) -> None:
    """The frame failed before its turn: as if it had never been."""


def begun(cpu: OnTheCpu, frame: Bytes) -> None:
    """It failed in its turn: the next one starts anew."""
    cpu.track.reset()


def carried_over(cpu: OnTheCpu, frame: Bytes) -> None:
    """It failed after its turn."""
    cpu.run(frame)


BY_LAUNCHES: list[tuple[str, int, Callable[[OnTheCpu, Bytes], None]]] = [
    ("cudaGraphLaunch", 0, left_out),
    ("cudaGraphLaunch", 1, left_out),
    *(("cudaLaunchKernel", number, begun) for number in range(5)),
    ("cudaGraphLaunch", 2, carried_over),
]
BY_OTHER_CALLS = [  # which frames on the GPU make on other ways, too
    ("cudaStreamWaitEvent", 0, begun),
    ("cudaEventRecord", 0, begun),
    ("cudaStreamSynchronize", 0, carried_over),
]


@pytest.mark.parametrize(
    ("call", "after", "leaves", "on_gpu"),
    [
        *((*each, False) for each in BY_LAUNCHES + BY_OTHER_CALLS),
        *((*each, True) for each in BY_LAUNCHES),
    ],
)
def test_a_call_that_fails(
    stand_in: StandIn, call: str, after: int, leaves: Callable[[OnTheCpu, Bytes], None], on_gpu: bool
) -> None:
    (pipeline, _), track, cpu = gpu.pipeline(stretch="fixed"), _core.Track(True, True), OnTheCpu(True, True)

    def run(number: int) -> Bytes:
        if on_gpu:
            return OnGpu(pipeline, 1, scene(number), track).numpy()
        return gpu.run(pipeline, scene(number), "alpha", track=track)

    for number in range(4):
        np.testing.assert_array_equal(run(number), cpu.run(scene(number)))
    stand_in.fail(call, UNKNOWN, after)
    with pytest.raises(CudaError, match="cudaErrorUnknown"):
        run(4)
    leaves(cpu, scene(4))
    for number in range(5, 9):
        np.testing.assert_array_equal(run(number), cpu.run(scene(number)), f"frame {number}")
    assert pipeline.modes() == ["graph"]


@pytest.mark.parametrize(
    ("call", "after"), [("cudaMalloc", 0), ("cudaMalloc", 1), ("cudaMalloc", 2), ("cudaEventCreateWithFlags", 0)]
)
def test_a_track_that_gets_no_memory(stand_in: StandIn, call: str, after: int) -> None:
    pipeline, _ = gpu.pipeline(stretch="fixed")
    for number in range(3):
        gpu.run(pipeline, scene(number), "alpha", track=_core.Track(True, True))
    track, cpu = _core.Track(True, True), OnTheCpu(True, True)
    stand_in.fail(call, UNKNOWN, after)
    with pytest.raises(CudaError, match="cudaErrorUnknown"):
        gpu.run(pipeline, scene(3), "alpha", track=track)
    for number in range(4, 8):
        got = gpu.run(pipeline, scene(number), "alpha", track=track)
        np.testing.assert_array_equal(got, cpu.run(scene(number)))


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_networks_that_fail_neither_stop_nor_shift_the_others(slots: int) -> None:
    rng, lock = np.random.default_rng(slots), threading.Lock()

    def fail_at_times() -> None:
        with lock:
            if rng.random() < 0.3:
                raise RuntimeError("on purpose")

    networks = [gpu.RedPlane(capturable=False, before=fail_at_times) for _ in range(slots)]
    pipeline = _core.Pipeline([each.network for each in networks], stretch="fixed", device=0)
    track, cpu = _core.Track(True, True), OnTheCpu(True, True)
    waiting = [Submitted(pipeline, scene(number), track) for number in range(30)]
    failed = 0
    for number, each in enumerate(waiting):
        try:
            got = each.numpy()
        except NetworkError:
            failed += 1
        else:
            np.testing.assert_array_equal(got, cpu.run(scene(number)), f"frame {number}")
    assert 0 < failed < 30
