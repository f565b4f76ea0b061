# SPDX-License-Identifier: Apache-2.0
"""The child process of cold_start.py: takes JSON as its argument, and prints one line of JSON.

It runs as a file, so that nothing of the package is imported before the timing starts.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any


def resident() -> dict[str, float | None]:
    """Resident memory of this process now and at its peak, in MiB; None where it is not known."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return _resident_elsewhere()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    kib = {name: facts[name].split()[0] for name in ("VmRSS", "VmHWM") if name in facts}
    mib = {name: round(int(value) / 1024, 2) for name, value in kib.items()}
    return {"now": mib.get("VmRSS"), "peak": mib.get("VmHWM")}


def _resident_elsewhere() -> dict[str, float | None]:
    now = peak = None
    with contextlib.suppress(ImportError):
        now = round(importlib.import_module("psutil").Process().memory_info().rss / 2**20, 2)
    with contextlib.suppress(ImportError):
        import resource

        unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, else KiB
        peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 2)
    return {"now": now, "peak": peak}


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Imports the package, opens the engine and runs frames.

    Args:
        job: ``model``, ``engine`` (its options), ``size`` (height, width) and ``frames`` (how many).
    """
    memory = {"python": resident()["now"]}
    clock = [time.perf_counter()]
    from rmbg_trt import Engine

    clock.append(time.perf_counter())
    memory["imported"] = resident()["now"]
    import numpy as np

    noise = np.random.default_rng(1).integers(0, 256, 65521, dtype=np.uint8)
    frame = np.resize(noise, (*job["size"], 3))  # repeats the noise
    options = {**job["engine"], "size": job["engine"].get("size") and tuple(job["engine"]["size"])}
    clock.append(time.perf_counter())
    with Engine(job["model"], color="rgb", **options) as engine:
        clock.append(time.perf_counter())
        memory["engine"] = resident()["now"]
        engine.run(frame)
        clock.append(time.perf_counter())
        memory["first_frame"] = resident()["now"]
        for _ in range(job["frames"] - 1):
            begin = time.perf_counter()
            engine.run(frame)
            last_ms = 1e3 * (time.perf_counter() - begin)
        info = engine.info
        memory["all_frames"] = resident()["now"]
    steps = [1e3 * (after - before) for before, after in itertools.pairwise(clock)]
    return {
        "import_ms": steps[0],
        "engine_ms": steps[2],
        "first_frame_ms": steps[3],
        "later_frame_ms": last_ms,
        "memory_mib": {**memory, "peak": resident()["peak"]},
        "device_memory_mib": round(info.device_memory_bytes / 2**20, 2),
        "reason": info.reason,
    }


def main() -> None:
    """Measures what the argument asks for."""
    began = time.time_ns()
    job = json.loads(sys.argv[1])
    sys.path[:] = job["path"]
    try:
        found = measure(job)
    except Exception as error:  # the parent reports it
        found = {"error": str(error) or type(error).__name__}
    print(json.dumps({"began_ns": began, **found}), flush=True)


if __name__ == "__main__":
    main()
