# SPDX-License-Identifier: Apache-2.0
"""Kills jobs at random moments: ``python -m tests.soak.kills image --times 100``.

A job is started again and again on one target and killed (SIGKILL) at a random moment. After each kill no half file may
stand under a final name; in the end one whole run must complete, and its results are those of a run that nobody killed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tests import make

COMMAND = [sys.executable, "-c", "from rmbg_trt.cli import main; main()"]


class Job(NamedTuple):
    """``prepare`` makes the input in a folder; ``arguments`` run it from there into ``out``."""

    prepare: Callable[[Path], None]
    arguments: list[str]
    whole: Callable[[Path], bool]


def images(folder: Path) -> None:
    (folder / "in").mkdir()
    for number in range(12):
        Image.fromarray(make.noise(90, 120, 3, seed=number)).save(folder / "in" / f"{number:02d}.png")


def clip(folder: Path) -> None:
    from tests.video.clips import make_clip

    make_clip(folder / "in.mp4", 40)


def pairs(folder: Path) -> None:
    for kind in ("images", "masks"):
        (folder / "in" / kind).mkdir(parents=True)
    for number in range(20):
        Image.fromarray(make.noise(90, 120, 3, seed=number)).save(folder / "in" / "images" / f"{number:02d}.jpg")
        mask = np.zeros((90, 120), np.uint8)
        mask[20:60, 10 + number : 80] = 255
        Image.fromarray(mask).save(folder / "in" / "masks" / f"{number:02d}.png")


def whole_image(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.load()
        return True
    except OSError:
        return False


def whole_clip(path: Path) -> bool:
    import av

    try:
        with av.open(str(path)) as container:
            return sum(1 for _ in container.decode(video=0)) == 40
    except (OSError, av.FFmpegError):
        return False


def whole_file(path: Path) -> bool:
    return path.stat().st_size > 0


_SMALL = ["--model", "u2netp", "--size", "64", "--device", "cpu", "--runtime", "native", "--precision", "fp32"]
JOBS = {
    "image": Job(images, ["image", "in", "-o", "out", *_SMALL], whole_image),
    "video": Job(clip, ["video", "in.mp4", "-o", "out/out.mov", "--overwrite", *_SMALL], whole_clip),
    "export": Job(
        lambda folder: None,
        ["export", "u2netp", "-o", "out/u2netp.onnx", "--onnx-only", "--precision", "fp32", "--overwrite"],
        whole_file,
    ),
    "prepare": Job(pairs, ["prepare", "--pairs", "in/images", "in/masks", "-o", "out/set", "--overwrite"], whole_file),
}


def start(job: Job, folder: Path) -> subprocess.Popen[bytes]:
    (folder / "out").mkdir(exist_ok=True)
    home = {"RMBG_TRT_HOME": os.environ.get("RMBG_TRT_HOME", str(Path.home() / ".cache" / "rmbg-trt"))}
    return subprocess.Popen(
        [*COMMAND, *job.arguments],
        cwd=folder,
        env={**os.environ, **home},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def final_files(folder: Path) -> list[Path]:
    """What stands under a name that a user would take for a result."""
    files = (path for path in (folder / "out").rglob("*") if path.is_file())
    return sorted(path for path in files if not path.name.startswith(".") and ".part" not in path.name)


def digests(folder: Path) -> dict[str, str]:
    found = {}
    for path in final_files(folder):
        if path.suffix in (".png", ".csv", ".onnx", ".jpg"):
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.kills", description=__doc__)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    job, dice = JOBS[options.job], random.Random(options.seed)
    base = Path(tempfile.mkdtemp(prefix="rmbg-kills-"))
    whole, killed = base / "whole", base / "killed"
    for folder in (whole, killed):
        folder.mkdir()
        job.prepare(folder)
    began = time.monotonic()
    if start(job, whole).wait() != 0:
        print(f"{options.job}: the run that nobody kills fails", file=sys.stderr)
        return 2
    duration = time.monotonic() - began
    broken: list[str] = []
    completed = 0
    for _ in range(options.times):
        process = start(job, killed)
        time.sleep(dice.uniform(0, 1.1 * duration))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            completed += 1
        process.wait()
        broken += [str(path) for path in final_files(killed) if not job.whole(path)]
        if completed and dice.random() < 0.5:  # begin anew, else later runs find all work done
            shutil.rmtree(killed / "out")
            completed = 0
    last = start(job, killed).wait()
    same = digests(killed) == digests(whole)
    left = [str(path) for path in (killed / "out").rglob("*") if ".part" in path.name]
    result = {"job": options.job, "kills": options.times, "seconds": round(time.monotonic() - began, 1)}
    print(json.dumps({**result, "half files": broken, "last run": last, "same results": same, "left over": left}))
    shutil.rmtree(base)
    return int(bool(broken) or last != 0 or not same)


if __name__ == "__main__":
    sys.exit(main())
