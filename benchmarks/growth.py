# SPDX-License-Identifier: Apache-2.0
"""Claim: what is not the network grows no faster than the pixels, and of many pictures each costs what one alone does.

Sizes: frames of 480 to 2160 lines go by turns through one engine, from an array to alpha. Outside the network is a
frame's whole time less the network's own, both as the core measures them. The claim is on the time of a size over that
of the smallest, divided by the pixels' ratio: at most 1.

Counts: so many files of one photograph (1280x720, JPEG) become PNG cutouts, in turns, by the folder job of `rmbg-trt
image` with an engine that is open. A first picture cannot overlap with another, so the time per picture falls with the
count; the claim is that from the smallest count to the largest it rises by no more than 5 %.

Needs scikit-image and the weights.

Examples:
  python benchmarks/growth.py
  python benchmarks/growth.py --model u2net --counts 1 20 --rounds 3 --no-save
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _photograph import photograph
from _report import bound, console, parser, save, show_bounds
from _timing import rest, shown, spread
from rich.table import Table

from rmbg_trt import Engine
from rmbg_trt.bench.work import StageLog
from rmbg_trt.folder_job import Options, Task, run_tasks

LINES = (480, 720, 1080, 1440, 2160)
MOST_GROWTH = 1.05


def of_sizes(engine: Engine, rounds: int) -> dict[str, Any]:
    """Milliseconds outside the network for each size, and how they grow beside the pixels."""
    frames = {lines: np.array(photograph("astronaut", (lines * 16 // 9, lines))) for lines in LINES}
    outside: dict[int, list[float]] = {lines: [] for lines in LINES}
    whole: dict[int, list[float]] = {lines: [] for lines in LINES}
    log = StageLog(engine)
    for turn in range(2 + rounds):
        for lines, frame in frames.items():
            rest()
            log.begin()
            begin = time.perf_counter()
            engine.run(frame)
            elapsed_ms = 1e3 * (time.perf_counter() - begin)
            if turn >= 2:
                whole[lines].append(elapsed_ms)
                outside[lines].append(elapsed_ms - log.times()[-1]["network_ms"])
    base = LINES[0]
    figures: dict[str, Any] = {}
    for lines in LINES:
        pixels = frames[lines].size / frames[base].size
        over = [a / b / pixels for a, b in zip(outside[lines], outside[base], strict=True)]
        figures[f"{frames[lines].shape[1]}x{lines}"] = {
            "times_the_pixels": round(pixels, 2),
            "whole_ms": spread(whole[lines]),
            "outside_the_network_ms": spread(outside[lines]),
            "growth_beside_the_pixels": spread(over),
        }
    larger = list(figures.values())[1:]
    growth = max(figure["growth_beside_the_pixels"]["median"] for figure in larger)
    claim = "time outside the network, its growth over that of the pixels"
    return {"frames": figures, "bounds": {claim: bound(growth, at_most=1)}}


def of_counts(engine: Engine, counts: list[int], rounds: int) -> dict[str, Any]:
    """Milliseconds a picture for each count, and the rise from the smallest count to the largest."""
    times: dict[int, list[float]] = {count: [] for count in counts}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photograph("astronaut", (1280, 720)).save(folder / "0.jpg", quality=92)
        for number in range(1, max(counts)):
            shutil.copy(folder / "0.jpg", folder / f"{number}.jpg")

        def run(count: int) -> float:
            tasks = [Task(folder / f"{number}.jpg", folder / f"{number}.png", "png") for number in range(count)]
            begin = time.perf_counter()
            outcomes = list(run_tasks(tasks, engine, Options("cutout")))
            elapsed_ms = 1e3 * (time.perf_counter() - begin)
            assert [outcome.error for outcome in outcomes] == [None] * count
            return elapsed_ms / count

        run(counts[0])
        for turn in range(rounds):
            for count in counts if turn % 2 == 0 else counts[::-1]:
                rest()
                times[count].append(run(count))
    rise = float(np.median(np.divide(times[counts[-1]], times[counts[0]])))
    return {
        "ms_a_picture": {str(count): spread(each) for count, each in times.items()},
        "bounds": {f"time a picture, of {counts[-1]} over of {counts[0]}": bound(rise, at_most=MOST_GROWTH)},
    }


def show(sizes: dict[str, Any], counts: dict[str, Any]) -> None:
    table = Table(title="Outside the network", title_justify="left")
    for column in ("frame", "whole, ms", "outside, ms", "growth beside the pixels'"):
        table.add_column(column)
    for name, figure in sizes["frames"].items():
        keys = ("whole_ms", "outside_the_network_ms", "growth_beside_the_pixels")
        table.add_row(name, *(shown(figure[key]) for key in keys))
    console.print(table)
    table = Table(title="Pictures to cutouts, files to files", title_justify="left")
    for column in ("pictures", "ms a picture"):
        table.add_column(column)
    for count, figure in counts["ms_a_picture"].items():
        table.add_row(count, shown(figure, 1))
    console.print(table)
    show_bounds({"sizes": sizes, "counts": counts})


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--model", default="u2netp", help="(default: %(default)s)")
    made.add_argument("--rounds", type=int, default=15, help="of the sizes (default: %(default)s)")
    made.add_argument("--counts", type=int, nargs="+", default=[1, 5, 20, 50, 200], help="(default: 1 5 20 50 200)")
    made.add_argument("--count-rounds", type=int, default=3, help="(default: %(default)s)")
    options = made.parse_args()
    with Engine(options.model, device="cpu", color="rgb") as engine:
        console.print(str(engine.info), highlight=False)
        sizes = of_sizes(engine, options.rounds)
        counts = of_counts(engine, sorted(options.counts), options.count_rounds)
    show(sizes, counts)
    save("growth", options, {"sizes": sizes, "counts": counts})


if __name__ == "__main__":
    main()
