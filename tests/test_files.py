# SPDX-License-Identifier: Apache-2.0
"""Atomic writing: a file is complete or absent, whatever goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rmbg_trt.errors import Error
from rmbg_trt.files import atomic_file, atomic_folder, atomic_path


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "a.mp4"
    with pytest.raises(ZeroDivisionError), atomic_path(target) as part:
        part.write_bytes(b"%d" % (1 // 0 if part.write_bytes(b"half") else 0))
    assert list(target.parent.iterdir()) == []
    with atomic_path(target) as part:
        part.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    with pytest.raises(Error, match="could not be written"), atomic_path(target / "b.mp4"):
        pass


def parts(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if ".part" in path.name or ".old" in path.name)


KINDS = {"atomic_file": atomic_file, "atomic_path": atomic_path, "atomic_folder": atomic_folder}
KILLED = """
import os, sys
from pathlib import Path
from rmbg_trt import files
with getattr(files, sys.argv[1])(sys.argv[2]) as part:
    if sys.argv[1] == "atomic_file":
        part.write(b"half")
        part.flush()
    else:
        (part / "half.png" if part.is_dir() else part).write_bytes(b"half")
    print("ready", flush=True)
    sys.stdin.readline()
    os._exit(9)
"""


def start_writing(kind: str, target: Path) -> subprocess.Popen[str]:
    """A process that is in the middle of writing; a line lets it die."""
    command = [sys.executable, "-c", KILLED, kind, str(target)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def write(kind: str, target: Path, content: bytes) -> None:
    with KINDS[kind](target) as part:
        if kind == "atomic_file":
            part.write(content)
        else:
            (part / "a.png" if kind == "atomic_folder" else part).write_bytes(content)


def content(kind: str, target: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (target.iterdir() if kind == "atomic_folder" else [target])}


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="needs POSIX")
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_killed_process_left_is_taken_over(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "result.mov"
    processes = [start_writing(kind, target) for _ in range(2)]
    living = parts(tmp_path)
    assert len(living) == 2

    write(kind, target, b"first")  # their parts stay: they live
    assert parts(tmp_path) == living
    for process in processes:
        process.communicate("die\n")
    assert parts(tmp_path) == living

    write(kind, target, b"second")
    assert parts(tmp_path) == []
    assert list(content(kind, target).values()) == [b"second"]


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="needs POSIX")
def test_what_others_may_have_planted_is_not_written_to(tmp_path: Path) -> None:
    target, victim = tmp_path / "a.png", tmp_path / "victim"
    victim.write_bytes(b"untouched")
    with atomic_path(target) as part:
        name = part.name
    for plant in (os.symlink, os.link):
        plant(victim, tmp_path / name)
        write("atomic_path", target, b"whole")
        assert (victim.read_bytes(), target.read_bytes()) == (b"untouched", b"whole")
        (tmp_path / name).unlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "victim"]


def test_an_old_folder_is_restored_after_a_kill_between_two_renames(tmp_path: Path) -> None:
    target = tmp_path / "set"
    olds: list[Path] = []

    def fail(before: Callable[[], object]) -> None:
        with atomic_folder(target) as part:
            olds.append(part.with_suffix(".old"))
            before()
            raise ZeroDivisionError

    write("atomic_folder", target, b"old")
    with pytest.raises(ZeroDivisionError):
        fail(lambda: target.rename(olds[0]))  # as if it failed between the renames
    assert content("atomic_folder", target) == {"a.png": b"old"}
    target.rename(olds[0])  # as a kill leaves it
    with pytest.raises(ZeroDivisionError):
        fail(lambda: None)
    assert content("atomic_folder", target) == {"a.png": b"old"}
    assert parts(tmp_path) == []


def test_threads_that_write_one_file_leave_one_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    texts = [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            list(pool.map(lambda text: write("atomic_file", target, text), texts))
            assert target.read_bytes() in texts
    assert parts(tmp_path) == []
