# SPDX-License-Identifier: Apache-2.0
"""What a job plans: where results go, and what is refused."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.make import image_file

import rmbg_trt
from rmbg_trt.folder_job import Plan, plan_tasks


def pairs(plan: Plan, base: Path) -> dict[str, str]:
    return {
        task.source.relative_to(base).as_posix(): task.target.resolve().relative_to(base.resolve()).as_posix()
        for task in plan.tasks
    }


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.JPG", "sub/c.png", "sub/deep/d.webp", ".hidden/e.jpg", ".f.jpg"):
        image_file(tmp_path / "photos" / name)
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
    image_file(tmp_path / "a[1].png")
    image_file(tmp_path / "a1.png")
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
        image_file(tmp_path / "in" / name)
    planned = pairs(plan_tasks([tmp_path / "in"], tmp_path / "out"), tmp_path)
    assert planned == {
        "in/a.jpg": "out/a.jpg.png",
        "in/a.png": "out/a.png.png",
        "in/b.jpg": "out/b.jpg.png",  # some file systems do not tell b from B
        "in/B.png": "out/B.png.png",
    }
    assert "4 images differ only in their suffix" in caplog.text


def tells_case(folder: Path) -> bool:
    (folder / "case").touch()
    return not (folder / "CASE").exists()


def test_names_that_differ_only_in_case_are_two_files(tmp_path: Path) -> None:
    if not tells_case(tmp_path):
        pytest.skip("this file system does not tell a.png from A.png")
    for name in ("photo.JPG", "photo.jpg", "Other.png", "other.png", "third.png"):
        image_file(tmp_path / "in" / name, format="PNG")
    assert pairs(plan_tasks([tmp_path / "in"], tmp_path / "out"), tmp_path) == {
        "in/photo.JPG": "out/photo.JPG.png",
        "in/photo.jpg": "out/photo.jpg.png",
        "in/Other.png": "out/Other.png.png",
        "in/other.png": "out/other.png.png",
        "in/third.png": "out/third.png",
    }


def test_names_that_differ_only_in_case_are_refused_where_they_are_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not tells_case(tmp_path):
        pytest.skip("this file system does not tell a.png from A.png")
    for name in ("photo.JPG", "photo.jpg"):
        image_file(tmp_path / "in" / name)
    monkeypatch.setattr("rmbg_trt.folder_job.plan._tells_case", lambda folder: False)  # as on a memory card
    with pytest.raises(rmbg_trt.InputError, match=r"photo\.JPG and .*photo\.jpg would both become"):
        plan_tasks([tmp_path / "in"], tmp_path / "out")


def test_a_name_that_another_image_gets_by_keeping_its_suffix(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "a.jpg.webp", "a.jpg.png.tif", "b.png"):
        image_file(tmp_path / "in" / name)
    assert pairs(plan_tasks([tmp_path / "in"], tmp_path / "out"), tmp_path) == {
        "in/a.jpg": "out/a.jpg.png",
        "in/a.png": "out/a.png.png",
        "in/a.jpg.webp": "out/a.jpg.webp.png",
        "in/a.jpg.png.tif": "out/a.jpg.png.png",
        "in/b.png": "out/b.png",
    }


def test_a_name_that_does_not_fit_is_left_to_the_job(tmp_path: Path) -> None:
    long = image_file(tmp_path / f"{'y' * 247}.png")
    (task,) = plan_tasks([long]).tasks
    assert task.target.name == f"{'y' * 247}_cutout.png"


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_a_link_to_an_image_of_the_folder_gets_its_own_result(photos: Path, tmp_path: Path) -> None:
    (photos / "link.png").symlink_to("b.jpg")
    (photos / "sub" / "up.jpg").symlink_to("../b.jpg")
    (photos / "broken.jpg").symlink_to("nowhere.jpg")
    planned = pairs(plan_tasks([photos], tmp_path / "out"), tmp_path)
    assert planned["photos/link.png"] == "out/link.png"
    assert planned["photos/sub/up.jpg"] == "out/sub/up.png"
    assert planned["photos/broken.jpg"] == "out/broken.png"  # it fails in the job, with the reason
    assert len(planned) == 7
    (tmp_path / "again").symlink_to("photos")  # the same files by another way are done once
    assert len(plan_tasks([photos, tmp_path / "again"], tmp_path / "out").tasks) == 7


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_not_opened(photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(photos / "pipe.jpg")
    (photos / "link.jpg").symlink_to("pipe.jpg")
    for inputs in ([photos], [photos / "*"]):
        assert {"pipe.jpg", "link.jpg"}.isdisjoint(
            task.source.name for task in plan_tasks(inputs, tmp_path / "o").tasks
        )
    assert f"{photos / 'pipe.jpg'} is a pipe or a device, and is skipped" in caplog.text
    with pytest.raises(rmbg_trt.InputError, match=r"pipe\.jpg is a pipe or a device; give it alone"):
        plan_tasks([photos / "pipe.jpg", photos / "b.jpg"], tmp_path / "o")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user without all permissions")
def test_a_folder_that_cannot_be_searched_is_said(photos: Path, caplog: pytest.LogCaptureFixture) -> None:
    (photos / "sub").chmod(0)
    try:
        assert len(plan_tasks([photos]).tasks) == 2
    finally:
        (photos / "sub").chmod(0o755)
    assert f"the folder {photos / 'sub'} is skipped: Permission denied" in caplog.text


def test_empty_names(photos: Path) -> None:
    with pytest.raises(rmbg_trt.InputError, match="the name of an input is empty"):
        plan_tasks([""])
    with pytest.raises(rmbg_trt.InputError, match="the name of the output is empty"):
        plan_tasks([photos / "b.jpg"], "")


def test_the_same_name_from_two_folders_is_refused(tmp_path: Path) -> None:
    for name in ("x/a.jpg", "y/a.jpg"):
        image_file(tmp_path / name)
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
        image_file(tmp_path / name)
    again = plan_tasks([tmp_path / "*.png"], skip="none")
    assert pairs(again, tmp_path) == {"a.png": "a_cutout.png", "b.png": "b_cutout.png"}
    image_file(tmp_path / "out" / "a.png")
    inside = plan_tasks([tmp_path], tmp_path / "out", skip="none")
    assert {task.source.name for task in inside.tasks} == {"a.png", "b.png", "a_cutout.png"}
    assert all(task.source.parent == tmp_path for task in inside.tasks)


def test_skipping(tmp_path: Path) -> None:
    old, new, todo = (image_file(tmp_path / "in" / name) for name in ("changed.png", "done.png", "todo.png"))
    for source, age in ((old, -10), (new, 10)):
        result = image_file(tmp_path / "out" / source.name)
        changed = source.stat().st_mtime + age
        os.utime(result, (changed, changed))

    def left(skip: Any) -> tuple[list[str], int]:
        plan = plan_tasks([tmp_path / "in"], tmp_path / "out", skip=skip)
        return [task.source.name for task in plan.tasks], plan.skipped

    assert left("existing") == ([todo.name], 2)
    assert left("newer") == ([old.name, todo.name], 1)
    assert left("none") == ([old.name, new.name, todo.name], 0)
