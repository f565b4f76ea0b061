# SPDX-License-Identifier: Apache-2.0
"""The results of an evaluation: scores of images by measure, means over a set and its categories, comparisons."""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..catalogue import CATALOGUE
from ..engine import Engine
from ..image import Array, read_image
from ..runtimes.request import EngineInfo
from ..training import matte_metrics, metrics
from ..training.data import Pair, read_mask, resize_mask
from ..training.metrics import Floats

MatteChoice = Literal["auto", "always", "never"]
MATTE_CHOICES = ("auto", "always", "never")

RESAMPLES = 5000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Measure:
    """A measure of an image; for a set, its mean."""

    key: str  # in tables for programs
    title: str  # in tables for people
    higher_is_better: bool
    function: Callable[[Any, Any], float]  # of alpha and truth
    of_matte: bool = False  # only for truths that are mattes
    slow: bool = False  # takes at least as long as all fast ones together

    @property
    def arrow(self) -> str:
        """Whether higher or lower is better."""
        return "↑" if self.higher_is_better else "↓"


MAX_F = "max_f"
MEASURES = (
    Measure("mae", "MAE", False, metrics.mae),
    Measure("iou", "mIoU", True, metrics.iou),
    Measure("dice", "Dice", True, metrics.dice),
    Measure("accuracy", "accuracy", True, metrics.accuracy),
    Measure(MAX_F, "maxF", True, metrics.max_f),  # of a set: the maximum of the mean curve
    Measure("weighted_f", "weighted F", True, metrics.weighted_f, slow=True),
    Measure("s_measure", "S-measure", True, metrics.s_measure),
    Measure("e_measure", "mean E", True, metrics.e_measure),
    Measure("sad", "SAD", False, matte_metrics.sad, of_matte=True),
    Measure("mse", "MSE", False, matte_metrics.mse, of_matte=True),
    Measure("grad", "Grad", False, matte_metrics.grad, of_matte=True, slow=True),
    Measure("conn", "Conn", False, matte_metrics.conn, of_matte=True, slow=True),
)


@dataclass(frozen=True)
class Score:
    """The measures of one image."""

    values: dict[str, float]  # by key, in the order of MEASURES; without those that were not computed
    curve: Floats  # (256,) the F-measure at each level, see metrics.f_curve
    empty: bool  # whether the truth has no foreground, so that F and weighted F are 0 for any alpha


def score(alpha: Array, truth: Array, *, matte: MatteChoice = "auto", fast: bool = False) -> Score:
    """Compares an alpha with the truth.

    Args:
        alpha: (H, W) uint8.
        truth: (H, W) uint8.
        matte: "auto" computes SAD, MSE, Grad and Conn for truths of more than two values, "always" for all.
        fast: Skip the slow measures (weighted F, Grad, Conn).

    Raises:
        InputError: The shapes differ.
        UnavailableError: pysodmetrics or SciPy is not installed.
    """
    is_matte = matte == "always" or (matte == "auto" and np.count_nonzero(np.bincount(truth.ravel())) > 2)
    curve = metrics.f_curve(alpha, truth)
    values: dict[str, float] = {}
    for measure in MEASURES:
        if (is_matte or not measure.of_matte) and not (fast and measure.slow):
            values[measure.key] = float(curve.max()) if measure.key == MAX_F else measure.function(alpha, truth)
    return Score(values, curve, not metrics.to_mask(truth).any())


def read_truth(pair: Pair, size: tuple[int, int]) -> Array:
    """The mask of a pair at the (height, width) of its image: (H, W) uint8. Raises InputError like ``read_mask``."""
    return resize_mask(read_mask(pair.mask), size)


def matte_of(engine: Engine, pair: Pair) -> tuple[NDArray[Any], Array]:
    """The image of a pair, (H, W, 3 or 4) uint8 RGB(A), and the engine's alpha for it, (H, W) uint8."""
    pixels = read_image(pair.image).pixels
    alpha: Array = engine.run(pixels)
    return pixels, alpha


@dataclass(frozen=True)
class ImageScore:
    """The score of an image of (height, width) ``size``."""

    pair: Pair
    size: tuple[int, int]
    score: Score

    @property
    def iou(self) -> float:
        """Its intersection over union."""
        return self.score.values["iou"]


@dataclass(frozen=True)
class Failure:
    """A pair that could not be evaluated, and why."""

    pair: Pair
    reason: str


