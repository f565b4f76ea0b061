# SPDX-License-Identifier: Apache-2.0
"""Long runs that must leave nothing behind: ``python -m tests.soak frames``. Prints one line of JSON for each run.

``frames``: frames of changing size, format and options through one engine with a network that costs nothing.
``network``: the same with u2netp. ``engines``: engines opened, used and closed. ``threads``: 16 threads on one engine.
Memory, threads and open files are compared with those after a tenth of the run. Exit code 1: something grew.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tests import fakes

from rmbg_trt import Engine, engine, models
from rmbg_trt.runtimes.request import Opened

LIMIT_MIB = 5.0
COUNTS = {"frames": 1_000_000, "network": 10_000, "engines": 1_000, "threads": 100_000}


def resident_mib() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def state() -> dict[str, float]:
    return {
        "resident_mib": round(resident_mib(), 2),
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "files": len(list(Path("/proc/self/fd").iterdir())),
    }


def stub_engine(slots: int = 2) -> Engine:
    """An engine whose network takes no time: it gives what it was given."""
    kept = engine.open_network
    size = (24, 32)
    networks = [fakes.network(lambda x: x[0, 0] * 0.2 + 0.5, size) for _ in range(slots)]
    engine.open_network = lambda path, **_: (Opened(networks, "stub", "1", "a stub", "fp32", "soak"), "soak")
    try:
        return Engine(models.resolve("u2netp"), slots=slots)
    finally:
        engine.open_network = kept


def frames_and_options(seed: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Frames of any size up to 96, gray, colour or with alpha, and any options that they may have."""
    random = np.random.default_rng(seed)
    pool = random.integers(0, 256, 200_000, dtype=np.uint8)
    sizes = random.integers(1, 96, (4096, 2))
    picks = random.integers(0, 2**31, 4096)
    for number in range(2**62):
        (height, width), pick = sizes[number % 4096], int(picks[(number * 7) % 4096])
        channels = (1, 3, 4)[pick % 3]
        start = pick % 1000
        frame = pool[start : start + height * width * channels].reshape(height, width, channels)
        output = ("alpha", "cutout", "composite")[pick // 3 % 3]
        options: dict[str, Any] = {"output": output}
        if output == "composite":
            options["background"] = ((1, 2, 3), "blur", frame[:, :, :1].repeat(3, 2))[pick // 9 % 3]
        if output != "alpha":
            options["decontaminate"] = pick // 27 % 5 == 0
        options["refine"] = pick // 135 % 5 == 0
        yield (frame[:, :, 0] if channels == 1 else frame), options


def soak_frames(count: int, opened: Engine, check: Callable[[int], None]) -> None:
    for number, (frame, options) in enumerate(frames_and_options(0)):
        if number == count:
            return
        opened.run(frame, **options)
        check(number)


def soak_engines(count: int, check: Callable[[int], None]) -> None:
    frame = np.zeros((40, 60, 3), np.uint8)
    for number in range(count):
        with Engine("u2netp", runtime="native", precision="fp32", size=32) as opened:
            opened.run(frame)
            opened.submit(frame).result()
        check(number)


def soak_threads(count: int, opened: Engine, check: Callable[[int], None]) -> None:
    def work(seed: int) -> None:
        for number, (frame, options) in enumerate(frames_and_options(seed)):
            if number == part:
                return
            opened.run(frame, **options)

    rounds = 20
    part = max(count // rounds // 16, 1)
    for number in range(rounds):
        workers = [threading.Thread(target=work, args=(16 * number + i,)) for i in range(16)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        check(number * count // rounds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("run", choices=COUNTS)
    parser.add_argument("--count", type=int, help="frames or engines")
    options = parser.parse_args()
    count = options.count or COUNTS[options.run]
    warm: dict[str, float] = {}
    began = time.monotonic()

    def check(number: int) -> None:
        if not warm and number >= count // 10:
            warm.update(state())

    if options.run == "engines":
        soak_engines(count, check)
    else:
        with stub_engine() if options.run != "network" else Engine("u2netp", runtime="native", size=64) as opened:
            (soak_threads if options.run == "threads" else soak_frames)(count, opened, check)
            after = state()
    after = state() if options.run == "engines" else after
    grown = after["resident_mib"] - warm["resident_mib"]
    bad = grown > LIMIT_MIB or after["threads"] > warm["threads"] or after["files"] > warm["files"]
    result = {"run": options.run, "count": count, "seconds": round(time.monotonic() - began, 1), "warm": warm}
    print(json.dumps({**result, "after": after, "grown_mib": round(grown, 2), "flat": not bad}))
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
