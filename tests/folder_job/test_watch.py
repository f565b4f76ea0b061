# SPDX-License-Identifier: Apache-2.0
"""Watching folders: an image becomes a task once, when it has stopped growing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from tests.folder_job.halves import Halves
from tests.make import image_file

import rmbg_trt
from rmbg_trt.folder_job import run_tasks, watch_folders
from rmbg_trt.folder_job import watch as watching


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
    path = image_file(tmp_path / "in" / "a.png")
    assert [looked(watch), looked(watch)] == [[], [("a.png", "a.png")]]
    image_file(tmp_path / "out" / "a.png")
    path.write_bytes(path.read_bytes() + b"more")
    assert [looked(watch), looked(watch), looked(watch)] == [[], [("a.png", "a.png")], []]
    path.unlink()
    assert looked(watch) == []
    (tmp_path / "out" / "a.png").unlink()
    image_file(path)
    assert [looked(watch), looked(watch)] == [[], [("a.png", "a.png")]]


def test_what_is_done_at_first_sight_is_left(watch: watching._Watch, tmp_path: Path) -> None:
    for name in ("in/done.jpg", "in/sub/new.jpg", "out/done.png"):
        image_file(tmp_path / name)
    assert [looked(watch), looked(watch)] == [[], [("new.jpg", "new.png")]]


def test_a_result_of_something_else_is_kept_and_said(
    watch: watching._Watch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image_file(tmp_path / "in" / "a.jpg")
    assert looked(watch) == []
    assert [outcome.error for outcome in run_tasks(watch.poll(), Halves())] == [None]
    later = watching._Watch([tmp_path / "in"], tmp_path / "out", "png", "cutout", "existing")
    assert looked(later) == looked(later) == []
    assert not caplog.text
    image_file(tmp_path / "other" / "a.jpg", size=(9, 9))
    other = watching._Watch([tmp_path / "other"], tmp_path / "out", "png", "cutout", "existing")
    assert looked(other) == looked(other) == looked(other) == []
    assert caplog.text.count("a.png was made from") == 1


def test_names_that_collide_while_watching(watch: watching._Watch, tmp_path: Path) -> None:
    image_file(tmp_path / "in" / "b.jpg")
    assert [looked(watch), looked(watch)] == [[], [("b.jpg", "b.png")]]
    image_file(tmp_path / "in" / "a.jpg")
    image_file(tmp_path / "in" / "b.bmp")
    assert [looked(watch), looked(watch)] == [[], [("a.jpg", "a.png"), ("b.bmp", "b.bmp.png")]]


def test_a_third_image_of_a_name_is_skipped_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    roots = [tmp_path / name for name in ("one", "two", "three")]
    for root in roots:
        image_file(root / "a.jpg")
    watch = watching._Watch(roots, tmp_path / "out", "png", "cutout", "existing")
    assert [looked(watch), looked(watch)] == [[], [("a.jpg", "a.png"), ("a.jpg", "a.jpg.png")]]
    assert "a.jpg is skipped: another image becomes" in caplog.text
    caplog.clear()
    assert looked(watch) == []
    assert not caplog.text  # once is enough


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_a_watched_folder_is_said_once(
    watch: watching._Watch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(tmp_path / "in" / "pipe.jpg")
    assert looked(watch) == looked(watch) == looked(watch) == []
    assert caplog.text.count("pipe.jpg is a pipe or a device") == 1


def test_the_watch_ends_with_its_event_and_feeds_a_run(tmp_path: Path) -> None:
    stop = threading.Event()
    (tmp_path / "in").mkdir()
    tasks = watch_folders([tmp_path / "in"], tmp_path / "in" / "out", stop=stop, interval_s=0.02)
    outcomes = run_tasks(tasks, Halves(), jobs=2, stop=stop)
    for i in range(3):
        image_file(tmp_path / f"{i}.png").rename(
            tmp_path / "in" / f"{i}.png"
        )  # at once, as it might be looked at halfway
        outcome = next(outcomes)  # only what was put there last is new, and no result is taken for a picture
        assert (outcome.task.source.name, outcome.error) == (f"{i}.png", None)
    stop.set()
    assert list(outcomes) == []
    assert sorted(path.name for path in (tmp_path / "in" / "out").iterdir()) == ["0.png", "1.png", "2.png"]


def test_what_cannot_be_watched(tmp_path: Path) -> None:
    for inputs, target, reason in (
        ([image_file(tmp_path / "a.png")], None, "only folders can be watched"),
        ([tmp_path / "none"], None, "only folders can be watched"),
        ([tmp_path], tmp_path, "would be mixed"),
    ):
        with pytest.raises(rmbg_trt.InputError, match=reason):
            watch_folders(inputs, target, stop=threading.Event())