@dataclass(frozen=True)
class ModelResult:
    """The results of a model on a set."""

    label: str  # a short name, unique in the evaluation
    sha256: str  # of the model's file, hexadecimal
    info: EngineInfo  # what the model ran on
    images: list[ImageScore]  # those that were evaluated, in the order of the set
    failures: list[Failure]

    def means(self, category: str | None = None) -> dict[str, float]:
        """The mean of each measure over the images (of a category); see `means`."""
        return means(self._of(category))

    def curve(self, category: str | None = None) -> Floats:
        """The mean F-measure at each of 256 levels, (256,)."""
        curve: Floats = np.mean([image.score.curve for image in self._of(category)], axis=0)
        return curve

    def counts(self, category: str | None = None) -> dict[str, int]:
        """The number of images ("images"), and of those whose truth is a matte ("mattes") or empty ("empty_truths")."""
        scores = [image.score for image in self._of(category)]
        return {
            "images": len(scores),
            "mattes": sum("sad" in score.values for score in scores),
            "empty_truths": sum(score.empty for score in scores),
        }

    def worst(self, count: int = 20) -> list[ImageScore]:
        """The images with the lowest IoU, the worst first."""
        return sorted(self.images, key=lambda image: image.iou)[:count]

    @functools.cached_property
    def categories(self) -> list[str]:
        """The categories of the images, sorted."""
        return sorted({image.pair.category for image in self.images})

    def _of(self, category: str | None) -> list[ImageScore]:
        return [image for image in self.images if category in (None, image.pair.category)]


@dataclass(frozen=True)
class Evaluation:
    """The results of several models on a set."""

    data: str  # the set, as the caller named it
    options: dict[str, Any]  # the other arguments, for the record
    models: list[ModelResult]  # in the order in which they were given

    @property
    def failures(self) -> list[Failure]:
        """The failures of all models, each pair and reason once."""
        failures = (failure for model in self.models for failure in model.failures)
        return list({(failure.pair.name, failure.reason): failure for failure in failures}.values())


@dataclass(frozen=True)
class Difference:
    """How much a model differs from another, on the images that both were evaluated on."""

    base: str  # label of the model to compare with
    other: str  # label of the model
    images: int  # number of images
    means: dict[str, float]  # other minus base, for each measure that both have
    iou_interval: tuple[float, float]  # confidence interval (95 %) of the difference of the mean IoU


def means(images: Iterable[ImageScore]) -> dict[str, float]:
    """The mean of each measure over the images that have it, in the order of ``MEASURES``.

    For the F-measure it is the maximum of the mean curve.
    """
    scores = [image.score for image in images]
    found: dict[str, float] = {}
    for measure in MEASURES:
        values = [score.values[measure.key] for score in scores if measure.key in score.values]
        if values:
            found[measure.key] = float(np.mean(values))
    if MAX_F in found:
        found[MAX_F] = float(np.mean([score.curve for score in scores], axis=0).max())
    return found


def compare(base: ModelResult, other: ModelResult) -> Difference | None:
    """Compares two models; None if no image was evaluated with both.

    The interval comes from a paired bootstrap: images are drawn with replacement 5,000 times (always the same ones),
    and the middle 95 % of the mean differences are reported. An interval that contains 0 means that the set is too
    small to tell the models apart.

    Source:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993 (percentile interval).
    """
    known = {image.pair.name: image for image in base.images}
    pairs = [(known[image.pair.name], image) for image in other.images if image.pair.name in known]
    if not pairs:
        return None
    first, second = means(a for a, _ in pairs), means(b for _, b in pairs)
    differences = np.array([b.iou - a.iou for a, b in pairs])
    generator = np.random.default_rng(0)
    drawn = [differences[generator.integers(len(pairs), size=len(pairs))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Difference(
        base=base.label,
        other=other.label,
        images=len(pairs),
        means={key: second[key] - first[key] for key in first if key in second},
        iou_interval=(float(low), float(high)),
    )


def most_different(evaluation: Evaluation, count: int = 20) -> list[list[ImageScore]]:
    """The images on which the models' IoU differ most, the most different first: the scores of all models for each."""
    tables = [{image.pair.name: image for image in model.images} for model in evaluation.models]
    common = [name for name in tables[0] if all(name in table for table in tables)]
    rows = [[table[name] for table in tables] for name in common]

    def spread(row: list[ImageScore]) -> float:
        values = [image.iou for image in row]
        return max(values) - min(values)

    return sorted(rows, key=spread, reverse=True)[:count]


def labels(models: Sequence[str | os.PathLike[str]]) -> list[str]:
    """A label for each model: its file name without suffix, after the name of its folder if others have the same.

    Args:
        models: As ``Engine`` takes them.
    """
    plain = [_clean(Path(model).stem) for model in models]
    counts = Counter(map(str.lower, plain))  # file systems may not distinguish A and a
    found = []
    seen: Counter[str] = Counter()
    for model, label in zip(models, plain, strict=True):
        if counts[label.lower()] > 1 and Path(model).name not in CATALOGUE:
            label = f"{_clean(Path(model).absolute().parent.name)}-{label}"
        seen[label.lower()] += 1
        found.append(label if seen[label.lower()] == 1 else f"{label}-{seen[label.lower()]}")
    return found


def _clean(name: str) -> str:
    return re.sub(r"[^\w.+=-]+", "_", name).strip(".")[:60] or "model"
