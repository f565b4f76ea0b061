# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt evaluate`` as it is typed."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from tests.evaluation import made_set
from typer.testing import CliRunner

from rmbg_trt.cli import app

pytest.importorskip("py_sod_metrics")
pytest.importorskip("openvino")


def _run(*arguments: object) -> Any:
    # Wide enough that no table is cut.
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["evaluate", *map(str, arguments)], catch_exceptions=False)


def line(text: str, title: str) -> list[str]:
    """The cells of a table's line."""
    [found] = [each for each in text.splitlines() if each.startswith(f"│ {title}")]
    return [cell.strip() for cell in found.strip("│ ").split("│")]


def test_one_model(folder: Path, sharp: Path) -> None:
    done = _run(folder, sharp, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert line(done.stdout, "mIoU ↑")[1] == "0.5000"
    first = done.stderr.splitlines()[0]
    assert first.startswith(f"{sharp} 48x64 on cpu (")
    [category] = [each.split() for each in done.stdout.splitlines() if each.split()[:2] == ["a", "2"]]
    assert category[3] == "0.7500"


@pytest.mark.slow
def test_two_models_and_the_folder(folder: Path, sharp: Path, blurred: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = _run(folder, sharp, blurred, "--device", "cpu", "-o", tmp_path / "results")
    assert done.exit_code == 0, done.output
    _, first, second, difference = line(done.stdout, "mIoU ↑")
    assert float(difference) == pytest.approx(float(second) - float(first), abs=2e-4)
    assert "mIoU, blurred - sharp: " in done.stdout
    assert (tmp_path / "results" / "summary.json").is_file()
    again = _run(folder, sharp, "--device", "cpu", "-o", tmp_path / "results")
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr
    assert _run(folder, sharp, "--device", "cpu", "-o", tmp_path / "results", "--overwrite").exit_code == 0


def test_json(folder: Path, sharp: Path) -> None:
    done = _run(folder, sharp, "--device", "cpu", "--json", "--fast", "--split", "all", "--matte", "always")
    content = json.loads(done.stdout)
    means = content["models"][0]["means"]
    assert means["iou"] == pytest.approx(0.375)
    assert "sad" in means
    assert "weighted_f" not in means
    assert content["options"]["split"] is None


def test_pairs_and_failures(folder: Path, sharp: Path) -> None:
    (folder / "masks" / "half.png").unlink()
    (folder / "images" / "wrong.png").write_bytes(b"no image")
    done = _run("--pairs", folder / "images", folder / "masks", sharp, "--device", "cpu")
    assert done.exit_code == 1
    assert line(done.stdout, "mIoU ↑")[1] == "0.5000", "of whole and other"
    assert "2 pairs could not be evaluated:" in done.stderr
    assert "half: " in done.stderr
    assert "wrong.png is not an image" in done.stderr


def test_notes(tmp_path: Path, sharp: Path) -> None:
    import numpy as np

    seen = made_set.box(8, 8, 40, 56)
    soft = (seen * np.uint8(255)).copy()
    soft[8] = 99
    made_set.write_pair(tmp_path, "soft", seen, soft, "a", "val")
    made_set.write_pair(tmp_path, "nobody", seen, np.zeros(made_set.SIZE, bool), "a", "val")
    done = _run("--pairs", tmp_path / "images", tmp_path / "masks", sharp, "--device", "cpu")
    assert "sharp: 1 masks are empty" in done.stderr
    assert "only the 1 images whose truth is a matte" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["only"], 2, "name a prepared set and at least one model"),
        (["set", "sharp.onnx", "--size", "big"], 2, "--size is 'big'"),
        (["set", "sharp.onnx", "--calibration", "set"], 2, "--calibration is for --precision int8"),
        (["set", "sharp.onnx", "--precision", "int8", "--calibration", "gone"], 2, "--calibration is gone; expected a"),
        (["set", "gone.onnx"], 1, "gone.onnx"),
        (["gone", "sharp.onnx"], 1, "gone"),
        (["set", "sharp.onnx", "--split", "test"], 1, "no pairs of the split 'test'; it has train, val"),
        (["--pairs", "gone", "set", "sharp.onnx"], 1, "there is no folder gone"),
        (["set", "sharp.onnx", "--split", "some"], 2, "some"),
    ],
)
def test_what_cannot_be(
    folder: Path, sharp: Path, arguments: list[str], code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    done = _run(*arguments)
    assert done.exit_code == code, done.output
    assert words in done.stderr


def test_options_arrive(folder: Path, sharp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class CaughtError(Exception):
        pass

    def evaluate(models: Any, data: Any, **options: Any) -> None:
        seen.update(options, models=models, data=data)
        raise CaughtError

    monkeypatch.setattr(importlib.import_module("rmbg_trt.cli.evaluate"), "evaluate_models", evaluate)
    with pytest.raises(CaughtError):
        _run(
            *(folder, sharp, sharp, "--device", "cuda:1", "--runtime", "torch", "--precision", "int8", "--jobs", 3),
            *("--calibration", folder),
            *("--size", "32x48", "--filter", "area", "--stretch", "none", "--matte", "never", "--split", "test"),
        )
    del seen["progress"]
    assert seen == {
        "models": [str(sharp)] * 2,
        "data": str(folder),
        "split": "test",
        "out": None,
        "overwrite": False,
        "matte": "never",
        "fast": False,
        "device": "cuda:1",
        "runtime": "torch",
        "precision": "int8",
        "jobs": 3,
        "size": (32, 48),
        "filter": "area",
        "stretch": "none",
        "calibration": folder,
    }


def test_ctrl_c(folder: Path, sharp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("rmbg_trt.cli.evaluate"), "evaluate_models", interrupted)
    assert _run(folder, sharp).exit_code == 130
