# SPDX-License-Identifier: Apache-2.0
"""Frames that lie on the GPU: the same bytes as on the CPU, in the order of streams, and clear refusals."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.gpu import gpu_networks as gpu
from tests.gpu.stand_in import GLOBAL, StandIn

from rmbg_trt import CudaError, InputError, NetworkError, _core

run = gpu.run_on_gpu


class Interface:
    """An array of another library: all it has is ``__cuda_array_interface__``, with rows that may be padded."""

    def __init__(self, array: NDArray[np.uint8], **changes: Any) -> None:
        whole = array.base if isinstance(array.base, np.ndarray) else array
        self.memory = _core.cuda_upload(np.ascontiguousarray(whole))
        offset = array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
        self.shape = array.shape
        self.__cuda_array_interface__ = {
            "data": (self.memory.ptr + offset, False),
            "shape": array.shape,
            "strides": None if array is whole else array.strides,
            "typestr": "|u1",
            "version": 3,
            **changes,
        }


OUTPUTS: list[tuple[str, dict[str, Any]]] = [
    ("alpha", {}),
    ("cutout", {"premultiplied": True}),
    ("composite", {"background": (9, 200, 30)}),
]


@pytest.mark.parametrize(("output", "options"), OUTPUTS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_same_bytes_as_on_the_cpu(output: str, options: dict[str, Any], channels: int) -> None:
    rng = np.random.default_rng(channels)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for size in ((40, 60), (61, 33), (40, 60), (5, 200), (1, 1)):
        for wrap in (_core.cuda_upload, Interface, _core.cuda_upload):
            frame = gpu.random_frame(rng, *size, channels)
            result = run(pipeline, wrap(frame), output, **options)
            assert isinstance(result, _core.DeviceArray)
            expected = gpu.run(cpu, frame, output, **options)
            assert result.shape == expected.shape
            np.testing.assert_array_equal(result.numpy(), expected, f"{size}, {wrap}")
    assert pipeline.modes() == ["graph"]


def test_nv12_that_begins_anywhere_in_a_word() -> None:
    rng = np.random.default_rng(9)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for start, padding in ((0, 0), (1, 0), (0, 0), (2, 2), (0, 2), (3, 1), (0, 0)):
        whole = rng.integers(0, 256, (72, 66 + 2 + start + padding), dtype=np.uint8)
        frame = whole[:, start : start + 66]
        expected = np.empty((48, 66, 4), np.uint8)
        cpu.run(frame, expected, "bgr", _core.FrameOptions("cutout", nv12="bt709"))
        result = run(pipeline, Interface(frame), "cutout", nv12="bt709")
        np.testing.assert_array_equal(result.numpy(), expected, f"{start} bytes into a word, {padding} of padding")
    assert pipeline.modes() == ["graph"]


def test_a_stream_that_is_being_captured_is_refused_and_left_whole() -> None:
    """As inside of ``torch.cuda.graph``: here an engine in another's network, while that is being recorded."""
    rng = np.random.default_rng(1)
    inner, cpu = gpu.pipeline()[0], gpu.on_the_cpu()
    frame = _core.cuda_upload(gpu.random_frame(rng, 20, 30, 3))
    answers: list[str] = []

    class Nested(gpu.RedPlane):
        def _enqueue(self, stream: int) -> None:
            try:
                run(inner, frame, stream=stream)
                answers.append("done")
            except CudaError as error:
                answers.append(str(error))
            super()._enqueue(stream)

    nested = Nested()
    pipeline = _core.Pipeline([nested.network], device=0)
    for _ in range(3):  # run; recorded and replayed; replayed
        picture = gpu.random_frame(rng, 40, 60, 3)
        np.testing.assert_array_equal(gpu.run(pipeline, picture, "alpha"), gpu.run(cpu, picture, "alpha"))
    assert pipeline.modes() == ["graph"]
    assert answers[0] == "done"
    assert [answer for answer in answers[1:] if "run the engine outside of the capture" not in answer] == []
    assert len(answers) == 2


@pytest.mark.parametrize("whose", ["frame", "background", "out"])
def test_an_array_whose_own_stream_is_being_captured_is_refused(stand_in: StandIn, whose: str) -> None:
    """As an array made inside of ``torch.cuda.graph``, given to an engine that works on another stream."""
    pipeline, _ = gpu.pipeline()
    given = {name: Interface(np.zeros((20, 30, 3), np.uint8)) for name in ("frame", "background", "out")}
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(stand_in.begin_capture, GLOBAL).result() == 0
        given[whose].__cuda_array_interface__["stream"] = thread.submit(stand_in.captured_stream).result()
        with pytest.raises(CudaError, match=f"the stream of {whose} is being captured into a CUDA graph"):
            run(pipeline, given.pop("frame"), "composite", stream=1, **given)
        assert thread.submit(stand_in.end_capture).result() == 0, "the capture was spoiled"


def test_results_that_are_kept_stay_and_memory_is_used_again() -> None:
    rng = np.random.default_rng(1)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    frames = [gpu.random_frame(rng, 40, 60, 3) for _ in range(6)]
    kept = [run(pipeline, _core.cuda_upload(frame)) for frame in frames]
    assert len({result.ptr for result in kept}) == 6
    for frame, result in zip(frames, kept, strict=True):
        np.testing.assert_array_equal(result.numpy(), gpu.run(cpu, frame, "alpha"))
    addresses = {result.ptr for result in kept}
    del kept, result
    gc.collect()
    for frame in frames:
        assert run(pipeline, _core.cuda_upload(frame)).ptr in addresses


