# SPDX-License-Identifier: Apache-2.0
"""How fast an engine is on this machine: latency by stage and end to end, throughput, cold start, memory.

    bench = rmbg_trt.bench.Bench(["u2netp"], rmbg_trt.bench.QUICK)
    bench.run()
    report = bench.report()  # a dict for JSON; tables, plots and compare work on it

One file a noun: settings say what is measured; pictures are the frames, work takes them through the engine, closed_loop
and open_loop time that, cold_start does so in fresh processes; summary and figures turn times into figures, runner
leads through all of it.
"""

from __future__ import annotations

from .compare import Comparison, compare, read_report
from .runner import Bench
from .settings import FULL, OUTPUTS, PLACES, QUICK, SIZES, Configuration, Settings
from .summary import summarize

__all__ = [
    "FULL",
    "OUTPUTS",
    "PLACES",
    "QUICK",
    "SIZES",
    "Bench",
    "Comparison",
    "Configuration",
    "Settings",
    "compare",
    "read_report",
    "summarize",
]
