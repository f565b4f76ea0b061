# SPDX-License-Identifier: Apache-2.0
"""Runs the evaluation: models one after another, each over all pairs, through the engine; failed pairs are recorded.

A worker does everything for a pair (reading, matting, scoring), and blocks while all slots of the engine are taken: so
the engine is busy while other workers score, and no more images are in memory than there are workers.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .. import models as catalogue
from ..engine import Engine
from ..errors import Error, InputError
from ..files import file_sha256
from ..folder_job import default_jobs
from ..options import Filter, Stretch
from ..runtimes.request import EngineInfo
from ..training.data import Pair, read_pairs
from ..training.requirements import require
from . import report
from .result import (
    MATTE_CHOICES,
    Evaluation,
    Failure,
    ImageScore,
    MatteChoice,
    ModelResult,
    labels,
    matte_of,
    read_truth,
    score,
)

log = logging.getLogger("rmbg_trt.training")

Model = str | os.PathLike[str]
Progress = Callable[[EngineInfo, int, int], None]
"""``progress(engine, done, total)``; for each model first with 0 done."""


def evaluate(
    models: Sequence[Model],
    data: str | os.PathLike[str] | Sequence[Pair],
    *,
    split: str | None = "val",
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    matte: MatteChoice = "auto",
    fast: bool = False,
    device: str = "auto",
    runtime: str = "auto",
    precision: str = "auto",
    size: int | tuple[int, int] | None = None,
    filter: Filter = "lanczos",
    stretch: Stretch = "minmax",
    calibration: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluates models on a set of images with masks.

    The truth is the mask at the image's size, and the alpha is the result of ``Engine.run``. A mask or matte of more
    than two values is cut at one half for the measures that need a mask.

    Args:
        models: As ``Engine`` takes them: catalogue names, ONNX files, checkpoints, plans.
        data: A prepared set (its folder or table), or pairs, such as those of ``pair_folders``.
        split: Of a prepared set; None: all of it.
        out: Folder for the results, see ``report.write``; None: nothing is written.
        overwrite: Replace the results of an earlier evaluation there.
        matte: Whether SAD, MSE, Grad and Conn are computed: for truths of more than two values ("auto"), "always" or
            "never".
        fast: Skip the slow measures (weighted F, Grad, Conn).
        device: This and the next six are those of ``Engine``.
        runtime: As above.
        precision: As above.
        size: As above.
        filter: As above.
        stretch: As above.
        calibration: As above.
        jobs: Images processed at once; None: the number of cores plus two.
        progress: Called as the work proceeds, from this thread.

    Returns:
        The results. Check ``failures``: pairs that could not be read are not in the means.

    Raises:
        InputError: There is no such model or set, an option is invalid, or not a single pair could be evaluated.
        UnavailableError: A package, device or runtime is not available.
        ModelError: A model is damaged.
        Error: The results cannot be written.
    """
    if not models:
        raise InputError("there is no model to evaluate")
    if matte not in MATTE_CHOICES:
        raise InputError(f"matte is {matte!r}; expected {', '.join(MATTE_CHOICES)}")
    require("pysodmetrics")
    pairs = read_pairs(data, split) if isinstance(data, (str, os.PathLike)) else list(data)
    if not pairs:
        raise InputError("there are no pairs to evaluate on")
    if out is not None:
        report.check(Path(out), overwrite=overwrite)
    files = [catalogue.resolve(model) for model in models]  # all, before the first is run
    options: dict[str, Any] = {
        "device": device,
        "runtime": runtime,
        "precision": precision,
        "size": size,
        "filter": filter,
        "stretch": stretch,
    }
    if calibration is not None:
        options["calibration"] = os.fspath(calibration)
    engines = [functools.partial(Engine, model, color="rgb", **options) for model in models]
    on_progress = progress or (lambda info, done, total: None)
    results = []
    for open_engine, file, label in zip(engines, files, labels(models), strict=True):
        with open_engine() as engine:
            results.append(_run(engine, label, file, pairs, jobs, on_progress, matte=matte, fast=fast))
    if isinstance(data, (str, os.PathLike)):
        name, recorded = os.fspath(data), {**options, "split": split}
    else:
        name, recorded = _folder_of(pairs), options
    evaluation = Evaluation(name, {**recorded, "matte": matte, "fast": fast}, results)
    if out is not None:
        report.write(evaluation, Path(out), engines)
    return evaluation


def _folder_of(pairs: Sequence[Pair]) -> str:
    """A name for pairs that are not a prepared set: the common folder of their images."""
    try:
        return os.path.commonpath([pair.image.absolute().parent for pair in pairs])
    except ValueError:  # on different drives
        return f"{len(pairs)} pairs"


def _run(
    engine: Engine,
    label: str,
    file: Path,
    pairs: Sequence[Pair],
    jobs: int | None,
    on_progress: Progress,
    **scoring: Any,
) -> ModelResult:
    """One model over all pairs."""
    info = engine.info
    on_progress(info, 0, len(pairs))
    images, failures = [], []
    with contextlib.closing(_outcomes(engine, pairs, jobs or default_jobs(), scoring)) as outcomes:
        for done, outcome in enumerate(outcomes, 1):
            if isinstance(outcome, Failure):
                failures.append(outcome)
            else:
                images.append(outcome)
            on_progress(info, done, len(pairs))
    if not images:
        raise InputError(f"none of the {len(pairs)} pairs could be evaluated; the first: {failures[0].reason}")
    return ModelResult(label, file_sha256(file), info, images, failures)


def _outcomes(
    engine: Engine, pairs: Sequence[Pair], jobs: int, scoring: dict[str, Any]
) -> Generator[ImageScore | Failure, None, None]:
    """The outcome of each pair, in order. Closing it early (Ctrl-C) waits only for pairs in progress."""

    def work(pair: Pair) -> ImageScore | Failure:
        try:
            _, alpha = matte_of(engine, pair)
            size = (alpha.shape[0], alpha.shape[1])
            return ImageScore(pair, size, score(alpha, read_truth(pair, size), **scoring))
        except Error as error:
            return Failure(pair, str(error) or type(error).__name__)
        except MemoryError:
            return Failure(pair, "there is not enough memory for this image; use fewer --jobs")
        except Exception as error:  # a bug here or in a decoder must not cost the rest of the set
            log.debug("%s failed", pair.name, exc_info=error)
            return Failure(pair, f"{type(error).__name__}: {error}")

    with ThreadPoolExecutor(max(1, jobs), thread_name_prefix="rmbg-evaluate") as pool:
        yield from pool.map(work, pairs)
