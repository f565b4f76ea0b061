# SPDX-License-Identifier: Apache-2.0
"""Jobs whose disk or folder fails end with one clear line and exit code 1, lose nothing, and can go on later."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.soak import kills
from tests.soak.faults.conftest import COMMAND, Place, as_plain_user, assert_says

import rmbg_trt
from rmbg_trt.folder_job import Outcome, plan_tasks, run_tasks
from rmbg_trt.options import FrameOptions

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the faults are made as Linux makes them"),
]

MakePlace = Callable[[str], Place]
WHOLE = {"image": kills.whole_image, "video": kills.whole_clip}


# Disks

DISKS = [
    ("image", 100_000, errno.ENOSPC),
    ("video", 0, errno.EDQUOT),
    ("video", 20_000, errno.ENOSPC),
    ("sequence", 20_000, errno.ESTALE),  # a network folder that is gone
    ("prepare", 20_000, errno.EIO),
    ("export", 700, errno.ENOSPC),  # between the model and its sidecar
]


@pytest.mark.parametrize(("job", "size", "number"), DISKS)
def test_a_disk_that_fails(place: MakePlace, with_fault: Any, job: str, size: int, number: int) -> None:
    there = place(job)

    done = there.run(**with_fault(folder=there.out, bytes=size, errno=number))

    assert_says(done, f"could not be written: {os.strerror(number)}")
    kept = there.files()
    assert all(WHOLE[job](there.out / name) for name in kept if job in WHOLE)
    assert (0 < len(kept) < there.job.results) if job == "image" else kept == []
    there.assert_completes()


def namespaces() -> list[str]:
    """A command that runs another one where it may mount folders that nobody else sees."""
    command = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None:
        return []
    return command if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0 else []


@pytest.mark.parametrize(
    ("job", "mount", "what", "kept"),
    [
        ("image", "size=96k", "No space left on device", True),
        ("video", "size=16k", "No space left on device", False),
        ("video", "ro", "Read-only file system", False),
    ],
)
def test_a_real_file_system(place: MakePlace, job: str, mount: str, what: str, kept: bool) -> None:
    before = namespaces()
    if not before:
        pytest.skip("nothing can be mounted here; the other tests of disks run")
    script = f'mount -t tmpfs -o {mount} none out && "$@"; code=$?; ls -A out; exit $code'

    done = place(job).run(before=[*before, "sh", "-c", script, "sh"])

    assert_says(done, f"could not be written: {what}")
    assert ".part" not in done.stdout
    assert bool(done.stdout.split()) == kept


# Permissions


@pytest.mark.parametrize("job", ["image", "video", "prepare"])
def test_a_target_that_may_not_be_written(place: MakePlace, job: str) -> None:
    there = place(job)
    there.out.chmod(0o555)
    try:
        done = there.run(preexec=as_plain_user)
    finally:
        there.out.chmod(0o755)

    assert_says(done, "could not be written: Permission denied")
    assert done.stderr.count("\n") <= 2  # at once, not for each image
    there.assert_completes()


LOSES = """
import os, sys
import numpy as np
from rmbg_trt.folder_job import plan_tasks, run_tasks
class Engine:
    frames = 0
    def run(self, frame, *, options):
        self.frames += 1
        if self.frames == 4:
            os.chmod("out", 0o555)
        return np.zeros((*frame.shape[:2], 4), np.uint8)
for outcome in run_tasks(plan_tasks(["in"], "out").tasks, Engine(), jobs=1):
    print(outcome.error or "done")
"""


def test_permission_lost_in_mid_job(place: MakePlace) -> None:
    there = place("image")
    try:
        done = there.run(code=LOSES, preexec=as_plain_user)
    finally:
        there.out.chmod(0o755)

    lines = done.stdout.splitlines()
    assert lines[:3] == ["done"] * 3
    assert len(lines) == 12
    assert all(line.endswith("could not be written: Permission denied") for line in lines[3:])
    assert there.files() == ["00.png", "01.png", "02.png"]
    there.assert_completes()


def test_a_package_and_a_cache_that_may_not_be_written(place: MakePlace) -> None:
    there, package = place("image"), Path(rmbg_trt.__file__).parent
    copy = there.folder / "site"
    shutil.copytree(package, copy / "rmbg_trt", ignore=shutil.ignore_patterns("__pycache__"))
    core = Path(rmbg_trt._core.__file__)
    if not (copy / "rmbg_trt" / core.name).exists():  # an editable install
        shutil.copy(core, copy / "rmbg_trt")
    (there.folder / "cache").mkdir()
    for folder in (*(path for path in copy.rglob("*") if path.is_dir()), copy, there.folder / "cache"):
        folder.chmod(0o555)
    before = sorted(copy.rglob("*"))
    try:
        path = os.pathsep.join([str(copy), os.environ.get("PYTHONPATH", "")])
        code = f"import rmbg_trt; assert rmbg_trt.__file__.startswith({str(copy)!r}); {COMMAND}"
        done = there.run(code=code, preexec=as_plain_user, PYTHONPATH=path)
        assert sorted(copy.rglob("*")) == before
    finally:
        for folder in (copy, *(path for path in copy.rglob("*") if path.is_dir()), there.folder / "cache"):
            folder.chmod(0o755)

    assert done.returncode == 0, done.stderr
    assert len(there.files()) == 12
    assert "a cache entry cannot be kept" in done.stderr


# Folders that are gone


class GoesAway:
    """An engine of a job, in whose fourth frame something happens."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self.frames, self._happens = 0, happens

    def run(self, frame: Any, *, options: FrameOptions) -> Any:
        self.frames += 1
        if self.frames == 4:
            self._happens()
        return np.zeros((*frame.shape[:2], 4), np.uint8)


def run_images(there: Place, engine: GoesAway) -> list[Outcome]:
    return list(run_tasks(plan_tasks([there.folder / "in"], there.out).tasks, engine, jobs=1))


def test_the_images_are_gone_in_mid_job(place: MakePlace) -> None:
    there = place("image")
    away = there.folder / "away"

    outcomes = run_images(there, GoesAway(lambda: (there.folder / "in").rename(away)))

    failed = [outcome.error or "" for outcome in outcomes if outcome.error]
    assert len(failed) == 8
    assert all(error.endswith("could not be read: No such file or directory") for error in failed)
    away.rename(there.folder / "in")
    there.assert_completes()


def test_the_results_are_gone_in_mid_job(place: MakePlace) -> None:
    """What was written is where its folder went; the rest is in a new one. Nothing is lost."""
    there = place("image")
    away = there.folder / "away"

    outcomes = run_images(there, GoesAway(lambda: there.out.rename(away)))

    assert not any(outcome.error for outcome in outcomes)
    assert sorted([*(path.name for path in away.iterdir()), *there.files()]) == [f"{n:02d}.png" for n in range(12)]


def test_the_folder_of_a_video_is_gone_in_mid_job(place: MakePlace) -> None:
    there = place("video")
    away = there.folder / "away"

    def leave(progress: Any) -> None:
        if progress.frames == 4:
            there.out.rename(away)

    from rmbg_trt.video import matte_video

    with pytest.raises(rmbg_trt.Error, match=r"out\.mov could not be written: No such file or directory"):
        matte_video(there.folder / "in.mp4", there.out / "out.mov", model=there.folder / "small.onnx", progress=leave)
    there.assert_completes()
