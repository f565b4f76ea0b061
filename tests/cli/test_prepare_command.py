# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt prepare`` as it is typed."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.training.data import made_images as made
from typer.testing import CliRunner

from rmbg_trt.cli import app
from rmbg_trt.errors import Error
from rmbg_trt.training.data import read_pairs
from rmbg_trt.training.data.options import Options, Source

pytest.importorskip("imagehash")
pytest.importorskip("matplotlib")


def _run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["prepare", *map(str, arguments)], catch_exceptions=False)


def test_a_set_of_several_datasets(tmp_path: Path) -> None:
    made.make_p3m(tmp_path / "P3M-10k")
    made.make_duts(tmp_path / "DUTS")
    made.make_shard(tmp_path / "tars/train.tar", range(50, 53))
    for name, seeds in (("x", range(60, 64)), ("y", range(64, 66)), ("z", range(66, 68))):
        made.make_pairs(tmp_path / name, seeds)
    result = _run(
        *("--p3m", tmp_path / "P3M-10k", "--duts", tmp_path / "DUTS", "--shards", f"tar={tmp_path / 'tars'}"),
        *("--train-pairs", f"hand={tmp_path}/x/images", tmp_path / "x/masks"),
        *("--train-pairs", f"hand={tmp_path}/y/images", tmp_path / "y/masks"),
        *("--val-pairs", f"{tmp_path}/z/images", tmp_path / "z/masks", "-o", tmp_path / "set", "--test", 0),
    )
    assert result.exit_code == 0, result.output
    found = {(pair.category, pair.split) for pair in read_pairs(tmp_path / "set")}
    assert {("p3m", "val"), ("duts", "test"), ("tar", "val"), ("hand", "train"), ("pairs", "val")} <= found
    assert ("hand", "val") not in found
    assert sum(pair.category == "hand" for pair in read_pairs(tmp_path / "set")) == 6
    assert "hand" in result.stdout
    assert f"18 pairs in {tmp_path / 'set'}; see" in result.stderr


def test_two_pairs_have_no_validation_split_and_the_hint_gives_one(tmp_path: Path) -> None:
    made.make_pairs(tmp_path / "x", range(70, 72))
    pairs = ("--pairs", tmp_path / "x/images", tmp_path / "x/masks", "-o", tmp_path / "set")
    result = _run(*pairs)
    assert result.exit_code == 0
    said = " ".join(result.stderr.split())
    assert "There is no validation split, which training needs" in said
    assert (
        "rmbg-trt prepare --val-pairs IMAGES MASKS, or draw a larger share: --val 0.3 (of two images: --val 0.5)"
        in said
    )
    result = _run(*pairs, "--overwrite", "--val", 0.5, "--test", 0)
    assert "validation split" not in result.stderr
    assert sorted(pair.split for pair in read_pairs(tmp_path / "set")) == ["train", "val"]


class CaughtError(Error):
    """Ends the command where the job would begin."""


