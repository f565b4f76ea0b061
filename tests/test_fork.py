# SPDX-License-Identifier: Apache-2.0
"""Engines and fork(): an engine of our own network goes on in the child, any other says what to do, and none hangs."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests import fakes, reference, small_models
from tests.fakes import Gate, is_tag, join
from tests.forks import CHILD_S, in_child

from rmbg_trt import Engine, Error, UnavailableError, VideoMatter, _core

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

FRAME = np.random.default_rng(3).integers(0, 256, (300, 400, 3), dtype=np.uint8)


@pytest.fixture
def native(tmp_path: Path) -> Iterator[Engine]:
    with Engine(small_models.matte(tmp_path / "model.onnx", 64, 64), device="cpu", runtime="native") as engine:
        yield engine


def test_run_submit_map_and_close_in_the_child(native: Engine) -> None:
    expected = native.submit(FRAME).result()

    def work() -> None:
        assert np.array_equal(native.run(FRAME), expected)
        assert np.array_equal(native.submit(FRAME).result(), expected)
        assert all(np.array_equal(alpha, expected) for alpha in native.map([FRAME] * 5))
        native.close()
        in_child(lambda: None)

    in_child(work)
    assert np.array_equal(native.submit(FRAME).result(), expected)  # the parent has noticed nothing


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux")
def test_the_child_starts_threads_of_its_own() -> None:
    _core.resample(FRAME, (900, 1200))

    def work() -> None:
        assert threads() == 1
        _core.gaussian_blur(np.zeros((900, 1200, 3), np.uint8), 5.0)
        assert threads() == _core.cpu_info()["workers"]

    in_child(work)


@pytest.mark.slow
def test_fork_while_other_threads_are_in_frames(native: Engine) -> None:
    """Locks are held and slots are half way through a frame at the moment of some of these forks."""
    expected, matter = native.run(FRAME), VideoMatter(native, refine=False)
    stop, failed = threading.Event(), []

    def work(call: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                call()
        except BaseException as error:
            failed.append(error)

    calls = [
        lambda: native.run(FRAME),
        lambda: native.submit(FRAME).result(),
        lambda: matter.submit(FRAME).result(),
    ]
    threads = [threading.Thread(target=work, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()

    def child() -> None:
        for _ in range(3):
            assert np.array_equal(native.run(FRAME), expected)
            assert np.array_equal(native.submit(FRAME).result(), expected)
            matter.run(FRAME)
        native.close()

    try:
        for _ in range(20):
            in_child(child)
    finally:
        stop.set()
        join(*threads)
    assert failed == []


def test_a_frame_in_flight_is_the_parents(fake_engine: Callable[..., Engine]) -> None:
    gate = Gate()
    engine = fake_engine(gate, stretch="none")
    ticket = engine.submit(fakes.tagged(9))
    assert gate.inside.acquire(timeout=fakes.TIMEOUT_S)

    def work() -> None:
        with pytest.raises(Error, match="submitted before the process was forked"):
            ticket.result()

    in_child(work)
    gate.open.set()
    assert is_tag(ticket.result(), 9)


def says_so(engine: Engine) -> None:
    for call in (engine.run, lambda frame: engine.submit(frame).result(), lambda frame: next(engine.map([frame]))):
        with pytest.raises(Error, match=r"before the process was forked.*create engines only in the children"):
            call(FRAME)
    assert "openvino" in repr(engine) or "fake" in repr(engine)
    engine.close()


def test_a_network_that_may_have_threads_is_refused_in_the_child(fake_engine: Callable[..., Engine]) -> None:
    engine = fake_engine(stretch="none")
    engine.submit(fakes.tagged(1)).result()
    in_child(lambda: says_so(engine))
    assert is_tag(engine.run(fakes.tagged(2)), 2)


def test_openvino_says_so_at_once_and_our_network_takes_its_place(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    model = small_models.matte(tmp_path / "model.onnx", 64, 64)
    with Engine(model, device="cpu", runtime="openvino") as engine:
        expected = engine.submit(FRAME).result()

        def work() -> None:
            says_so(engine)
            with pytest.raises(UnavailableError, match="OpenVINO was used before this process was forked"):
                Engine(model, device="cpu", runtime="openvino")
            with Engine(model, device="cpu") as own:
                assert own.info.runtime == "native"
                assert np.abs(own.run(FRAME).astype(int) - expected).max() <= 1

        in_child(work)
        assert np.array_equal(engine.run(FRAME), expected)


_shared: Engine


def _alpha(frame: np.ndarray) -> np.ndarray:
    return _shared.run(frame)  # type: ignore[no-any-return]


def test_a_pool_of_multiprocessing(native: Engine) -> None:
    global _shared
    _shared = native
    frames = [np.roll(FRAME, 7 * i, axis=1) for i in range(6)]
    expected = list(native.map(frames))
    with multiprocessing.get_context("fork").Pool(3) as pool:
        results = pool.map_async(_alpha, frames).get(CHILD_S)
    assert all(np.array_equal(a, b) for a, b in zip(results, expected, strict=True))


def test_an_engine_cannot_be_pickled(native: Engine) -> None:
    with pytest.raises(TypeError, match="create it there"):
        multiprocessing.reduction.ForkingPickler.dumps(native)


def test_workers_of_a_data_loader(native: Engine) -> None:
    data = pytest.importorskip("torch.utils.data")
    frames = [np.roll(FRAME, 7 * i, axis=1) for i in range(6)]
    expected = list(native.map(frames))

    class Cutouts(data.Dataset):  # type: ignore[misc, name-defined]
        def __len__(self) -> int:
            return len(frames)

        def __getitem__(self, index: int) -> np.ndarray:
            return native.run(frames[index])  # type: ignore[no-any-return]

    loader = data.DataLoader(
        Cutouts(), batch_size=1, num_workers=2, timeout=CHILD_S, multiprocessing_context="fork", collate_fn=list
    )
    assert all(np.array_equal(batch[0], alpha) for batch, alpha in zip(loader, expected, strict=True))


_PRE_FORK = """
import os, sys, threading
import numpy as np
from rmbg_trt import Engine

engine = Engine(sys.argv[1], device="cpu", runtime="native")  # before the workers, as gunicorn --preload does
frame = np.random.default_rng(3).integers(0, 256, (300, 400, 3), dtype=np.uint8)
expected = engine.submit(frame).result()

def serve():
    wrong = []
    def request():
        for _ in range(5):
            wrong.extend([1] * (not np.array_equal(engine.run(frame), expected)))
    threads = [threading.Thread(target=request) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return len(wrong)

workers = []
for _ in range(3):
    worker = os.fork()
    if worker == 0:
        sys.exit(serve())  # with the interpreter's own end, atexit and all
    workers.append(worker)
print([os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) for worker in workers], serve())
"""


def test_a_pre_fork_server(tmp_path: Path, in_python: Callable[..., str]) -> None:
    model = small_models.matte(tmp_path / "model.onnx", 64, 64)
    assert in_python(_PRE_FORK, str(model)) == "[0, 0, 0] 0"


@pytest.mark.weights
def test_u2netp_in_the_child(u2netp_path: Path) -> None:
    frame = reference.photograph("astronaut")
    with Engine(u2netp_path, device="cpu", runtime="native") as engine:
        expected = engine.run(frame)
        in_child(lambda: np.testing.assert_array_equal(engine.submit(frame).result(), expected))
