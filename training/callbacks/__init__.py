# SPDX-License-Identifier: Apache-2.0
"""What happens beside the steps of a training run: checkpoints, records, pictures, and the stop in an emergency."""

from __future__ import annotations

from .average import Average
from .checkpoints import AtomicCheckpoints, Checkpoints
from .interrupt import Interrupt, InterruptedRun
from .nan_guard import NanGuard
from .pictures import Pictures
from .progress import Bar
from .record import Record

__all__ = [
    "AtomicCheckpoints",
    "Average",
    "Bar",
    "Checkpoints",
    "Interrupt",
    "InterruptedRun",
    "NanGuard",
    "Pictures",
    "Record",
]
