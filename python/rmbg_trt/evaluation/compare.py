# SPDX-License-Identifier: Apache-2.0
"""Two models side by side, on the pictures that both were evaluated on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .result import Evaluation, ModelResult, PictureScore, means

RESAMPLES = 5000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """How much a model differs from another.

    Attributes:
        base: Label of the model that is compared with.
        other: Label of the model.
        pictures: How many both were evaluated on; only these count here.
        means: Of each measure that both have: other minus base.
        iou_interval: In what range the difference of the mean IoU lies, with a confidence of 95 %.
    """

    base: str
    other: str
    pictures: int
    means: dict[str, float]
    iou_interval: tuple[float, float]


def compare(base: ModelResult, other: ModelResult) -> Difference | None:
    """Compares two models; None if no picture was evaluated with both.

    The interval is from a paired bootstrap: pictures are drawn again with replacement, 5,000 times (always the same
    ones), and the middle 95 % of the mean differences are given. An interval that holds 0 says that the set is too
    small to tell the models apart.

    Source:
        Efron and Tibshirani, "An Introduction to the Bootstrap", 1993 (percentile interval).
    """
    known = {each.pair.name: each for each in base.pictures}
    pairs = [(known[each.pair.name], each) for each in other.pictures if each.pair.name in known]
    if not pairs:
        return None
    first, second = means(a for a, _ in pairs), means(b for _, b in pairs)
    differences = np.array([b.score.values["iou"] - a.score.values["iou"] for a, b in pairs])
    generator = np.random.default_rng(0)
    drawn = [differences[generator.integers(len(pairs), size=len(pairs))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Difference(
        base=base.label,
        other=other.label,
        pictures=len(pairs),
        means={key: second[key] - first[key] for key in first if key in second},
        iou_interval=(float(low), float(high)),
    )


def most_different(evaluation: Evaluation, count: int = 20) -> list[list[PictureScore]]:
    """The pictures on which the models' IoU differ most, the most different first; each with every model's score."""
    tables = [{each.pair.name: each for each in model.pictures} for model in evaluation.models]
    common = [name for name in tables[0] if all(name in table for table in tables)]
    rows = [[table[name] for table in tables] for name in common]

    def spread(row: list[PictureScore]) -> float:
        values = [each.score.values["iou"] for each in row]
        return max(values) - min(values)

    return sorted(rows, key=spread, reverse=True)[:count]
