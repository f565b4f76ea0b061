# SPDX-License-Identifier: Apache-2.0
"""Kills jobs at random moments: ``python -m tests.soak.kills image --times 100 --processes 2``.

A job is started again and again on one target and killed (SIGKILL) at a random moment; with several processes, each is.
After each kill no half file may stand under a final name; in the end one whole run must complete, and its results are
those of a run that nobody killed. Nothing of the killed ones may be left then.
"""

from __future__ import annotations

import argparse
import contextlib
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

ROOT = Path(__file__).parents[2]
COMMAND = "from rmbg_trt.cli import main; main()"
SMALL_UNET = f"""
from tests.training.small_unet import SmallUNet
from rmbg_trt.training.models.registry import ARCHITECTURES
ARCHITECTURES["unet"] = SmallUNet
{COMMAND}
"""
OPEN = """
import sys
import numpy as np
import rmbg_trt
with rmbg_trt.Engine(sys.argv[1], device="cpu") as engine:
    engine.run(np.zeros((48, 64, 3), np.uint8))
"""


class Job(NamedTuple):
    """``prepare`` makes the input in a folder; ``arguments`` run ``code`` from there into ``out``.

    ``next_run`` gives the arguments where the next run of a killed job is another command.
    """

    prepare: Callable[[Path], None]
    arguments: list[str]
    whole: Callable[[Path], bool]
    code: str = COMMAND
    next_run: Callable[[Path], list[str]] | None = None


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


def training_set(folder: Path) -> None:
    from tests.training.made_pairs import make_set

    make_set(folder / "in")


def resume(folder: Path) -> list[str]:
    started = (folder / "out" / "run" / "last.ckpt").exists()
    return ["train", "--resume", "out/run"] if started else JOBS["train"].arguments


def onnx_model(folder: Path) -> None:
    from tests import small_models

    small_models.matte(folder / "small.onnx", 48, 64)


def checkpoint(folder: Path) -> None:
    import torch
    from tests.training.small_unet import SmallUNet, small_unet

    from rmbg_trt.training.models import ModelConfig, save_checkpoint

    torch.manual_seed(0)  # each folder gets the same weights
    with small_unet():
        save_checkpoint(SmallUNet(), ModelConfig("unet", 1, (64, 64)), folder / "unet.safetensors")


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
    """By its content, where its kind tells; else it is not empty."""
    try:
        match path.suffix:
            case ".json":
                json.loads(path.read_bytes())
            case ".npy":
                np.load(path)
            case ".onnx":
                import onnx

                onnx.checker.check_model(onnx.load(path))
            case ".ckpt":
                import torch

                torch.load(path, weights_only=True)
            case ".safetensors":
                from safetensors.torch import load_file

                load_file(path)
    except Exception:  # whatever is raised for half a file
        return False
    return path.stat().st_size > 0


_SMALL = ["--model", "u2netp", "--size", "64", "--device", "cpu", "--runtime", "native", "--precision", "fp32"]
_SHORT = ["--model", "unet", "--epochs", "6", "--size", "48", "--batch", "2", "--workers", "0", "--device", "cpu"]
JOBS = {
    "image": Job(images, ["image", "in", "-o", "out", *_SMALL], whole_image),
    "video": Job(clip, ["video", "in.mp4", "-o", "out/out.mov", "--overwrite", *_SMALL], whole_clip),
    "export": Job(
        lambda folder: None,
        ["export", "u2netp", "-o", "out/u2netp.onnx", "--onnx-only", "--precision", "fp32", "--overwrite"],
        whole_file,
    ),
    "prepare": Job(pairs, ["prepare", "--pairs", "in/images", "in/masks", "-o", "out/set", "--overwrite"], whole_file),
    "train": Job(training_set, ["train", "in", "-o", "out/run", *_SHORT], whole_file, SMALL_UNET, resume),
    "cache": Job(onnx_model, ["small.onnx"], whole_file, OPEN),
    "convert": Job(checkpoint, ["unet.safetensors"], whole_file, SMALL_UNET.replace(COMMAND, OPEN)),
}
_HAS_OWN_CACHE = ("cache", "convert")
_COMPARED = (".png", ".csv", ".onnx", ".jpg", ".npy", ".safetensors")


