# SPDX-License-Identifier: Apache-2.0
"""Cut out every photograph in a folder and its subfolders. Run it again to resume: finished images are skipped.

python examples/cut_out_folder.py export/photographs cutouts
"""

from __future__ import annotations

import argparse
import sys

import rmbg_trt
from rmbg_trt.folder_job import plan_tasks, run_tasks


def main() -> int:
    """Cut out a folder. Return 1 if an image failed; the others are done all the same."""
    parser = argparse.ArgumentParser(description="Cut out every photograph in a folder.")
    parser.add_argument("folder", help="the photographs")
    parser.add_argument("result", help="the folder to write to; it keeps the subfolders")
    parser.add_argument("--format", default="png", choices=["png", "webp", "tiff"])
    parser.add_argument("--model", default="u2net", help="u2net, u2netp (smaller and faster) or a model file")
    arguments = parser.parse_args()

    plan = plan_tasks([arguments.folder], arguments.result, format=arguments.format)
    print(f"{len(plan.tasks)} images to do, {plan.skipped} are done already")
    failed = 0
    with rmbg_trt.Engine(arguments.model, color="rgb") as engine:
        print(engine.info)
        # Reading, matting and writing overlap. Images arrive in the order in which they are finished.
        for outcome in run_tasks(plan.tasks, engine):
            failed += outcome.error is not None
            print(f"{outcome.task.source} -> {outcome.error or outcome.task.target}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
