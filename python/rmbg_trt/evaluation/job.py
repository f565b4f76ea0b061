# SPDX-License-Identifier: Apache-2.0
"""The job: models one after another, each over all pairs, through the engine; a pair that fails does not stop it.

A worker takes a pair all the way (reading, matting, scoring), and the engine makes it wait while its slots are taken:
so the engine is busy while other workers score, and no more pictures are in memory than there are workers.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import models as catalogue
from ..engine import Engine
from ..engine_info import EngineInfo
from ..errors import Error, InputError
from ..files import file_sha256
from ..folder_job import default_jobs
from ..options import Filter, Stretch
from ..training import metrics
from ..training.data import Pair, read_pairs
from . import report
from .measures import MATTE_CHOICES, MatteChoice, matte_of, read_truth, score
from .result import Evaluation, Failure, ModelResult, PictureScore, labels

if TYPE_CHECKING:
    pass

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
    """Evaluates models on a set of pictures with masks.

    The truth is the mask at the picture's size, and the alpha is what ``Engine.run`` gives. A mask or matte of more
    than two values is cut at one half for the measures that need a mask.

    Args:
        models: What ``Engine`` takes: catalogue names, ONNX files, checkpoints, plans.
        data: A prepared set (its folder or table), or pairs, such as ``pair_folders`` finds.
        split: Of a prepared set; None: all of it.
        out: Folder for the results, see ``report.write``; None: nothing is written.
        overwrite: Replace the results of an earlier evaluation there.
        matte: Whether SAD, MSE, Grad and Conn are computed: for truths of more than two values ("auto"), "always" or
            "never".
        fast: Without the slow measures (weighted F, Grad, Conn).
        device: This and the next six are those of ``Engine``.
        runtime: As above.
        precision: As above.
        size: As above.
        filter: As above.
        stretch: As above.
        calibration: As above.
        jobs: Pictures in work at once; None: one a core and two.
        progress: Called as work goes on, from this thread.

    Returns:
        The figures. Look at ``failures``: pairs that could not be read are left out of all means.

    Raises:
        InputError: There is no such model or set, an option has no such value, or no pair at all could be evaluated.
        UnavailableError: A package, device or runtime is not here.
        ModelError: A model is damaged.
        Error: The results cannot be written.
    """
    if not models:
        raise InputError("there is no model to evaluate")
    if matte not in MATTE_CHOICES:
        raise InputError(f"matte is {matte!r}; expected {', '.join(MATTE_CHOICES)}")
    metrics.check_packages()
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
    opens = [functools.partial(Engine, model, color="rgb", **options) for model in models]
    results = []
    for open_, file, label in zip(opens, files, labels(models), strict=True):
        with open_() as engine:
            results.append(_run(engine, label, file, pairs, jobs, progress or _silent, matte=matte, fast=fast))
    if isinstance(data, (str, os.PathLike)):
        named, asked = os.fspath(data), {**options, "split": split}
    else:
        named, asked = _folder_of(pairs), options
    evaluation = Evaluation(named, {**asked, "matte": matte, "fast": fast}, results)
    if out is not None:
        report.write(evaluation, Path(out), opens)
    return evaluation


def _silent(info: EngineInfo, done: int, total: int) -> None:
    """Nobody wants to know."""


def _folder_of(pairs: Sequence[Pair]) -> str:
    """What to call pairs that are no prepared set: the folder that holds all their pictures."""
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
    progress: Progress,
    **scoring: Any,
) -> ModelResult:
    """One model over all pairs."""
    info = engine.info
    progress(info, 0, len(pairs))
    pictures, failures = [], []
    with contextlib.closing(_outcomes(engine, pairs, jobs or default_jobs(), scoring)) as outcomes:
        for done, outcome in enumerate(outcomes, 1):
            if isinstance(outcome, Failure):
                failures.append(outcome)
            else:
                pictures.append(outcome)
            progress(info, done, len(pairs))
    if not pictures:
        raise InputError(f"none of the {len(pairs)} pairs could be evaluated; the first: {failures[0].reason}")
    return ModelResult(label, file_sha256(file), info, pictures, failures)


def _outcomes(
    engine: Engine, pairs: Sequence[Pair], jobs: int, scoring: dict[str, Any]
) -> Generator[PictureScore | Failure, None, None]:
    """The outcome of each pair, in order. Leaving early (Ctrl-C) waits only for those in work."""

    def work(pair: Pair) -> PictureScore | Failure:
        try:
            _, alpha = matte_of(engine, pair)
            size = (alpha.shape[0], alpha.shape[1])
            return PictureScore(pair, size, score(alpha, read_truth(pair, size), **scoring))
        except Error as error:
            return Failure(pair, str(error) or type(error).__name__)
        except MemoryError:
            return Failure(pair, "there is not enough memory for this picture; fewer --jobs need less")
        except Exception as error:  # a bug here or in a decoder must not cost the rest of the set
            log.debug("%s failed", pair.name, exc_info=error)
            return Failure(pair, f"{type(error).__name__}: {error}")

    with ThreadPoolExecutor(max(1, jobs), thread_name_prefix="rmbg-evaluate") as pool:
        yield from pool.map(work, pairs)
