# SPDX-License-Identifier: Apache-2.0
"""How good a model is on a set of pictures with masks: ``evaluate`` runs it through ``rmbg_trt.Engine`` and scores it.

What is evaluated is what ships: the same reading, resizing, network and stretching.
"""

from __future__ import annotations

from ..training.data.folders import pair_folders
from .compare import Difference, compare
from .job import evaluate
from .measures import MEASURES, Measure, Score, score
from .result import Evaluation, Failure, ModelResult, PictureScore

__all__ = [
    "MEASURES",
    "Difference",
    "Evaluation",
    "Failure",
    "Measure",
    "ModelResult",
    "PictureScore",
    "Score",
    "compare",
    "evaluate",
    "pair_folders",
    "score",
]