def _caught(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> tuple[list[Source], Path, Options]:
    calls: list[tuple[list[Source], Path, Options]] = []

    def prepare(sources: list[Source], target: Path, options: Options, *, progress: Any) -> None:
        calls.append((sources, target, options))
        raise CaughtError("as planned")

    monkeypatch.setattr(importlib.import_module("rmbg_trt.cli.prepare"), "run_prepare", prepare)
    result = _run(*arguments)
    assert result.exit_code == 1
    assert "Error: as planned" in result.stderr
    return calls[0]


def test_options_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    sources, target, options = _caught(
        monkeypatch,
        *("--cod10k", "c", "--people", "p", "--people", "q", "--aisegment", "a", "--test-pairs", "t=i", "m"),
        *("-o", "set", "--size", 320, "--copy", "--val", 0.1, "--test", 0.2, "--seed", 7, "--duplicates", "drop"),
        *("--hash-distance", 3, "--min-side", 64, "--keep-empty", "--workers", 2, "--overwrite", "--dry-run"),
    )
    assert [(each.category, [str(folder) for folder in each.folders]) for each in sources] == [
        ("cod10k", ["c"]),
        ("people", ["p"]),
        ("people", ["q"]),
        ("aisegment", ["a"]),
        ("t", ["i", "m"]),
    ]
    assert target == Path("set")
    assert options == Options(
        size=320,
        val=0.1,
        test=0.2,
        seed=7,
        link=False,
        duplicates="drop",
        hash_distance=3,
        min_side=64,
        keep_empty=True,
        workers=2,
        overwrite=True,
        dry_run=True,
    )


def test_defaults_are_those_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    sources, _, options = _caught(monkeypatch, "--pairs=i", "m", "-o", "set")
    assert options == Options()
    assert [each.category for each in sources] == ["pairs"]


def test_a_folder_may_have_an_equals_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x=y").mkdir()
    sources, _, _ = _caught(monkeypatch, "--pairs", "x=y", "m", "--pairs", "n=x=y", "m", "-o", "set")
    assert [(each.category, str(each.folders[0])) for each in sources] == [("pairs", "x=y"), ("n", "x=y")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "set"], "name at least one dataset"),
        (["--pairs", "i", "m"], "Missing option"),
        (["--pairs", "i", "-o", "set"], "--pairs needs two folders: IMAGES MASKS"),
        (["-o", "set", "--train-pairs"], "train-pairs"),
        (["--pairs", "i", "m", "-o", "set", "--val", "0.6", "--test", "0.4"], "a sum below 1"),
        (["--pairs", "i", "m", "-o", "set", "--duplicates", "some"], "some"),
        (["--pairs", "i", "m", "-o", "set", "--size", "0"], "at least 1"),
    ],
)
def test_wrong_command_lines(arguments: list[str], message: str) -> None:
    result = _run(*arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_a_folder_that_is_not_that_dataset(tmp_path: Path) -> None:
    (tmp_path / "wrong").mkdir()
    result = _run("--cod10k", tmp_path / "wrong", "-o", tmp_path / "set")
    assert result.exit_code == 1
    assert "does not have the layout of COD10K-v3: looked for {Train,Test}/{Image,GT_Object}" in result.stderr
    assert not (tmp_path / "set").exists()


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    images, masks = made.make_pairs(tmp_path / "in", range(1, 12))
    for seed in range(1, 8):
        (images / f"{seed:05d}.jpg").write_bytes(b"")
    command = ("--pairs", images, masks, "-o", tmp_path / "set", "--dry-run")
    brief, long = _run(*command), _run(*command, "--verbose")
    assert brief.exit_code == long.exit_code == 0
    assert "7 skipped: unreadable" in brief.stderr
    assert "... and more" in brief.stderr
    assert "00007.jpg" not in brief.stderr
    assert "00007.jpg is empty" in long.stderr
    assert "4 pairs, 7 files skipped. Nothing was written." in brief.stderr
    assert not (tmp_path / "set").exists()


def test_help_has_examples() -> None:
    result = CliRunner().invoke(app, ["prepare", "--help"], env={"COLUMNS": "160", "TERM": "dumb"})
    assert result.exit_code == 0
    assert "rmbg-trt prepare --p3m P3M-10k --duts DUTS -o combined" in result.output
    assert "IMAGES MASKS" in result.output


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    images, masks = made.make_pairs(tmp_path / "in", range(1, 41), (600, 800))
    code = (
        "import time; from rmbg_trt.training.data import prepare as module; from rmbg_trt.cli import main\n"
        "write = module.write_pair\n"
        "def slow(*arguments, **options):\n"
        "    time.sleep(0.2)\n"
        "    return write(*arguments, **options)\n"
        "module.write_pair = slow\n"
        "main()"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "prepare",
        "--pairs",
        images,
        masks,
        "-o",
        tmp_path / "set",
        "--workers",
        "1",
    ]
    with subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True) as process:
        ends = time.monotonic() + 60
        while not list(tmp_path.glob(".rmbg-*/masks/*")):
            assert process.poll() is None
            assert time.monotonic() < ends
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted." in said
    assert list(tmp_path.iterdir()) == [tmp_path / "in"]
