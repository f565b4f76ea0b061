# SPDX-License-Identifier: Apache-2.0
"""The pipeline over networks in Python: its checks and its slots."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests import fakes, reference

from rmbg_trt import Error, InputError, NetworkError, _core

TIMEOUT_S = 60.0
OUTPUTS = {"alpha": (), "cutout": (4,), "composite": (3,)}
SIZES = [(48, 64), (64, 48), (100, 33), (33, 101), (240, 320), (17, 5)]


def result_for(frame: NDArray[np.uint8], output: str = "alpha") -> NDArray[np.uint8]:
    return np.zeros((*frame.shape[:2], *OUTPUTS[output]), np.uint8)


def run(pipeline: _core.Pipeline, frame: NDArray[np.uint8], output: str = "alpha", **options: Any) -> NDArray[np.uint8]:
    result = result_for(frame, output)
    pipeline.run(frame, result, "bgr", _core.FrameOptions(output, **options))
    return result


def test_the_network_sees_the_preprocessed_frame() -> None:
    seen: list[NDArray[np.float32]] = []
    frame = reference.photograph("coffee")
    pipeline = _core.Pipeline([fakes.network(lambda x: seen.append(x.copy()) or 0, (40, 56))], filter="bilinear")
    run(pipeline, frame)
    np.testing.assert_array_equal(seen[0], reference.input_tensor(frame[:, :, ::-1], (40, 56), "bilinear"))


def test_the_network_gets_its_type_and_layout() -> None:
    frame = reference.photograph("coffee")
    tensors: list[NDArray[np.float16]] = []
    network = _core.python_network(
        _core.TensorSpec("input", (1, 3, 40, 56), "float16", "nhwc"),
        _core.TensorSpec("output", (1, 1, 40, 56)),
        lambda source, target: tensors.extend((source, target)),
        lambda stream: None,
    )
    assert (network.input.shape, network.input.layout) == ((1, 3, 40, 56), "nhwc")
    pipeline = _core.Pipeline([network])
    run(pipeline, frame)
    planes = reference.input_tensor(frame[:, :, ::-1], (40, 56))
    np.testing.assert_array_equal(tensors[0], planes.transpose(0, 2, 3, 1).astype(np.float16))


def test_input_and_output_of_the_network_may_differ_in_size() -> None:
    prediction = np.random.default_rng(1).random((20, 28), dtype=np.float32)
    pipeline = _core.Pipeline([fakes.network(lambda _: prediction, (40, 56), (20, 28))])
    frame = np.zeros((77, 91, 3), np.uint8)
    np.testing.assert_array_equal(run(pipeline, frame), reference.alpha(prediction, (77, 91)))


def test_plans_of_many_frame_sizes_do_not_mix() -> None:
    # More sizes than the plan cache holds, twice round, so that each plan is dropped and made again in used memory.
    prediction = np.random.default_rng(2).random((30, 40), dtype=np.float32)
    pipeline = _core.Pipeline([fakes.known(prediction)])
    sizes = [(10 + 7 * i, 120 - 9 * (i // 2)) for i in range(12)]
    sizes += [(width, height) for height, width in sizes[:4]]
    for size in sizes + sizes:
        frame = np.zeros((*size, 3), np.uint8)
        np.testing.assert_array_equal(run(pipeline, frame), reference.alpha(prediction, size), str(size))


@pytest.mark.parametrize(
    ("shape_in", "shape_out", "words"),
    [
        ((1, 4, 8, 8), (1, 1, 8, 8), r"input 'x' \(1, 4, 8, 8\); expected \(1, 3, height, width\)"),
        ((2, 3, 8, 8), (1, 1, 8, 8), "expected"),
        ((1, 3, 8, 8), (1, 3, 8, 8), r"output 'y' \(1, 3, 8, 8\); expected \(1, 1, height, width\)"),
        ((1, 3, 0, 8), (1, 1, 8, 8), "expected"),
        ((1, 3, 8, 8), (1, 1, 8, -1), "expected"),
    ],
)
def test_a_network_of_another_shape_is_refused(
    shape_in: tuple[int, ...], shape_out: tuple[int, ...], words: str
) -> None:
    network = _core.python_network(
        _core.TensorSpec("x", shape_in), _core.TensorSpec("y", shape_out), lambda source, target: None, lambda _: None
    )
    with pytest.raises(InputError, match=words):
        _core.Pipeline([network])


def test_networks_of_different_shapes_and_no_network_are_refused() -> None:
    pair = [fakes.network(lambda _: 0, (32, 32)), fakes.network(lambda _: 0, (32, 48))]
    with pytest.raises(InputError, match="the same shapes"):
        _core.Pipeline(pair)
    with pytest.raises(InputError, match="at least one network"):
        _core.Pipeline([])


def test_a_network_that_cannot_be_bound_says_why() -> None:
    def bind(source: object, target: object) -> None:
        raise RuntimeError("no such tensor")

    spec = _core.TensorSpec("x", (1, 3, 8, 8)), _core.TensorSpec("y", (1, 1, 8, 8))
    with pytest.raises(NetworkError, match=r"could not be bound.*RuntimeError: no such tensor"):
        _core.Pipeline([_core.python_network(*spec, bind, lambda _: None)])


@pytest.mark.parametrize(
    ("shape", "output", "words"),
    [
        ((20, 30, 3), "alpha", "result is 30x20 with 3 channels; expected 30x20 with 1 channels"),
        ((20, 31), "alpha", "result is 31x20 with 1 channels; expected 30x20"),
        ((20, 30, 3), "cutout", "expected 30x20 with 4 channels"),
        ((21, 30, 3), "composite", "expected 30x20 with 3 channels"),
    ],
)
def test_a_result_that_does_not_fit_is_refused(shape: tuple[int, ...], output: str, words: str) -> None:
    pipeline = _core.Pipeline([fakes.network(fakes.read_tag)], stretch="fixed")
    frame = fakes.tagged(9, 20, 30)
    with pytest.raises(InputError, match=words):
        pipeline.run(frame, np.zeros(shape, np.uint8), "bgr", _core.FrameOptions(output))
    assert (run(pipeline, frame) == 9).all()


def test_a_background_that_does_not_fit_is_refused() -> None:
    pipeline = _core.Pipeline([fakes.network(fakes.read_tag)], stretch="fixed")
    frame = fakes.tagged(9, 20, 30)
    for shape in ((20, 29, 3), (20, 30), (20, 30, 4)):
        with pytest.raises(InputError, match=r"background is .*expected 30x20 with 3 channels"):
            run(pipeline, frame, "composite", background=np.zeros(shape, np.uint8))
    assert (run(pipeline, frame) == 9).all()


def test_the_error_of_a_frame_is_its_own() -> None:
    def predict(tensor: NDArray[np.float32]) -> float:
        if fakes.tag_of(tensor) == 3:
            raise ValueError("tag 3")
        return fakes.read_tag(tensor)

    pipeline = _core.Pipeline([fakes.network(predict)], stretch="fixed")
    for tag in (2, 3, 3, 4):
        if tag == 3:
            with pytest.raises(NetworkError, match="the network failed: ValueError: tag 3"):
                run(pipeline, fakes.tagged(tag))
        else:
            assert (run(pipeline, fakes.tagged(tag)) == tag).all()
    assert pipeline.frames == 2


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_is_no_network_error(stop: type[BaseException]) -> None:
    def predict(tensor: NDArray[np.float32]) -> float:
        if fakes.tag_of(tensor) == 1:
            raise stop
        return fakes.read_tag(tensor)

    pipeline = _core.Pipeline([fakes.network(predict)], stretch="fixed")
    with pytest.raises(stop):
        run(pipeline, fakes.tagged(1))
    assert (run(pipeline, fakes.tagged(2)) == 2).all()


def test_submitted_frames_and_their_times() -> None:
    pipeline = _core.Pipeline([fakes.network(fakes.read_tag) for _ in range(3)], stretch="fixed")
    assert pipeline.slots == 3
    frames = [fakes.tagged(tag) for tag in range(20)]
    results = [result_for(frame) for frame in frames]
    completions = [
        pipeline.submit(frame, result, "bgr", _core.FrameOptions())
        for frame, result in zip(frames, results, strict=True)
    ]
    for tag, (completion, result) in enumerate(zip(completions, results, strict=True)):
        assert completion.wait()
        completion.rethrow()
        assert (result == tag).all()
    assert pipeline.frames == 20
    assert len(pipeline.recent_times()) == 20
    assert all(stage >= 0 for times in pipeline.recent_times() for stage in times.values())


def test_times_are_kept_for_the_last_frames_only_oldest_first() -> None:
    took_ms: list[float] = []

    def predict(tensor: NDArray[np.float32]) -> float:
        begin = time.perf_counter()
        if fakes.tag_of(tensor) == 7:
            time.sleep(0.05)
        took_ms.append(1e3 * (time.perf_counter() - begin))
        return 0

    pipeline = _core.Pipeline([fakes.network(predict, (8, 8))], stretch="fixed")
    for i in range(300):
        run(pipeline, fakes.tagged(7 if i == 290 else 0, 2, 2))
    network_ms = [times["network_ms"] for times in pipeline.recent_times()]
    assert len(network_ms) == 256
    assert network_ms[256 - 10] >= 50
    assert all(whole >= part for whole, part in zip(network_ms, took_ms[-256:], strict=True))


def test_a_submitted_frame_keeps_its_memory_and_then_lets_it_go() -> None:
    go = threading.Event()

    def predict(tensor: NDArray[np.float32]) -> float:
        go.wait(TIMEOUT_S)
        return fakes.read_tag(tensor)

    pipeline = _core.Pipeline([fakes.network(predict)], stretch="fixed")
    frame, result = fakes.tagged(5), np.zeros((24, 40), np.uint8)
    alive = weakref.ref(frame)
    completion = pipeline.submit(frame, result, "bgr", _core.FrameOptions())
    del frame
    gc.collect()
    assert alive() is not None
    assert not completion.wait(0.0)
    go.set()
    assert completion.wait(TIMEOUT_S)
    assert alive() is None
    assert (result == 5).all()


def test_close_waits_for_a_frame_that_another_thread_runs() -> None:
    go, inside = threading.Event(), threading.Event()

    def predict(tensor: NDArray[np.float32]) -> float:
        inside.set()
        go.wait(TIMEOUT_S)
        return fakes.read_tag(tensor)

    pipeline = _core.Pipeline([fakes.network(predict)], stretch="fixed")
    results: list[NDArray[np.uint8]] = []
    running = threading.Thread(target=lambda: results.append(run(pipeline, fakes.tagged(5))))
    running.start()
    assert inside.wait(TIMEOUT_S)
    closing = threading.Thread(target=pipeline.close)
    closing.start()
    closing.join(0.1)
    assert closing.is_alive()
    go.set()
    closing.join(TIMEOUT_S)
    running.join(TIMEOUT_S)
    assert (results[0] == 5).all()


def test_close_wakes_those_who_wait_for_a_slot() -> None:
    go, inside = threading.Event(), threading.Event()

    def predict(tensor: NDArray[np.float32]) -> float:
        inside.set()
        go.wait(TIMEOUT_S)
        return fakes.read_tag(tensor)

    pipeline = _core.Pipeline([fakes.network(predict)], stretch="fixed")
    first = np.zeros((24, 40), np.uint8)
    completion = pipeline.submit(fakes.tagged(5), first, "bgr", _core.FrameOptions())
    assert inside.wait(TIMEOUT_S)
    errors: list[str] = []

    def late() -> None:
        try:
            run(pipeline, fakes.tagged(6))
        except Error as error:
            errors.append(str(error))

    waiting, closing = threading.Thread(target=late), threading.Thread(target=pipeline.close)
    waiting.start()
    time.sleep(0.05)
    closing.start()
    waiting.join(TIMEOUT_S)
    assert errors == ["the engine is closed; create a new one"]
    assert closing.is_alive(), "close() must wait for the frame in flight"
    go.set()
    closing.join(TIMEOUT_S)
    assert completion.wait(0.0)
    assert (first == 5).all()
