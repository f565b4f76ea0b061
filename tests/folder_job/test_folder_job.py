# SPDX-License-Identifier: Apache-2.0
"""The folder job without the command line: what is planned, that work overlaps and is bounded, and the watch."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import rmbg_trt
from rmbg_trt.folder_job import Options, Plan, Task, plan_tasks, run_tasks, watch_folders
from rmbg_trt.folder_job import watch as watching

TIMEOUT_S = 60.0


class Halves:
    """An engine whose alpha is 255 in the left half and 0 in the right one."""

    def __init__(self, inside: Callable[[Any], object] = lambda frame: None) -> None:
        self.inside = inside
        self.calls: list[dict[str, Any]] = []

    def run(self, frame: Any, *, output: Any = "alpha", background: Any = None, premultiplied: bool = False) -> Any:
        self.calls.append({"output": output, "background": background, "premultiplied": premultiplied})
        self.inside(frame)
        alpha = np.zeros(frame.shape[:2], np.uint8)
        alpha[:, : frame.shape[1] // 2] = 255
        return alpha if output == "alpha" else np.dstack([frame[..., :3], alpha])


def picture(path: Path, value: int = 100, size: tuple[int, int] = (8, 6)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 50, 25)).save(path)
    return path


def pairs(plan: Plan, base: Path) -> dict[str, str]:
    return {
        task.source.relative_to(base).as_posix(): task.target.resolve().relative_to(base.resolve()).as_posix()
        for task in plan.tasks
    }


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.JPG", "sub/c.png", "sub/deep/d.webp", ".hidden/e.jpg", ".f.jpg"):
        picture(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    return tmp_path / "photos"


# ---- the plan: where results go --------------------------------------------------------------------------------


def test_a_folder_keeps_its_structure(photos: Path, tmp_path: Path) -> None:
    expected = {
        "photos/a.JPG": "out/a.png",
        "photos/b.jpg": "out/b.png",
        "photos/sub/c.png": "out/sub/c.png",
        "photos/sub/deep/d.webp": "out/sub/deep/d.png",
    }
    plan = plan_tasks([photos], tmp_path / "out")
    assert pairs(plan, tmp_path) == expected
    assert (plan.skipped, plan.folder) == (0, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_a_target_results_go_beside(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pairs(plan_tasks([photos / "b.jpg"], label="alpha"), tmp_path) == {"photos/b.jpg": "photos/b_alpha.png"}
    assert pairs(plan_tasks([photos / "sub"]), tmp_path)["photos/sub/deep/d.webp"] == "photos/sub_cutout/deep/d.png"
    monkeypatch.chdir(photos / "sub")
    for name in (".", "./", "../sub"):
        targets = {task.target.resolve() for task in plan_tasks([name]).tasks}
        assert targets == {photos / "sub_cutout" / "c.png", photos / "sub_cutout" / "deep" / "d.png"}


def test_a_target_is_a_file_or_a_folder(photos: Path, tmp_path: Path) -> None:
    source = photos / "b.jpg"

    def of(target: Any, **options: Any) -> tuple[str, str]:
        (task,) = plan_tasks([source], target, **options).tasks
        return task.target.relative_to(tmp_path).as_posix(), task.format

    assert of(tmp_path / "x.webp") == ("x.webp", "webp")
    assert of(tmp_path / "x.JPEG", format="tiff") == ("x.JPEG", "tiff")
    assert of(tmp_path / "x", format="jpg") == ("x/b.jpg", "jpg")
    assert of(f"{tmp_path}/x.png/") == ("x.png/b.png", "png")
    (tmp_path / "y.png").mkdir()
    assert of(tmp_path / "y.png") == ("y.png/b.png", "png")
    with pytest.raises(rmbg_trt.InputError, match=r"x\.bmp ends in '\.bmp'; expected one of \.png"):
        of(tmp_path / "x.bmp")
    with pytest.raises(rmbg_trt.InputError, match=r"cannot become one file, .*x\.png; name a folder"):
        plan_tasks([photos], tmp_path / "x.png")


def test_patterns_keep_the_structure_below_their_fixed_part(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert pairs(plan_tasks([photos / "*.jpg"], out), tmp_path) == {"photos/b.jpg": "out/b.png"}
    assert pairs(plan_tasks([photos / "**" / "*.[pw]*"], out), tmp_path) == {
        "photos/sub/c.png": "out/sub/c.png",
        "photos/sub/deep/d.webp": "out/sub/deep/d.png",
    }
    assert len(plan_tasks([photos / "*"], out).tasks) == 4  # a folder that matches is searched


def test_a_name_that_exists_is_no_pattern(tmp_path: Path) -> None:
    picture(tmp_path / "a[1].png")
    picture(tmp_path / "a1.png")
    assert pairs(plan_tasks([tmp_path / "a[1].png"], tmp_path / "o"), tmp_path) == {"a[1].png": "o/a[1].png"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.jpg", r"no file or folder .*missing\.jpg"),
        ("*.gif", r"no image matches .*\*\.gif"),
        ("empty", "no images in the folder .*empty"),
    ],
)
def test_inputs_that_are_not_there(photos: Path, name: str, reason: str) -> None:
    (photos / "empty").mkdir()
    with pytest.raises(rmbg_trt.InputError, match=reason):
        plan_tasks([photos / "b.jpg", photos / name])
    with pytest.raises(rmbg_trt.InputError, match="no input"):
        plan_tasks([])


# ---- the plan: what must not happen ----------------------------------------------------------------------------


def test_what_differs_only_in_its_suffix_keeps_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.jpg", "a.png", "b.jpg", "B.png"):
        picture(tmp_path / "in" / name)
    planned = pairs(plan_tasks([tmp_path / "in"], tmp_path / "out"), tmp_path)
    assert planned == {
        "in/a.jpg": "out/a.jpg.png",
        "in/a.png": "out/a.png.png",
        "in/b.jpg": "out/b.jpg.png",  # some file systems do not tell b from B
        "in/B.png": "out/B.png.png",
    }
    assert "4 images differ only in their suffix" in caplog.text


def test_the_same_name_from_two_folders_is_refused(tmp_path: Path) -> None:
    for name in ("x/a.jpg", "y/a.jpg"):
        picture(tmp_path / name)
    both = [tmp_path / "x" / "a.jpg", tmp_path / "y" / "a.jpg"]
    with pytest.raises(rmbg_trt.InputError, match=r"x.a\.jpg and .*y.a\.jpg would both become .*out.a\.jpg\.png"):
        plan_tasks(both, tmp_path / "out")
    assert len(plan_tasks([both[0], both[0], tmp_path / "x"], tmp_path / "out").tasks) == 1  # named twice: done once


def test_an_input_is_never_overwritten(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(rmbg_trt.InputError, match=r"c\.png is an input and would be overwritten"):
        plan_tasks([photos / "sub" / "c.png"], photos / "sub", skip="none")
    with pytest.raises(rmbg_trt.InputError, match=r"c\.png is an input and would be overwritten"):
        plan_tasks([photos / "sub" / "c.png"], photos / "b" / ".." / "sub" / "c.png", skip="none")
    with pytest.raises(rmbg_trt.InputError, match="would be mixed with the images in"):
        plan_tasks([photos], f"{photos}{os.sep}")
    assert (photos / "sub" / "c.png").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_an_input_is_not_overwritten_through_a_link(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(photos / "sub")
    with pytest.raises(rmbg_trt.InputError, match=r"c\.png is an input and would be overwritten"):
        plan_tasks([photos / "sub" / "c.png"], tmp_path / "out", skip="none")
    (tmp_path / "link.png").symlink_to(photos / "sub" / "c.png")
    with pytest.raises(rmbg_trt.InputError, match=r"link\.png is an input and would be overwritten"):
        plan_tasks([photos / "sub" / "c.png"], tmp_path / "link.png", skip="none")


def test_results_are_not_taken_for_inputs(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "a_cutout.png"):
        picture(tmp_path / name)
    again = plan_tasks([tmp_path / "*.png"], skip="none")
    assert pairs(again, tmp_path) == {"a.png": "a_cutout.png", "b.png": "b_cutout.png"}
    picture(tmp_path / "out" / "a.png")
    inside = plan_tasks([tmp_path], tmp_path / "out", skip="none")
    assert {task.source.name for task in inside.tasks} == {"a.png", "b.png", "a_cutout.png"}
    assert all(task.source.parent == tmp_path for task in inside.tasks)


def test_skipping(tmp_path: Path) -> None:
    old, new, todo = (picture(tmp_path / "in" / name) for name in ("changed.png", "done.png", "todo.png"))
    for source, age in ((old, -10), (new, 10)):
        result = picture(tmp_path / "out" / source.name)
        changed = source.stat().st_mtime + age
        os.utime(result, (changed, changed))

    def left(skip: Any) -> tuple[list[str], int]:
        plan = plan_tasks([tmp_path / "in"], tmp_path / "out", skip=skip)
        return [task.source.name for task in plan.tasks], plan.skipped

    assert left("existing") == ([todo.name], 2)
    assert left("newer") == ([old.name, todo.name], 1)
    assert left("none") == ([old.name, new.name, todo.name], 0)


# ---- the run ---------------------------------------------------------------------------------------------------


def tasks_in(folder: Path, count: int) -> list[Task]:
    for i in range(count):
        picture(folder / "in" / f"{i:03}.png", value=i)
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
    options = Options(output="alpha", background=(1, 2, 3), premultiplied=True, max_pixels=8 * 6)
    assert [outcome.error for outcome in run_tasks([task], engine, options)] == [None]
    assert engine.calls == [{"output": "alpha", "background": (1, 2, 3), "premultiplied": True}]
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


# ---- the watch -------------------------------------------------------------------------------------------------


@pytest.fixture
def watch(tmp_path: Path) -> watching._Watch:
    (tmp_path / "in").mkdir()
    return watching._Watch([tmp_path / "in"], tmp_path / "out", "png", "cutout", "existing")


def looked(watch: watching._Watch) -> list[tuple[str, str]]:
    return [(task.source.name, task.target.name) for task in watch.poll()]


def test_a_picture_is_given_once_when_it_has_come_to_rest(watch: watching._Watch, tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.jpg"
    path.touch()
    assert looked(watch) == looked(watch) == []  # empty: it has yet to be written
    for size in (100, 200, 300):
        path.write_bytes(bytes(size))
        assert looked(watch) == []  # it still grows
    assert looked(watch) == [("a.jpg", "a.png")]
    assert looked(watch) == looked(watch) == []


def test_a_changed_picture_is_given_again(watch: watching._Watch, tmp_path: Path) -> None:
    path = picture(tmp_path / "in" / "a.png")
    assert [looked(watch), looked(watch)] == [[], [("a.png", "a.png")]]
    picture(tmp_path / "out" / "a.png")
    path.write_bytes(path.read_bytes() + b"more")
    assert [looked(watch), looked(watch), looked(watch)] == [[], [("a.png", "a.png")], []]
    path.unlink()
    assert looked(watch) == []
    (tmp_path / "out" / "a.png").unlink()
    picture(path)
    assert [looked(watch), looked(watch)] == [[], [("a.png", "a.png")]]


def test_what_is_done_at_first_sight_is_left(watch: watching._Watch, tmp_path: Path) -> None:
    for name in ("in/done.jpg", "in/sub/new.jpg", "out/done.png"):
        picture(tmp_path / name)
    assert [looked(watch), looked(watch)] == [[], [("new.jpg", "new.png")]]


def test_names_that_collide_while_watching(watch: watching._Watch, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "b.jpg")
    assert [looked(watch), looked(watch)] == [[], [("b.jpg", "b.png")]]
    picture(tmp_path / "in" / "a.jpg")
    picture(tmp_path / "in" / "b.bmp")
    assert [looked(watch), looked(watch)] == [[], [("a.jpg", "a.png"), ("b.bmp", "b.bmp.png")]]


def test_the_watch_ends_with_its_event_and_feeds_a_run(tmp_path: Path) -> None:
    stop = threading.Event()
    (tmp_path / "in").mkdir()
    tasks = watch_folders([tmp_path / "in"], tmp_path / "in" / "out", stop=stop, interval_s=0.02)
    outcomes = run_tasks(tasks, Halves(), jobs=2, stop=stop)
    for i in range(3):
        picture(tmp_path / f"{i}.png").rename(tmp_path / "in" / f"{i}.png")  # at once, as it might be looked at halfway
        outcome = next(outcomes)  # only what was put there last is new, and no result is taken for a picture
        assert (outcome.task.source.name, outcome.error) == (f"{i}.png", None)
    stop.set()
    assert list(outcomes) == []
    assert sorted(path.name for path in (tmp_path / "in" / "out").iterdir()) == ["0.png", "1.png", "2.png"]


def test_what_cannot_be_watched(tmp_path: Path) -> None:
    for inputs, target, reason in (
        ([picture(tmp_path / "a.png")], None, "only folders can be watched"),
        ([tmp_path / "none"], None, "only folders can be watched"),
        ([tmp_path], tmp_path, "would be mixed"),
    ):
        with pytest.raises(rmbg_trt.InputError, match=reason):
            watch_folders(inputs, target, stop=threading.Event())
