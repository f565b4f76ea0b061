# SPDX-License-Identifier: Apache-2.0
"""Running tasks: work overlaps and is bounded, and a failure or a stop does not cost the rest."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.folder_job.halves import Halves
from tests.image.samples import DISPLAY_P3, shown
from tests.make import image_file

import rmbg_trt
from rmbg_trt import FrameOptions
from rmbg_trt.folder_job import Options, Task, plan_tasks, run_tasks

TIMEOUT_S = 60.0


def tasks_in(folder: Path, count: int) -> list[Task]:
    for i in range(count):
        image_file(folder / "in" / f"{i:03}.png", (i, 50, 25))
    return plan_tasks([folder / "in"], folder / "out").tasks


def test_every_picture_is_matted_into_its_own_file(tmp_path: Path) -> None:
    tasks = tasks_in(tmp_path, 40)
    outcomes = list(run_tasks(tasks, Halves(), jobs=4))
    assert sorted(outcome.task.source.name for outcome in outcomes) == [f"{i:03}.png" for i in range(40)]
    assert {outcome.error for outcome in outcomes} == {None}
    for i, task in enumerate(tasks):
        result = np.asarray(Image.open(task.target))
        assert result[0, 0].tolist() == [i, 50, 25, 255]
        assert result[0, 7].tolist() == [0, 0, 0, 0]
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".png"] * 40  # no temporary file is left


def test_options_reach_the_engine_and_the_reader(tmp_path: Path) -> None:
    engine = Halves()
    (task,) = tasks_in(tmp_path, 1)
    frame = FrameOptions(output="alpha", background=(1, 2, 3), premultiplied=True, refine=True)
    options = Options(frame, max_pixels=8 * 6)
    assert [outcome.error for outcome in run_tasks([task], engine, options)] == [None]
    assert engine.calls == [frame]
    assert Image.open(task.target).mode == "L"
    (outcome,) = run_tasks([task], engine, Options(max_pixels=8 * 6 - 1))
    assert "more than the limit of 47" in str(outcome.error)


def test_a_failure_does_not_stop_the_rest(tmp_path: Path) -> None:
    tasks = tasks_in(tmp_path, 6)
    tasks[0].source.write_bytes(b"")
    tasks[1].source.write_bytes(tasks[2].source.read_bytes()[:45])
    (tmp_path / "out" / "002.png").mkdir(parents=True)

    def inside(frame: Any) -> None:
        if frame[0, 0, 0] == 3:
            raise rmbg_trt.NetworkError("the network broke")
        if frame[0, 0, 0] == 4:
            raise ZeroDivisionError("a bug")

    errors = {o.task.source.name: o.error for o in run_tasks(tasks, Halves(inside), jobs=2)}
    assert len(errors) == 6
    assert "is empty" in str(errors["000.png"])
    assert "001.png is" in str(errors["001.png"])
    assert "002.png could not be written" in str(errors["002.png"])
    assert errors["003.png"] == "the network broke"
    assert errors["004.png"] == "ZeroDivisionError: a bug"
    assert errors["005.png"] is None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["002.png", "005.png"]


def test_a_name_that_does_not_fit_fails_alone(tmp_path: Path) -> None:
    names = ["a.png", f"{'y' * 247}.png"]
    tasks = plan_tasks([image_file(tmp_path / name) for name in names]).tasks
    errors = {o.task.source.name: o.error for o in run_tasks(tasks, Halves(), jobs=2)}
    assert errors["a.png"] is None
    assert str(errors[names[1]]).endswith("_cutout.png could not be written: File name too long")
    assert (tmp_path / "a_cutout.png").exists()


def test_a_background_is_converted_once_for_all_images_of_a_camera(tmp_path: Path) -> None:
    engine = Halves()
    for number in range(6):
        profile = {"icc_profile": DISPLAY_P3} if number % 2 else {}
        image_file(tmp_path / "in" / f"{number}.png", (number, 50, 25), **profile)
    background = Image.new("RGB", (40, 30), (43, 87, 151))
    frame = FrameOptions(output="cutout", background=background)
    tasks = plan_tasks([tmp_path / "in"], tmp_path / "out").tasks
    assert [outcome.error for outcome in run_tasks(tasks, engine, Options(frame), jobs=1)] == [None] * 6
    plain, wide = (np.asarray(engine.calls[number].background)[0, 0] for number in (0, 1))
    assert tuple(plain) == (43, 87, 151)
    assert shown(tuple(wide), DISPLAY_P3) == pytest.approx((43, 87, 151), abs=1)
    assert len({id(call.background) for call in engine.calls}) == 2


def test_pictures_are_in_the_engine_at_the_same_time(tmp_path: Path) -> None:
    together = threading.Barrier(3, timeout=TIMEOUT_S)  # raises unless three pictures are inside at once
    outcomes = list(run_tasks(tasks_in(tmp_path, 9), Halves(lambda frame: together.wait()), jobs=3))
    assert [outcome.error for outcome in outcomes] == [None] * 9


def test_writing_goes_on_while_the_engine_works(tmp_path: Path) -> None:
    """The second picture stays in the engine until the first one's file is there."""
    tasks = tasks_in(tmp_path, 2)
    written = threading.Event()

    def inside(frame: Any) -> None:
        if frame[0, 0, 0] == 1 and not written.wait(TIMEOUT_S):
            raise TimeoutError

    for outcome in run_tasks(tasks, Halves(inside), jobs=2):
        assert outcome.error is None
        if outcome.task == tasks[0]:
            assert tasks[0].target.exists()
            written.set()
    assert written.is_set()


