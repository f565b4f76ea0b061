# SPDX-License-Identifier: Apache-2.0
"""What an evaluation found: the figures of each picture, their means for a set and its categories."""

from __future__ import annotations

import functools
import operator
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..catalogue import CATALOGUE
from ..engine_info import EngineInfo
from ..training.data import Pair
from ..training.metrics import Floats
from .measures import MAX_F, MEASURES, Score


@dataclass(frozen=True)
class PictureScore:
    """A picture, its size (height, width) and its figures."""

    pair: Pair
    size: tuple[int, int]
    score: Score


@dataclass(frozen=True)
class Failure:
    """A pair that could not be evaluated, and why."""

    pair: Pair
    reason: str


@dataclass(frozen=True)
class ModelResult:
    """One model over a set.

    Attributes:
        label: A short name, different for each model of an evaluation.
        sha256: Of the model's file, hexadecimal.
        info: What it ran on.
        pictures: Those that were evaluated, in the order of the set.
        failures: Those that could not be.
    """

    label: str
    sha256: str
    info: EngineInfo
    pictures: list[PictureScore]
    failures: list[Failure]

    def means(self, category: str | None = None) -> dict[str, float]:
        """Each measure's mean over the pictures that have it; of the F-measure, the mean curve's maximum.

        Args:
            category: Only pictures of this one.
        """
        return means(self._of(category))

    def curve(self, category: str | None = None) -> Floats:
        """The mean F-measure at each of 256 levels, (256,)."""
        curve: Floats = np.mean([each.score.curve for each in self._of(category)], axis=0)
        return curve

    def counts(self, category: str | None = None) -> dict[str, int]:
        """How many pictures there are ("pictures"), with a matte as truth, and with an empty truth."""
        scores = [each.score for each in self._of(category)]
        return {
            "pictures": len(scores),
            "mattes": sum("sad" in each.values for each in scores),
            "empty_truths": sum(each.empty for each in scores),
        }

    def worst(self, count: int = 20) -> list[PictureScore]:
        """The pictures of the lowest IoU, the worst first."""
        return sorted(self.pictures, key=lambda each: each.score.values["iou"])[:count]

    @functools.cached_property
    def categories(self) -> list[str]:
        """Of the pictures, sorted."""
        return sorted({each.pair.category for each in self.pictures})

    def _of(self, category: str | None) -> list[PictureScore]:
        return [each for each in self.pictures if category in (None, each.pair.category)]


@dataclass(frozen=True)
class Evaluation:
    """Some models over a set.

    Attributes:
        data: The set, as the caller named it.
        options: What else was asked for, for the record.
        models: In the order in which they were given.
    """

    data: str
    options: dict[str, Any]
    models: list[ModelResult]

    @property
    def failures(self) -> list[Failure]:
        """What any of the models could not be evaluated on, each pair and reason once."""
        seen: dict[tuple[str, str], Failure] = {}
        for failure in (each for model in self.models for each in model.failures):
            seen.setdefault((failure.pair.name, failure.reason), failure)
        return list(seen.values())


def means(pictures: Iterable[PictureScore]) -> dict[str, float]:
    """The mean of each measure over the pictures that have it, in the order of ``MEASURES``; see ``ModelResult``."""
    scores = [each.score for each in pictures]
    found: dict[str, float] = {}
    for key in map(operator.attrgetter("key"), MEASURES):
        values = [each.values[key] for each in scores if key in each.values]
        if values:
            found[key] = float(np.mean(values))
    if MAX_F in found:
        found[MAX_F] = float(np.mean([each.curve for each in scores], axis=0).max())
    return found


def labels(models: Sequence[str | os.PathLike[str]]) -> list[str]:
    """A label for each model: its name without folder and suffix; behind the folder's name where others have the same.

    Args:
        models: As ``Engine`` takes them.
    """
    plain = [_clean(Path(model).stem) for model in models]
    often = Counter(map(str.lower, plain))  # file systems may not tell A from a
    found = []
    seen: Counter[str] = Counter()
    for model, label in zip(models, plain, strict=True):
        if often[label.lower()] > 1 and Path(model).name not in CATALOGUE:
            label = f"{_clean(Path(model).absolute().parent.name)}-{label}"
        seen[label.lower()] += 1
        found.append(label if seen[label.lower()] == 1 else f"{label}-{seen[label.lower()]}")
    return found


def _clean(name: str) -> str:
    return re.sub(r"[^\w.+=-]+", "_", name).strip(".")[:60] or "model"
