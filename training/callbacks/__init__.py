# SPDX-License-Identifier: Apache-2.0
"""Callbacks of a training run: weight averaging, checkpoints, records, previews, progress, and early stops."""

from __future__ import annotations

from .average import Average
from .checkpoints import AtomicCheckpoints, Checkpoints
from .previews import Previews
from .progress import Bar, Lines
from .record import Record
from .stops import DivergenceGuard, Interrupt, InterruptedRun, NanGuard

__all__ = [
    "AtomicCheckpoints",
    "Average",
    "Bar",
    "Checkpoints",
    "DivergenceGuard",
    "Interrupt",
    "InterruptedRun",
    "Lines",
    "NanGuard",
    "Previews",
    "Record",
]
