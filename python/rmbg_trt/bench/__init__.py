# SPDX-License-Identifier: Apache-2.0
"""Measures how fast an engine is on this machine: latency by stage and end to end, throughput, cold start, memory.

    bench = rmbg_trt.bench.Bench(["u2netp"], rmbg_trt.bench.QUICK)
    bench.run()
    report = bench.report()  # a dict for JSON; tables, plots and compare work on it

`settings` say what to measure. `runner` does it: `work` makes frames and runs them, `loops` times them, and
`cold_start` starts fresh processes. `figures` turns the times into a report; `tables`, `plots` and `compare` show it.
"""

from __future__ import annotations

from .compare import Comparison, compare, read_report
from .figures import spread, summarize
from .runner import Bench
from .settings import FULL, OUTPUTS, PLACES, QUICK, SIZES, Configuration, Settings

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
    "spread",
    "summarize",
]
