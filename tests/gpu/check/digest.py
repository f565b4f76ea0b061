# SPDX-License-Identifier: Apache-2.0
"""The results of a check in a few lines, from the files that its steps wrote, finished or not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHOWN = 20  # failures


def read_lines(path: Path) -> list[dict[str, Any]]:
    """JSON lines; a last one that was cut off is passed over."""
    found = []
    for line in path.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def of_tests(path: Path) -> Iterator[str]:
    results = read_lines(path)
    counts = Counter(each["outcome"] for each in results)
    yield f"tests, {path.stem}: " + (", ".join(f"{count} {name}" for name, count in counts.items()) or "none ended")
    failed = [each for each in results if each["outcome"] == "failed"]
    for each in failed[:SHOWN]:
        yield f"  FAILED {each['test']}: {each['message'][-160:]}"
    if len(failed) > SHOWN:
        yield f"  and {len(failed) - SHOWN} more"


def of_latency(path: Path) -> Iterator[str]:
    figures = json.loads(path.read_text())["figures"]
    for size, found in figures.items():
        if "stages_of_device_frames" not in found:
            continue
        of, host = found["stages_of_device_frames"], found["host_frames"]
        stages = ", ".join(
            f"{each} {of[f'{each}_us']['median']:.4g}" for each in ("preprocess", "network", "postprocess")
        )
        frame = ", ".join(f"{kind} {times['median']:.4g}" for kind, times in host.items())
        rate = f"{found['frames_per_second']:.4g} frames/s"
        yield f"{path.stem}, {size}: µs {stages}; ms {frame}; {rate}; {found['mode']}"
        for claim, bound in found.get("bounds", {}).items():
            asked = " ".join(f"{name} {bound[name]:g}" for name in ("at_most", "at_least") if name in bound)
            yield f"  {'met   ' if bound['met'] else 'MISSED'} {claim}: {bound['is']:g} {bound['unit']} ({asked})"


def of_rtx(path: Path) -> Iterator[str]:
    """The last word on each plan: what was to come "next" crashed, or took too long."""
    yield "TensorRT-RTX (all messages are in the log):"
    last = {(each["target"], each["user allocation"]): each for each in read_lines(path)}
    for (target, user_allocation), found in last.items():
        facts = ", ".join(f"{name}: {str(value)[:160]}" for name, value in list(found.items())[2:])
        yield f"  {target}{', REQUIRE_USER_ALLOCATION' if user_allocation else ''}: {facts}"


def lines(out: Path, since: float) -> Iterator[str]:
    """Of the files that were written since a time, in seconds of the system's clock."""
    for path in sorted(out.glob("*.json*")):
        if path.stat().st_mtime < since:
            continue
        if path.suffix == ".jsonl":
            yield from of_rtx(path) if path.stem == "rtx" else of_tests(path)
        elif path.stem.startswith("gpu_latency"):
            yield from of_latency(path)
