# SPDX-License-Identifier: Apache-2.0
"""What each part of the check runs, the most valuable first."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from place import Place
from runner import Step

TARGETS = ("none", "CURRENT", "SM80", "SM89", "SM120")
FOUR_TOOLS = (("memcheck", 140), ("racecheck", 140), ("initcheck", 90), ("synccheck", 90))


def pytest(place: Place, out: Path, name: str, seconds: float, *arguments: str, workers: int = 0) -> Step:
    """A run of pytest that notes each test in {name}.jsonl as it ends (tests/gpu/conftest.py)."""
    command = place.module("pytest", "-p", "no:cacheprovider", "-v", "--tb=short", "--override-ini=timeout=120")
    if workers > 1:
        # A worker that hangs is ended, and another takes its place.
        command += ["--numprocesses", str(workers), "--timeout-method=thread"]
    if place.rehearsal:
        command += ["--ignore=tests/gpu/test_devices.py"]  # it asks the driver
    results = out / f"{name}.jsonl"
    results.unlink(missing_ok=True)
    more = shlex.split(os.environ.get("RMBG_GPU_PYTEST", ""))
    return Step(name, [*command, *arguments, *more], seconds, {**place.environment, "RMBG_GPU_RESULTS": str(results)})


def tests(place: Place, out: Path) -> Iterator[Step]:
    """The kernels' bytes first, then everything, in parallel."""
    frames = {"RMBG_GPU_FRAMES": os.environ.get("RMBG_GPU_FRAMES", "1000")}
    workers = min(8, os.cpu_count() or 1) if place.shared and place.has("xdist") else 0
    first = "tests/gpu/test_ops.py"
    yield pytest(place, out, "ops", 150, first, workers=workers)
    step = pytest(place, out, "all", 330, "tests/gpu", f"--ignore={first}", workers=workers)
    yield Step(step.name, step.command, step.seconds, {**step.environment, **frames})


def latency_of(place: Place, out: Path, network: str, sizes: str, seconds: float) -> Step:
    tag = Path(network).stem.replace("-", "_") + ("" if sizes == "1080p" else "_more")
    command = [place.python, "benchmarks/gpu_latency.py", "--network", network, "--tag", tag]
    command += ["--sizes", "120p", "--side", "16", "--rounds", "1"] if place.rehearsal else ["--sizes", sizes]
    name = f"latency of {network}, {sizes.replace(',', ', ')}"
    return Step(name, command, seconds, {**place.environment, "RMBG_RESULTS": str(out)})


def networks(place: Place) -> tuple[str, ...]:
    return ("copy", "random-u2net") if place.has("torch") and not place.rehearsal else ("copy",)


def latency(place: Place, out: Path) -> Iterator[Step]:
    """The claims at 1920x1080, then the probe of TensorRT-RTX: a process for each target, for one may crash."""
    for network in networks(place):
        yield latency_of(place, out, network, "1080p", 180)
    results = out / "rtx.jsonl"
    results.unlink(missing_ok=True)
    for target in TARGETS:
        command = place.module("tests.gpu.rtx_probe", target)
        yield Step(f"TensorRT-RTX, {target}", command, 60, {**place.environment, "RMBG_GPU_RESULTS": str(results)})


def sanitizer(place: Place, out: Path) -> Iterator[Step]:
    """Every kernel under compute-sanitizer, then what the others left: more sizes, the decoder, two more tools."""
    run = place.module("tests.gpu.sanitizer_run")
    yield Step("every kernel is launched", [*run, "--count"], 90, place.environment)
    program = place.find("compute-sanitizer")
    steps = []
    for tool, seconds in FOUR_TOOLS:
        watched = [str(program), "--tool", tool, "--error-exitcode", "9", "--print-limit", "20", *run]
        watched += ["NV12"] if place.rehearsal else []
        if program is None:
            watched = ["sh", "-c", "echo compute-sanitizer is not on PATH, nor in /usr/local/cuda/bin; exit 1"]
        steps.append(Step(f"compute-sanitizer {tool}", watched, seconds, place.environment))
    yield from steps[:2]
    for network in networks(place):
        yield latency_of(place, out, network, "2160p,720p,480p", 100)
    if place.has("av") and not place.rehearsal:
        yield pytest(place, out, "decoder", 60, "tests/gpu/test_decoder.py")
    yield from steps[2:]


PARTS = {"tests": tests, "latency": latency, "sanitizer": sanitizer}
