# SPDX-License-Identifier: Apache-2.0
"""Captures of CUDA graphs: those of other programs, which we must not spoil, and ours, which nobody is to spoil.

While any thread captures in global mode, as ``torch.cuda.graph`` does, an allocation, a free or a wait of any other
thread fails and ends the capture, unless that thread has chosen another mode (cudaThreadExchangeStreamCaptureMode).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.gpu import gpu_networks as gpu
from tests.gpu.stand_in import GLOBAL, THREAD_LOCAL, StandIn

from rmbg_trt import CudaError, _core

REFUSED = 900  # cudaErrorStreamCaptureUnsupported


@pytest.fixture
def other_capture(stand_in: StandIn) -> Iterator[None]:
    """Another thread captures all the time, and its capture is whole in the end."""
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(stand_in.begin_capture, GLOBAL).result() == 0
        yield
        gc.collect()
        assert thread.submit(stand_in.end_capture).result() == 0, "the capture was spoiled"


def check(pipeline: _core.Pipeline, seed: int, size: tuple[int, int] = (40, 60)) -> None:
    frame = gpu.random_frame(np.random.default_rng(seed), *size, 3)
    np.testing.assert_array_equal(gpu.run(pipeline, frame, "alpha"), gpu.run(gpu.on_the_cpu(), frame, "alpha"))


@pytest.mark.usefixtures("other_capture")
def test_frames_of_the_host_beside_a_capture() -> None:
    pipeline, _ = gpu.pipeline(slots=2)
    for seed in range(4):
        check(pipeline, seed)
    check(pipeline, 5, (100, 90))  # buffers are freed and made anew
    pipeline.measure(1)
    assert set(pipeline.modes()) == {"graph"}
    pipeline.close()


@pytest.mark.usefixtures("other_capture")
def test_frames_of_the_gpu_beside_a_capture() -> None:
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for seed in range(4):
        frame = gpu.random_frame(np.random.default_rng(seed), 40, 60 + seed, 3)
        result = gpu.run_on_gpu(pipeline, _core.cuda_upload(frame))
        np.testing.assert_array_equal(result.numpy(), gpu.run(cpu, frame, "alpha"))
    pinned = _core.host_buffer([4, 4, 3], pinned=True)
    del pinned
    for _ in range(70):  # more than the pool keeps
        _core.cuda_upload(np.zeros((8, 8), np.uint8)).numpy()


def test_memory_that_is_dropped_while_we_record_is_freed(stand_in: StandIn) -> None:
    """A network written in Python may drop arrays at any time; the recording stays whole."""
    held = [(_core.cuda_upload(np.zeros((64, 64), np.uint8)), _core.host_buffer([8, 8], pinned=True)) for _ in range(9)]
    freed: list[int] = []

    def before() -> None:
        frees = stand_in.calls("cudaFree"), stand_in.calls("cudaFreeHost")
        held.pop()
        freed.append((stand_in.calls("cudaFree") - frees[0]) * (stand_in.calls("cudaFreeHost") - frees[1]))

    network = gpu.RedPlane(before=before)
    pipeline = _core.Pipeline([network.network], device=0)
    for seed in range(6):
        check(pipeline, seed)
    assert network.enqueued == 2, "the network ran once, was recorded once, and its graph did the rest"
    assert freed == [1, 1]
    kept = _core.bytes_in_use("device"), _core.bytes_in_use("pinned")
    held.clear()
    assert kept[0] - _core.bytes_in_use("device") == 7 * 64 * 64, "the others were not freed before"
    assert kept[1] - _core.bytes_in_use("pinned") == 7 * 64


@pytest.mark.parametrize("kind", ["device", "pinned"])
def test_memory_that_cannot_be_freed_now_is_freed_later(stand_in: StandIn, kind: str) -> None:
    def make() -> object:
        if kind == "device":
            return _core.cuda_upload(np.zeros((64, 64), np.uint8))
        return _core.host_buffer([64, 64], pinned=True)

    call = "cudaFree" if kind == "device" else "cudaFreeHost"
    in_use, live = _core.bytes_in_use(kind), stand_in.live(f"{kind}_bytes")
    arrays = [make(), make()]
    for after in range(3):
        stand_in.fail(call, REFUSED, after)
    arrays.clear()  # the second one tries the first again, which is refused too
    gc.collect()
    stand_in.reset()
    assert _core.bytes_in_use(kind) == in_use + 2 * 64 * 64, "memory that is still there must stay counted"
    assert stand_in.live(f"{kind}_bytes") > live
    del arrays
    last = make()
    del last
    gc.collect()
    assert (_core.bytes_in_use(kind), stand_in.live(f"{kind}_bytes")) == (in_use, live)


@pytest.mark.parametrize("error", [4, 709, 100])  # unloading, the context is destroyed, no device
def test_the_end_of_the_driver_is_silent(stand_in: StandIn, error: int, capfd: pytest.CaptureFixture[str]) -> None:
    array, in_use = _core.cuda_upload(np.zeros((64, 64), np.uint8)), _core.bytes_in_use("device")
    for call in ("cudaThreadExchangeStreamCaptureMode", "cudaFree"):
        stand_in.fail(call, error)
    del array
    assert _core.bytes_in_use("device") == in_use - 64 * 64
    assert capfd.readouterr().err == ""


def test_a_network_that_waits_while_it_is_recorded_is_found_out(stand_in: StandIn) -> None:
    """Our own recordings stay strict: replayed, such a network would work on what it read once."""
    source = _core.cuda_upload(np.zeros((8, 8), np.uint8))
    network = gpu.RedPlane(before=lambda: source.numpy())
    pipeline = _core.Pipeline([network.network], device=0)
    for seed in range(6):
        check(pipeline, seed)
    assert pipeline.modes()[0].startswith("eager: ")


def test_an_engine_inside_of_a_capture_of_its_own_thread_is_told(stand_in: StandIn) -> None:
    pipeline, _ = gpu.pipeline()
    check(pipeline, 0)
    assert stand_in.begin_capture(THREAD_LOCAL) == 0
    try:
        with pytest.raises(CudaError, match="operation not permitted when stream is capturing"):
            check(pipeline, 1)
    finally:
        stand_in.end_capture()
    check(pipeline, 2)


class Garbage:
    """Goes only with the collector."""

    collected: list[int]

    def __init__(self, collected: list[int], number: int) -> None:
        self.itself, self.collected, self.number = self, collected, number

    def __del__(self) -> None:
        self.collected.append(self.number)


def test_nothing_is_collected_while_we_record() -> None:
    """The garbage of other libraries may be GPU memory, whose end would spoil the recording."""
    collected: list[int] = []
    seen: list[tuple[bool, int]] = []

    def before() -> None:
        was = len(collected)
        for number in range(10):
            Garbage(collected, number)
        seen.append((gc.isenabled(), len(collected) - was))

    pipeline = _core.Pipeline([gpu.RedPlane(before=before).network], device=0)
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for seed in range(3):
            check(pipeline, seed)
    finally:
        gc.set_threshold(*threshold)
    assert pipeline.modes() == ["graph"]
    assert seen[0][0]
    assert seen[0][1] > 0, "the first run is no recording, and its garbage is collected"
    assert seen[1:] == [(False, 0)]
    assert gc.isenabled()


def test_pauses_of_the_collector_nest_and_leave_it_as_it_was() -> None:
    for on in (True, False):
        (gc.enable if on else gc.disable)()
        try:
            first, second = _core.GcPause(), _core.GcPause()
            with first:
                with second:
                    assert not gc.isenabled()
                assert not gc.isenabled()
            assert gc.isenabled() == on
        finally:
            gc.enable()


def test_the_mode_says_why_a_network_is_not_captured() -> None:
    specs = [_core.TensorSpec(name, (1, planes, *gpu.SIZE)) for name, planes in (("input", 3), ("matte", 1))]
    network = _core.python_network(*specs, lambda *_: None, lambda _: None, why_eager="its allocator forbids it")
    assert _core.Pipeline([network], device=0).modes() == ["eager: its allocator forbids it"]
