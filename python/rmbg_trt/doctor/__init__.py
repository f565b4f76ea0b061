# SPDX-License-Identifier: Apache-2.0
"""What this machine has, what is missing and how to install it, and whether background removal works here.

`examine` collects facts and changes nothing; `trial_run` removes the background of a synthetic image.
"""

from __future__ import annotations

from .facts import Cache, Core, Gpu, Nvidia, Package, Processor, find_nvcc
from .report import Report, Trial, advise, examine, trial_run

__all__ = [
    "Cache",
    "Core",
    "Gpu",
    "Nvidia",
    "Package",
    "Processor",
    "Report",
    "Trial",
    "advise",
    "examine",
    "find_nvcc",
    "trial_run",
]
