# SPDX-License-Identifier: Apache-2.0
"""The memory of what made a result: it is right, or there is none."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest
from tests.folder_job.halves import Halves
from tests.make import image_file

import rmbg_trt
from rmbg_trt.folder_job import Plan, plan_tasks, record, run_tasks
from rmbg_trt.folder_job.record import Origin, Record, add_to_record, origin_of


def test_what_is_added_is_found_again(tmp_path: Path) -> None:
    source, target = image_file(tmp_path / "a.png"), image_file(tmp_path / "out" / "ü \n ☃.png")
    origin = origin_of(source, "output cutout")
    assert Record(target.parent).origin(target) is None
    add_to_record(target, origin)
    assert Record(target.parent).origin(target) == origin
    assert Record(tmp_path).origin(tmp_path / target.name) is None
    add_to_record(target, later := origin_of(source, "output alpha"))
    assert Record(target.parent).origin(target) == later


def test_a_changed_or_missing_result_has_no_origin(tmp_path: Path) -> None:
    target = image_file(tmp_path / "x.png")
    add_to_record(target, origin_of(target, ""))
    target.write_bytes(b"edited")
    assert Record(tmp_path).origin(target) is None
    target.unlink()
    assert Record(tmp_path).origin(target) is None


def test_an_image_is_the_same_by_its_path_or_by_its_bytes_count_and_time() -> None:
    image = Origin("/a/x.png", 10, 20, "")
    assert image.is_same_image(Origin("/a/x.png", 11, 21, "other"))
    assert image.is_same_image(Origin("/b/x.png", 10, 20, ""))
    assert not image.is_same_image(Origin("/b/x.png", 10, 21, ""))


@pytest.mark.parametrize(
    "damage", [b"", b"[1, 2", b"null\n", b'["x.png"]\n', b'["x.png", 1, 2, 3, 4, 5]\n', b"\xff\xfe\n"]
)
def test_a_damaged_memory_knows_nothing(tmp_path: Path, damage: bytes) -> None:
    target = image_file(tmp_path / "x.png")
    file = record._file(tmp_path)
    file.parent.mkdir(parents=True)
    file.write_bytes(damage)
    assert Record(tmp_path).origin(target) is None
    file.write_bytes(damage + b"\n")
    add_to_record(target, origin_of(target, ""))
    assert Record(tmp_path).origin(target) == origin_of(target, "")


def test_a_cache_that_cannot_be_written_costs_nothing_else(tmp_path: Path, own_cache: Path) -> None:
    target = image_file(tmp_path / "x.png")
    (own_cache / "results").write_bytes(b"a file in the way")
    add_to_record(target, origin_of(target, ""))
    assert Record(tmp_path).origin(target) is None


def _add_many(folder: Path, name: str) -> None:
    for number in range(100):
        target = image_file(folder / f"{name}{number}.png", size=(1, 1))
        add_to_record(target, origin_of(target, name * 200))


def test_two_processes_add_to_one_memory(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_many, args=(tmp_path, name)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    known = Record(tmp_path)
    for name in "ab":
        for number in range(100):
            target = tmp_path / f"{name}{number}.png"
            assert known.origin(target) == origin_of(target, name * 200)


# ---- what plans make of it ---------------------------------------------------------------------------------------


def made(plan: Plan) -> None:
    """Runs a plan, so that it is remembered what made the results."""
    assert [outcome.error for outcome in run_tasks(plan.tasks, Halves())] == [None] * len(plan.tasks)


def test_a_named_file_must_be_known_to_be_the_result(tmp_path: Path) -> None:
    a, b = (image_file(tmp_path / name) for name in ("a.png", "b.png"))
    out = tmp_path / "out.png"
    made(plan_tasks([a], out, made_with="output cutout"))
    again = plan_tasks([a], out, made_with="output cutout")
    assert (again.tasks, again.skipped) == ([], 1)
    with pytest.raises(rmbg_trt.InputError, match=r"out\.png was made from .*a\.png; --overwrite"):
        plan_tasks([b], out, made_with="output cutout")
    with pytest.raises(rmbg_trt.InputError, match=r"out\.png was made with other options \(output cutout\)"):
        plan_tasks([a], out, made_with="output alpha")
    made(plan_tasks([b], out, made_with="output alpha", skip="none"))
    assert plan_tasks([b], out, made_with="output alpha").skipped == 1
    image_file(out)  # by another program
    assert plan_tasks([b], out, made_with="output alpha", skip="newer").skipped == 1  # which asks for the age only
    with pytest.raises(rmbg_trt.InputError, match=r"out\.png exists already; --overwrite"):
        plan_tasks([b], out, made_with="output alpha")


def test_results_of_another_folder_are_not_taken_for_done(tmp_path: Path) -> None:
    for name in ("one/a.png", "one/b.png", "two/a.png", "two/b.png", "two/c.png"):
        image_file(tmp_path / name)
    out = tmp_path / "out"
    made(plan_tasks([tmp_path / "one"], out))
    assert plan_tasks([tmp_path / "one"], out).skipped == 2
    os.utime(tmp_path / "two" / "a.png", (1, 1))
    os.utime(tmp_path / "two" / "b.png", (1, 1))
    for skip in ("existing", "newer"):
        with pytest.raises(rmbg_trt.InputError, match=r"a\.png was made from .*one.a\.png; --overwrite"):
            plan_tasks([tmp_path / "two"], out, skip=skip)
    assert len(plan_tasks([tmp_path / "two"], out, skip="none").tasks) == 3
    (tmp_path / "one").rename(tmp_path / "moved")  # the images are the same ones
    assert plan_tasks([tmp_path / "moved"], out).skipped == 2


def test_a_changed_image_keeps_its_result_unless_asked(tmp_path: Path) -> None:
    source = image_file(tmp_path / "in" / "a.png")
    made(plan_tasks([tmp_path / "in"], tmp_path / "out"))
    image_file(source, size=(30, 20))
    late = source.stat().st_mtime + 100
    os.utime(source, (late, late))
    assert plan_tasks([tmp_path / "in"], tmp_path / "out").skipped == 1
    assert len(plan_tasks([tmp_path / "in"], tmp_path / "out", skip="newer").tasks) == 1


def test_results_that_nobody_remembers_are_done(tmp_path: Path) -> None:
    image_file(tmp_path / "in" / "a.png")
    image_file(tmp_path / "out" / "a.png")
    assert plan_tasks([tmp_path / "in"], tmp_path / "out", made_with="output alpha").skipped == 1
