# SPDX-License-Identifier: Apache-2.0
"""The folder of results: what is in it, that it is whole or absent, and that nothing of others is replaced."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.evaluation import made_set

from rmbg_trt.errors import Error, InputError, UnavailableError
from rmbg_trt.evaluation import MEASURES, evaluate, plots
from rmbg_trt.install import install_command
from rmbg_trt.training.data import Pair, read_pairs

pytest.importorskip("matplotlib")
pytest.importorskip("py_sod_metrics")
pytest.importorskip("openvino")


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_one_model(folder: Path, sharp: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "results"
    evaluation = evaluate([sharp], folder, device="cpu", out=out)
    assert files(out) == {"summary.json", "f_curve.png", "iou.png", "sharp/images.csv", "sharp/worst.png"}
    assert list((tmp_path / "deep").iterdir()) == [out]
    summary = json.loads((out / "summary.json").read_text())
    [model] = summary["models"]
    assert model["means"] == pytest.approx(evaluation.models[0].means())
    assert model["categories"]["a"]["iou"] == pytest.approx(0.75)
    assert (model["images"], model["failed"], model["engine"]["device"]) == (3, 0, "cpu")
    assert (summary["data"], summary["options"]["split"]) == (str(folder), "val")
    assert {"rmbg-trt", "python", "numpy", "pysodmetrics"} <= summary["versions"].keys()
    assert (summary["differences"], summary["failures"]) == ([], [])
    with (out / "sharp" / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["category"], float(row["iou"])) for row in rows] == [
        ("whole", "a", 1),
        ("half", "a", 0.5),
        ("wrong", "b", 0),
    ]
    assert {each.key for each in MEASURES} <= rows[0].keys()
    assert (rows[0]["height"], rows[0]["width"], rows[0]["sad"]) == ("48", "64", "")
    for name in ("f_curve.png", "iou.png"):
        plot = np.asarray(Image.open(out / name).convert("RGB"))
        assert min(plot.shape[:2]) > 300
        assert len(np.unique(plot.reshape(-1, 3), axis=0)) > 10


def test_several_models_and_failures(folder: Path, sharp: Path, blurred: Path, tmp_path: Path) -> None:
    pairs = [*read_pairs(folder, "val"), Pair("gone", folder / "gone.png", folder / "gone.png", "a", "val")]
    evaluate([sharp, blurred], pairs, device="cpu", out=tmp_path / "results")
    assert {"differ.png", "blurred/worst.png"} <= files(tmp_path / "results")
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert [each["name"] for each in summary["failures"]] == ["gone"]
    [difference] = summary["differences"]
    assert (difference["base"], difference["other"], difference["images"]) == ("sharp", "blurred", 3)
    first, second = summary["models"]
    assert difference["means"]["iou"] == pytest.approx(second["means"]["iou"] - first["means"]["iou"])


def test_the_worst_comes_first(folder: Path, sharp: Path, tmp_path: Path) -> None:
    evaluate([sharp], folder, device="cpu", out=tmp_path / "results")
    image = np.asarray(Image.open(tmp_path / "results" / "sharp" / "worst.png").convert("RGB")).astype(int)
    # Two rows abreast: "wrong" (too much is red, missing is blue) left, "half" (only missing) right.
    left, right = np.split(image[: image.shape[0] // 2], [image.shape[1] // 2], axis=1)

    def has(part: np.ndarray, color: tuple[int, int, int]) -> bool:
        return bool((np.abs(part - color).sum(axis=2) < 30).any())

    assert has(left, (255, 0, 0))
    assert has(left, (0, 0, 255))
    assert not has(right, (255, 0, 0))
    assert has(right, (0, 0, 255))


def test_an_evaluation_is_replaced_when_asked(folder: Path, sharp: Path, blurred: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    out.mkdir()
    evaluate([sharp, blurred], folder, device="cpu", out=out)  # an empty folder is as none
    with pytest.raises(InputError, match="holds an evaluation already; use --overwrite"):
        evaluate([sharp], folder, device="cpu", out=out)
    evaluate([sharp], folder, device="cpu", out=out, overwrite=True)
    assert not (out / "blurred").exists()
    assert not list(tmp_path.glob(".rmbg-*"))


def test_other_things_are_left_alone(folder: Path, sharp: Path, tmp_path: Path) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds files that are not an evaluation"):
        evaluate([sharp], folder, device="cpu", out=out, overwrite=True)
    (out / "summary.json").write_text('{"format": "of somebody else"}')
    with pytest.raises(InputError, match="holds files that are not an evaluation"):
        evaluate([sharp], folder, device="cpu", out=out, overwrite=True)
    with pytest.raises(InputError, match="is a file"):
        evaluate([sharp], folder, device="cpu", out=out / "chapter.txt", overwrite=True)
    assert (out / "chapter.txt").read_text() == "years of work"
    with pytest.raises(Error, match="could not be written"):
        evaluate([sharp], folder, device="cpu", out=out / "chapter.txt" / "results")


@pytest.mark.slow
@pytest.mark.parametrize("before", [False, True])
def test_a_failure_leaves_what_was_there(
    folder: Path, sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    out = tmp_path / "results"
    if before:
        evaluate([sharp], folder, device="cpu", out=out)
    kept = {name: (out / name).read_bytes() for name in files(out)} if before else {}

    def full(*_: object, **__: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plots, "draw_sheet", full)
    with pytest.raises(Error, match="results could not be written: No space left"):
        evaluate([sharp], folder, device="cpu", out=out, overwrite=True)
    assert out.exists() == before
    assert {name: (out / name).read_bytes() for name in files(out)} == kept
    assert not list(tmp_path.glob(".rmbg-*"))


def test_without_matplotlib(folder: Path, sharp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name))
    with pytest.raises(UnavailableError, match=r"matplotlib is not installed: " + re.escape(install_command("train"))):
        evaluate([sharp], folder, device="cpu", out=tmp_path / "results")


# Sheets.


def test_the_difference_by_hand() -> None:
    alpha, truth = np.array([[255, 0, 255, 100]], np.uint8), np.array([[0, 255, 255, 50]], np.uint8)
    assert plots.difference(alpha, truth).tolist() == [[[255, 0, 0], [0, 0, 255], [255, 255, 255], [255, 205, 205]]]


@pytest.mark.parametrize(("shape", "size"), [((90, 180), (180, 90)), ((1000, 10, 3), (2, 180)), ((1, 1), (180, 180))])
def test_thumbnails(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    image = plots.thumbnail(np.full(shape, 200, np.uint8))
    assert (image.mode, image.size) == ("RGB", size)
    assert image.getpixel((0, 0)) == (200, 200, 200)


def test_a_thumbnail_with_alpha() -> None:
    pixels = np.zeros((180, 180, 4), np.uint8)
    pixels[:90, :, 3] = 255
    image = plots.thumbnail(pixels)
    assert image.getpixel((0, 0)) == (0, 0, 0)
    assert image.getpixel((0, 179)) == (238, 238, 238)


def test_long_and_strange_names(tmp_path: Path) -> None:
    tile = plots.thumbnail(np.zeros((9, 9), np.uint8))
    rows = [plots.Row("x" * 500, [tile]), plots.Row("猫\n\t é", [tile]), plots.Row("", [tile])]
    data = plots.draw_sheet("heading", ["a" * 200], rows)
    (tmp_path / "sheet.png").write_bytes(data)
    width, height = Image.open(tmp_path / "sheet.png").size
    assert width < 3 * plots.TILE
    assert height > 2 * plots.TILE


def test_the_sheet_of_one_image(sharp: Path, tmp_path: Path) -> None:
    pair = made_set.write_pair(tmp_path, "one", *made_set.SUBJECTS["half"], "a", "val")
    evaluate([sharp], [pair], device="cpu", out=tmp_path / "results")
    assert Image.open(tmp_path / "results" / "sharp" / "worst.png").width < 5 * (plots.TILE + 10)
