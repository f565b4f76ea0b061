# SPDX-License-Identifier: Apache-2.0
"""The folder of results: tables for programs, plots and contact sheets for people. It is either complete or absent.

``summary.json``, ``f_curve.png``, ``iou.png``; for each model a folder with ``images.csv`` and ``worst.png``; for
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
from ..training.requirements import require
from . import plots
from .result import MEASURES, Evaluation, ImageScore, ModelResult, compare, matte_of, most_different, read_truth

FORMAT = "rmbg-trt evaluation 1"
SUMMARY = "summary.json"
_PACKAGES = ("numpy", "scipy", "pysodmetrics", "pillow")

Open = Callable[[], Engine]


def check(out: Path, *, overwrite: bool) -> None:
    """Checks, before the work, that results can be written to a folder.

    Raises:
        InputError: The folder holds something that must not be replaced.
        Error: The folder cannot be made.
        UnavailableError: matplotlib is not installed.
    """
    require("matplotlib")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; expected a folder for the results")
    if out.is_dir() and any(out.iterdir()):
        if not _is_evaluation(out):
            raise InputError(f"{out} holds files that are not an evaluation; choose another folder")
        if not overwrite:
            raise InputError(f"{out} holds an evaluation already; use --overwrite to replace it, or another folder")
    check_writable(out / SUMMARY if out.is_dir() else out)


def _is_evaluation(out: Path) -> bool:
    """Whether a folder holds an evaluation of ours: nothing else is ever replaced."""
    try:
        return bool(json.loads((out / SUMMARY).read_bytes())["format"] == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write(evaluation: Evaluation, out: Path, engines: Sequence[Open]) -> None:
    """Writes the folder of results.

    Args:
        evaluation: The results.
        out: The folder; it is replaced if it exists.
        engines: Functions that open each model again, for the alphas in the contact sheets.

    Raises:
        Error: It cannot be written; the folder is unchanged.
    """
    with atomic_folder(out) as part:
        for path, data in _files(evaluation, engines):
            (part / path).parent.mkdir(exist_ok=True)
            (part / path).write_bytes(data)


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """The whole evaluation without the single images, for JSON."""
    first, *others = evaluation.models
    differences = (compare(first, other) for other in others)
    return {
        "format": FORMAT,
        "data": evaluation.data,
        "options": evaluation.options,
        "versions": _versions(),
        "models": [_model_summary(model) for model in evaluation.models],
        "differences": [asdict(difference) for difference in differences if difference is not None],
        "failures": [{"name": failure.pair.name, "reason": failure.reason} for failure in evaluation.failures],
    }


def images_csv(model: ModelResult) -> str:
    """The scores, a row per image; measures that an image does not have are empty."""
    keys = [measure.key for measure in MEASURES]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "category", "split", "height", "width", "empty_truth", *keys])
    for image in model.images:
        values = image.score.values
        figures = [f"{values[key]:.6f}" if key in values else "" for key in keys]
        pair = image.pair
        writer.writerow([pair.name, pair.category, pair.split, *image.size, int(image.score.empty), *figures])
    return text.getvalue()


def _files(evaluation: Evaluation, engines: Sequence[Open]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of all files, one after another."""
    yield SUMMARY, json.dumps(summary(evaluation), indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    yield "f_curve.png", plots.f_curves(evaluation)
    yield "iou.png", plots.iou_histogram(evaluation)
    for model, open_engine in zip(evaluation.models, engines, strict=True):
        yield f"{model.label}/images.csv", images_csv(model).encode()
        with open_engine() as engine:
            rows = [[image] for image in model.worst()]
            heading = f"{model.label}: the {len(rows)} images with the lowest IoU"
            yield f"{model.label}/worst.png", _sheet(heading, [model], [engine], rows)
    if len(evaluation.models) > 1 and (rows := most_different(evaluation)):
        with ExitStack() as stack:
            opened = [stack.enter_context(open_engine()) for open_engine in engines]
            heading = f"the {len(rows)} images on which the models differ most"
            yield "differ.png", _sheet(heading, evaluation.models, opened, rows)


def _sheet(
    heading: str, models: Sequence[ModelResult], engines: Sequence[Engine], rows: list[list[ImageScore]]
) -> bytes:
    """A contact sheet of images, with the scores of all models for each."""
    lines = []
    for scores in rows:
        pair = scores[0].pair
        truth = read_truth(pair, scores[0].size)
        mattes = [matte_of(engine, pair) for engine in engines]
        tiles = [mattes[0][0], truth]
        for _, alpha in mattes:
            tiles += [alpha, plots.difference(alpha, truth)]
        values = ", ".join(f"{image.iou:.3f}" for image in scores)
        lines.append(plots.Row(f"{pair.name}: IoU {values}", [plots.thumbnail(tile) for tile in tiles]))
    columns = ["image", "truth"]
    for model in models:
        columns += [model.label, "too high red, too low blue"]
    return plots.draw_sheet(heading, columns, lines, abreast=2 if len(models) == 1 else 1)


def _model_summary(model: ModelResult) -> dict[str, Any]:
    engine = {key: value for key, value in asdict(model.info).items() if key != "device_memory_bytes"}
    return {
        "label": model.label,
        "sha256": model.sha256,
        "engine": engine,
        **model.counts(),
        "failed": len(model.failures),
        "means": model.means(),
        "categories": {name: {**model.counts(name), **model.means(name)} for name in model.categories},
    }


def _versions() -> dict[str, str]:
    own = {"rmbg-trt": __version__, "python": platform.python_version()}
    return {**own, **{name: importlib.metadata.version(name) for name in _PACKAGES}}