def start(name: str, folder: Path) -> subprocess.Popen[bytes]:
    job = JOBS[name]
    (folder / "out").mkdir(exist_ok=True)
    home = os.environ.get("RMBG_TRT_HOME", str(Path.home() / ".cache" / "rmbg-trt"))
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    arguments = job.next_run(folder) if job.next_run else job.arguments
    return subprocess.Popen(
        [sys.executable, "-c", job.code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "RMBG_TRT_HOME": "out/cache" if name in _HAS_OWN_CACHE else home},
        stdout=subprocess.DEVNULL,
        stderr=(folder / "stderr.txt").open("ab"),
        start_new_session=True,
    )


def final_files(folder: Path) -> list[Path]:
    """What stands under a name that a user would take for a result."""
    files = (path for path in (folder / "out").rglob("*") if path.is_file())
    hidden = (".rmbg-", ".building-")
    return sorted(path for path in files if not any(part.startswith(hidden) for part in path.parts))


def left_over(folder: Path) -> list[str]:
    return [str(path) for path in (folder / "out").rglob(".rmbg-*")]


def digests(folder: Path) -> dict[str, str]:
    found = {}
    for path in final_files(folder):
        if path.suffix in _COMPARED:
            content = path.read_bytes()
            if path.name == "metrics.csv":  # without its times
                content = path.read_bytes().partition(b"\n")[0]
            found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.kills", description=__doc__)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--times", type=int, default=100, help="how many processes are killed")
    parser.add_argument("--processes", type=int, default=1, help="how many work on the target at once")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    job, dice = JOBS[options.job], random.Random(options.seed)
    base = Path(tempfile.mkdtemp(prefix="rmbg-kills-"))
    whole, killed = base / "whole", base / "killed"
    for folder in (whole, killed):
        folder.mkdir()
        job.prepare(folder)
    began = time.monotonic()
    if start(options.job, whole).wait() != 0:
        print(f"{options.job}: the run that nobody kills fails\n{(whole / 'stderr.txt').read_text()}", file=sys.stderr)
        return 2
    duration = time.monotonic() - began
    broken: list[str] = []
    kills = completed = 0
    while kills < options.times:
        processes = [start(options.job, killed) for _ in range(options.processes)]
        moments = sorted((dice.uniform(0, duration), process.pid) for process in processes)
        started = time.monotonic()
        for moment, pid in moments:
            time.sleep(max(0.0, started + moment - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.killpg(pid, signal.SIGKILL)
        codes = [process.wait() for process in processes]
        if 0 in codes:  # the first run may have been slow, as on a busy machine
            duration = max(0.9 * duration, 0.5)
        kills += sum(code == -signal.SIGKILL for code in codes)
        completed += sum(code == 0 for code in codes)
        broken += [str(path) for path in final_files(killed) if not job.whole(path)]
        if completed and dice.random() < 0.5:  # begin anew, else later runs find all work done
            shutil.rmtree(killed / "out")
            completed = 0
    last = start(options.job, killed).wait()
    same = digests(killed) == digests(whole)
    left = left_over(killed)
    result = {"job": options.job, "processes": options.processes, "kills": kills}
    figures = {"half files": broken, "last run": last, "same results": same, "left over": left}
    print(json.dumps({**result, "seconds": round(time.monotonic() - began, 1), **figures}))
    if last or broken or not same or left:
        print((killed / "stderr.txt").read_text()[-3000:], file=sys.stderr)
        return 1
    shutil.rmtree(base)
    return 0


if __name__ == "__main__":
    sys.exit(main())