def test_a_result_is_a_frame_for_another_pipeline() -> None:
    """Through DLPack, with no wait in between."""
    rng = np.random.default_rng(2)
    (first, _), (second, _), cpu = gpu.pipeline(), gpu.pipeline(), gpu.on_the_cpu()
    for _ in range(3):
        frame = gpu.random_frame(rng, 50, 40, 3)
        cutout = run(first, _core.cuda_upload(frame), "cutout")
        got = run(second, cutout, "cutout").numpy()
        np.testing.assert_array_equal(got, gpu.run(cpu, gpu.run(cpu, frame, "cutout"), "cutout"))


def test_results_go_where_the_caller_wants_them() -> None:
    rng = np.random.default_rng(3)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for _ in range(3):
        frame = gpu.random_frame(rng, 20, 30, 3)
        canvas = np.full((20, 33), 77, np.uint8)
        out = Interface(canvas[:, 1:31])
        assert run(pipeline, _core.cuda_upload(frame), out=out) is out
        got = out.memory.numpy()
        np.testing.assert_array_equal(got[:, 1:31], gpu.run(cpu, frame, "alpha"))
        assert (got[:, 0] == 77).all()
        assert (got[:, 31:] == 77).all()


def test_a_result_that_is_written_again() -> None:
    """What it holds is waited for anew, whoever reads it."""
    rng = np.random.default_rng(9)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    frames = [gpu.random_frame(rng, 20, 30, 3) for _ in range(4)]
    result = run(pipeline, _core.cuda_upload(frames[0]))
    for frame in frames:
        assert run(pipeline, _core.cuda_upload(frame), out=result) is result
        np.testing.assert_array_equal(result.numpy(), gpu.run(cpu, frame, "alpha"))


def test_a_background_on_the_gpu() -> None:
    rng = np.random.default_rng(4)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for _ in range(3):
        frame, back = gpu.random_frame(rng, 44, 52, 3), gpu.random_frame(rng, 44, 52, 3)
        result = run(pipeline, _core.cuda_upload(frame), "composite", background=_core.cuda_upload(back))
        np.testing.assert_array_equal(result.numpy(), gpu.run(cpu, frame, "composite", background=back))


def test_a_blurred_background() -> None:
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for seed in range(3):
        frame = gpu.random_frame(np.random.default_rng(seed), 44, 52, 3)
        result = run(pipeline, _core.cuda_upload(frame), "composite", background="blur:3")
        np.testing.assert_array_equal(result.numpy(), gpu.run(cpu, frame, "composite", blur_sigma=3.0))


def test_host_and_device_frames_take_turns() -> None:
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for seed in range(4):
        frame = gpu.random_frame(np.random.default_rng(seed), 30, 50, 3)
        result = run(pipeline, _core.cuda_upload(frame))
        np.testing.assert_array_equal(gpu.run(pipeline, frame, "alpha"), gpu.run(cpu, frame, "alpha"))
        np.testing.assert_array_equal(result.numpy(), gpu.run(cpu, frame, "alpha"))


def test_what_is_no_frame_of_this_gpu_is_refused() -> None:
    pipeline, _ = gpu.pipeline()
    frame = np.zeros((20, 30, 3), np.uint8)
    good = _core.cuda_upload(frame)
    host = Interface(frame, data=(frame.ctypes.data, False))
    with pytest.raises(InputError, match="frame is not memory of cuda:0: it was freed, or it is host memory"):
        run(pipeline, host)
    with pytest.raises(InputError, match="result is 31x20 with 1 channels; expected 30x20"):
        run(pipeline, good, out=_core.cuda_upload(np.zeros((20, 31), np.uint8)))
    with pytest.raises(InputError, match="read-only"):
        run(pipeline, good, out=Interface(np.zeros((20, 30), np.uint8), data=(good.ptr, True)))
    with pytest.raises(InputError, match="float32"):
        run(pipeline, _core.cuda_upload(np.zeros((20, 30, 3), np.float32)))
    with pytest.raises(InputError, match="background"):
        run(pipeline, good, "composite", background=_core.cuda_upload(np.zeros((19, 30, 3), np.uint8)))
    with pytest.raises(InputError, match="the background image is not"):
        run(pipeline, good, "composite", background=np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InputError, match="output='composite', not for 'alpha'"):
        run(pipeline, good, background=(1, 2, 3))
    np.testing.assert_array_equal(run(pipeline, good).numpy(), gpu.run(gpu.on_the_cpu(), frame, "alpha"))


def test_a_failing_network_fails_its_frame_only() -> None:
    broken = False

    def before() -> None:
        if broken:
            raise RuntimeError("out of order")

    network = gpu.RedPlane(capturable=False, before=before)
    pipeline, cpu = _core.Pipeline([network.network], device=0), gpu.on_the_cpu()
    for broken in (False, True, False):
        frame = gpu.random_frame(np.random.default_rng(0), 30, 50, 3)
        if broken:
            with pytest.raises(NetworkError, match="out of order"):
                run(pipeline, _core.cuda_upload(frame))
        else:
            np.testing.assert_array_equal(run(pipeline, _core.cuda_upload(frame)).numpy(), gpu.run(cpu, frame, "alpha"))
