# SPDX-License-Identifier: Apache-2.0
"""Measures models on images with masks: ``evaluate`` runs them through ``rmbg_trt.Engine`` and scores the alphas.

So the measured code is what users run: the same reading, resizing, network and stretching.
"""

from __future__ import annotations

from ..training.data import pair_folders
from .job import evaluate
from .result import MEASURES, Difference, Evaluation, Failure, ImageScore, Measure, ModelResult, Score, compare, score

__all__ = [
    "MEASURES",
    "Difference",
    "Evaluation",
    "Failure",
    "ImageScore",
    "Measure",
    "ModelResult",
    "Score",
    "compare",
    "evaluate",
    "pair_folders",
    "score",
]
