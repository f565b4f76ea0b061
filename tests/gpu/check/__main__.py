# SPDX-License-Identifier: Apache-2.0
"""Everything that needs a GPU, in three parts that each end in less than 8 minutes: `make gpu-check`.

  python3 tests/gpu/check                  # all three
  python3 tests/gpu/check tests            # the kernels' bytes, then all of tests/gpu, in parallel
  python3 tests/gpu/check latency          # latency at 1920x1080 beside what is claimed; does TensorRT-RTX run here?
  python3 tests/gpu/check sanitizer        # compute-sanitizer, more frame sizes, the video decoder

Results go to $OUT (default: build/gpu-check), each as soon as it is known. Environment: PYTHON (the interpreter to
use), RMBG_GPU_FRAMES (length of the endurance test), RMBG_GPU_PYTEST (more options for pytest), RMBG_GPU_SECONDS (limit
of a part), RMBG_GPU_REHEARSAL (a folder with a package built against tests/cuda_stand_in: runs everything on the CPU).
docs/gpu-notes.md has more.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import digest
from bundle import ROOT
from place import prepare
from runner import Runner
from steps import PARTS

SECONDS = 465  # of a part, so that it ends in less than 8 minutes


def check(part: str, out: Path) -> bool:
    """Runs one part. True if all of it passed."""
    limit = float(os.environ.get("RMBG_GPU_SECONDS", SECONDS))
    begin = time.time()
    runner = Runner(part, out, ROOT, limit)
    place = prepare(runner)
    if place is not None:
        for step in PARTS[part](place, out):
            runner.run(step)
    runner.say(f"\n=== {part}: results, in {out}")
    for outcome in runner.outcomes:
        runner.say(f"{outcome.result:26.60} {outcome.seconds:7.1f} s  {outcome.name}")
    for line in digest.lines(out, begin):
        runner.say(line)
    return not runner.failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all of them if none is given")
    parts = parser.parse_args().parts or list(PARTS)
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        parser.error(f"got {', '.join(unknown)}; expected {', '.join(PARTS)}")
    out = Path(os.environ.get("OUT") or ROOT / "build" / "gpu-check").resolve()
    passed = [check(part, out) for part in parts]
    print("all passed" if all(passed) else "FAILED", flush=True)
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
