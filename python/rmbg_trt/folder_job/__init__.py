# SPDX-License-Identifier: Apache-2.0
"""Removes the background of many images with one engine: plans the work, runs it, and watches folders.

For example:

    engine = rmbg_trt.Engine("u2net", color="rgb")
    plan = plan_tasks(["photos"], "cutouts")
    for outcome in run_tasks(plan.tasks, engine):
        print(outcome.task.source, outcome.error or "done")
"""

from __future__ import annotations

from .plan import Plan, Skip, Task, is_done, plan_tasks
from .run import EngineLike, Options, Outcome, default_jobs, run_tasks
from .watch import watch_folders

__all__ = [
    "EngineLike",
    "Options",
    "Outcome",
    "Plan",
    "Skip",
    "Task",
    "default_jobs",
    "is_done",
    "plan_tasks",
    "run_tasks",
    "watch_folders",
]
