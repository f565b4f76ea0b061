# SPDX-License-Identifier: Apache-2.0
"""Many pictures through one engine: what is to be done, the doing of it, and the folder that is watched.

engine = rmbg_trt.Engine("u2net", color="rgb")
plan = plan_tasks(["photos"], "cutouts")
for outcome in run_tasks(plan.tasks, engine):
    print(outcome.task.source, outcome.error or "done")
"""

from __future__ import annotations

from .plan import Plan, Task, is_done, plan_tasks
from .run import EngineLike, Options, Outcome, default_jobs, run_tasks
from .watch import watch_folders

__all__ = [
    "EngineLike",
    "Options",
    "Outcome",
    "Plan",
    "Task",
    "default_jobs",
    "is_done",
    "plan_tasks",
    "run_tasks",
    "watch_folders",
]
