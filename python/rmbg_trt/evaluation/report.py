# SPDX-License-Identifier: Apache-2.0
"""The folder of results: tables for programs, plots and contact sheets for people. It is whole or absent.

``summary.json``, ``f_curve.png``, ``iou.png``; for each model a folder with ``pictures.csv`` and ``worst.png``; for
several models ``differ.png``.
"""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import __version__
from ..engine import Engine
from ..errors import InputError
from ..files import atomic_folder, check_writable
from . import plots, sheet
from .compare import compare, most_different
from .measures import MEASURES, matte_of, read_truth
from .result import Evaluation, ModelResult, PictureScore

FORMAT = "rmbg-trt evaluation 1"
SUMMARY = "summary.json"
_PACKAGES = ("numpy", "scipy", "pysodmetrics", "pillow")

Open = Callable[[], Engine]


def check(out: Path, *, overwrite: bool) -> None:
    """Finds out before the work whether its results can be written.

    Raises:
        InputError: Something is there already that is not to be replaced.
        Error: The folder cannot be made.
        UnavailableError: matplotlib is not installed.
    """
    plots.check_packages()
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; give a folder for the results")
    if out.is_dir() and any(out.iterdir()):
        if not _is_ours(out):
            raise InputError(f"{out} holds other things than an evaluation; give another folder")
        if not overwrite:
            raise InputError(f"{out} holds an evaluation already; give --overwrite to replace it, or another folder")
    check_writable(out / SUMMARY if out.is_dir() else out)


def _is_ours(out: Path) -> bool:
    """Whether a folder holds an evaluation of ours: only such a one is ever replaced."""
    try:
        return bool(json.loads((out / SUMMARY).read_bytes())["format"] == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write(evaluation: Evaluation, out: Path, engines: Sequence[Open]) -> None:
    """Writes everything.

    Args:
        evaluation: What is written.
        out: The folder; what is there is replaced.
        engines: For each model, opens it again: the sheets show its alphas.

    Raises:
        Error: It cannot be written; then nothing is there, or what was there.
    """
    with atomic_folder(out) as part:
        for path, data in _files(evaluation, engines):
            (part / path).parent.mkdir(exist_ok=True)
            (part / path).write_bytes(data)


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """The whole evaluation but for the single pictures, for JSON."""
    first, *others = evaluation.models
    return {
        "format": FORMAT,
        "data": evaluation.data,
        "options": evaluation.options,
        "versions": _versions(),
        "models": [_model_summary(model) for model in evaluation.models],
        "differences": [asdict(each) for each in (compare(first, other) for other in others) if each is not None],
        "failures": [{"name": each.pair.name, "reason": each.reason} for each in evaluation.failures],
    }


def pictures_csv(model: ModelResult) -> str:
    """The figures of each picture, a line each; measures that a picture does not have are empty."""
    keys = [each.key for each in MEASURES]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "category", "split", "height", "width", "empty_truth", *keys])
    for each in model.pictures:
        values = each.score.values
        figures = [f"{values[key]:.6f}" if key in values else "" for key in keys]
        pair = each.pair
        writer.writerow([pair.name, pair.category, pair.split, *each.size, int(each.score.empty), *figures])
    return text.getvalue()


def _files(evaluation: Evaluation, engines: Sequence[Open]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of all files, one after another."""
    yield SUMMARY, json.dumps(summary(evaluation), indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    yield "f_curve.png", plots.f_curves(evaluation)
    yield "iou.png", plots.iou_histogram(evaluation)
    for model, opens in zip(evaluation.models, engines, strict=True):
        yield f"{model.label}/pictures.csv", pictures_csv(model).encode()
        with opens() as engine:
            rows = [[each] for each in model.worst()]
            heading = f"{model.label}: the {len(rows)} pictures of the lowest IoU"
            yield f"{model.label}/worst.png", _sheet(heading, [model], [engine], rows)
    if len(evaluation.models) > 1 and (rows := most_different(evaluation)):
        with ExitStack() as stack:
            opened = [stack.enter_context(opens()) for opens in engines]
            heading = f"the {len(rows)} pictures on which the models differ most"
            yield "differ.png", _sheet(heading, evaluation.models, opened, rows)


def _sheet(
    heading: str, models: Sequence[ModelResult], engines: Sequence[Engine], rows: list[list[PictureScore]]
) -> bytes:
    """A contact sheet of pictures, each with its score by every model."""
    lines = []
    for scores in rows:
        pair = scores[0].pair
        truth = read_truth(pair, scores[0].size)
        mattes = [matte_of(engine, pair) for engine in engines]
        tiles = [mattes[0][0], truth]
        for _, alpha in mattes:
            tiles += [alpha, sheet.difference(alpha, truth)]
        values = ", ".join(f"{each.score.values['iou']:.3f}" for each in scores)
        lines.append(sheet.Row(f"{pair.name}: IoU {values}", [sheet.thumbnail(tile) for tile in tiles]))
    columns = ["picture", "truth"]
    for model in models:
        columns += [model.label, "too much red, missing blue"]
    return sheet.draw(heading, columns, lines, abreast=2 if len(models) == 1 else 1)


def _model_summary(model: ModelResult) -> dict[str, Any]:
    info = model.info
    engine = {key: value for key, value in asdict(info).items() if key != "device_memory_bytes"}
    categories = {name: {**model.counts(name), **model.means(name)} for name in model.categories}
    return {
        "label": model.label,
        "sha256": model.sha256,
        "engine": engine,
        **model.counts(),
        "failed": len(model.failures),
        "means": model.means(),
        "categories": categories,
    }


def _versions() -> dict[str, str]:
    own = {"rmbg-trt": __version__, "python": platform.python_version()}
    return {**own, **{name: importlib.metadata.version(name) for name in _PACKAGES}}
