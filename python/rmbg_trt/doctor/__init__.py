# SPDX-License-Identifier: Apache-2.0
"""What this machine has, what is missing and how to get it, and whether the main job really works here.

`examine` collects facts and changes nothing; `trial_run` takes the background out of a picture. Nothing heavy is
imported to find out whether it is there. One file a noun: processor, nvidia, core, packages and cache hold facts, and
outside how they are read; advice follows from them, report holds all of it; trial is the main job.
"""

from __future__ import annotations

from .advice import advise
from .cache import Cache
from .core import Core
from .nvidia import (
    Gpu,
    Nvidia,
    driver_needed,
    find_nvcc,
    leading_number,
    parse_driver_file,
    parse_nvcc,
    parse_nvidia_smi,
)
from .packages import Package, find_package
from .processor import Processor, parse_cpu_quota, parse_cpuinfo, parse_sysctl
from .report import Report, examine
from .trial import Trial, check_alpha, trial_picture, trial_run

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
    "check_alpha",
    "driver_needed",
    "examine",
    "find_nvcc",
    "find_package",
    "leading_number",
    "parse_cpu_quota",
    "parse_cpuinfo",
    "parse_driver_file",
    "parse_nvcc",
    "parse_nvidia_smi",
    "parse_sysctl",
    "trial_picture",
    "trial_run",
]