def test_no_more_is_in_memory_or_taken_than_jobs_allow(tmp_path: Path) -> None:
    (task,) = tasks_in(tmp_path, 1)
    lock, inside_now, most, taken = threading.Lock(), 0, 0, 0

    def endless() -> Iterator[Task]:
        nonlocal taken
        for i in itertools.count():
            taken += 1
            yield Task(task.source, tmp_path / "out" / f"{i}.png", "png")

    def inside(frame: Any) -> None:
        nonlocal inside_now, most
        with lock:
            inside_now += 1
            most = max(most, inside_now)
        time.sleep(0.002)
        with lock:
            inside_now -= 1

    outcomes = run_tasks(endless(), Halves(inside), jobs=3)
    assert {next(outcomes).error for _ in range(50)} == {None}
    outcomes.close()
    assert 1 <= most <= 3
    files = len(list((tmp_path / "out").iterdir()))
    assert taken <= files + 2 * 3 + 2  # the queue, and the one in the feeder's hand


def test_a_stop_finishes_what_is_begun_and_begins_nothing_more(tmp_path: Path) -> None:
    tasks = tasks_in(tmp_path, 30)
    stop = threading.Event()
    entered = threading.Barrier(3, timeout=TIMEOUT_S)

    def inside(frame: Any) -> None:
        entered.wait()  # with the two workers both inside, the test stops the job
        stop.wait(TIMEOUT_S)

    def stopper() -> None:
        entered.wait()
        stop.set()

    thread = threading.Thread(target=stopper)
    thread.start()
    outcomes = list(run_tasks(tasks, Halves(inside), jobs=2, stop=stop))
    thread.join()
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_leaving_the_loop_stops_the_job(tmp_path: Path) -> None:
    (task,) = tasks_in(tmp_path, 1)
    endless = (Task(task.source, tmp_path / "out" / f"{i}.png", "png") for i in itertools.count())
    engine = Halves(lambda frame: time.sleep(0.01))
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - the loop is what is tested
        for _ in run_tasks(endless, engine, jobs=2):
            raise KeyboardInterrupt
    calls = len(engine.calls)
    time.sleep(0.1)
    assert len(engine.calls) == calls
    assert all(Image.open(path).load() for path in (tmp_path / "out").iterdir())


def test_an_error_of_the_tasks_themselves_is_raised(tmp_path: Path) -> None:
    (task,) = tasks_in(tmp_path, 1)

    def broken() -> Iterator[Task]:
        yield task
        raise RuntimeError("the list broke")

    outcomes = run_tasks(broken(), Halves(), jobs=2)
    assert next(outcomes).error is None
    with pytest.raises(RuntimeError, match="the list broke"):
        next(outcomes)


def test_no_tasks_no_outcomes() -> None:
    assert list(run_tasks([], Halves())) == []


@pytest.mark.parametrize("allowed", [2, 3, 4])
def test_a_job_works_with_the_threads_that_it_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    limit_threads(monkeypatch, allowed)
    outcomes = list(run_tasks(tasks_in(tmp_path, 9), Halves(), jobs=6))
    assert [outcome.error for outcome in outcomes] == [None] * 9


def test_without_any_thread_a_job_fails_and_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = tasks_in(tmp_path, 3)
    before = threading.active_count()
    limit_threads(monkeypatch, 1)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        list(run_tasks(tasks, Halves()))
    deadline = time.monotonic() + TIMEOUT_S
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def limit_threads(monkeypatch: pytest.MonkeyPatch, allowed: int) -> None:
    start, started = threading.Thread.start, itertools.count()

    def limited(thread: threading.Thread) -> None:
        if next(started) >= allowed:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
