# SPDX-License-Identifier: Apache-2.0
"""The memory of what made a result: it is right, or there is none."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from tests.make import image_file

from rmbg_trt.folder_job import record
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
