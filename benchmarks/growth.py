# SPDX-License-Identifier: Apache-2.0
"""Claim: time outside the network grows no faster than the pixels, and each of many images costs what one alone does.

Sizes: `rmbg-trt bench` measures frames of 480 to 2160 lines, from an array to alpha, interleaved. The claim is on the
median time outside the network of a size over that of the smallest, divided by the ratio of the pixels: at most 1.

Counts: copies of one photograph (1280x720, JPEG) become PNG cutouts by the folder job of `rmbg-trt image`, with an open
engine. A single image cannot overlap with another, so the time per image falls with the count. The claim is that it
rises by at most 5 % from the smallest count to the largest.

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
from rmbg_trt.bench import Bench, Settings
from rmbg_trt.folder_job import Task, run_tasks

MOST_GROWTH = 1.05


def of_sizes(model: str, repeats: int) -> dict[str, Any]:
    """How the time outside the network grows with the frame, as `rmbg-trt bench` measures it."""
    axes: dict[str, Any] = {"places": ("pageable",), "outputs": ("alpha",), "slots": (1,)}
    benchmark = Bench([model], Settings(**axes, repeats=repeats, cold_start=False, engine={"device": "cpu"}))
    benchmark.run()
    [found] = benchmark.report()["models"]
    if found["error"]:
        raise SystemExit(f"{model}: {found['error']}")
    scaling = found["scaling"]
    pixels, outside = scaling["megapixels"], scaling["outside_network"]["p50_ms"]
    growth = [ms / outside[0] / (count / pixels[0]) for ms, count in zip(outside, pixels, strict=True)]
    frames = {
        size: {
            "times_the_pixels": round(count / pixels[0], 2),
            "whole_ms": round(whole, 3),
            "outside_the_network_ms": round(ms, 3),
            "growth_beside_the_pixels": round(over, 4),
        }
        for size, count, whole, ms, over in zip(
            scaling["sizes"], pixels, scaling["end_to_end"]["p50_ms"], outside, growth, strict=True
        )
    }
    claim = "time outside the network, its growth over that of the pixels"
    return {"frames": frames, "bounds": {claim: bound(max(growth[1:]), at_most=1)}}


def of_counts(engine: Engine, counts: list[int], rounds: int) -> dict[str, Any]:
    """Milliseconds per image for each count, and the rise from the smallest count to the largest."""
    times: dict[int, list[float]] = {count: [] for count in counts}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photograph("astronaut", (1280, 720)).save(folder / "0.jpg", quality=92)
        for number in range(1, max(counts)):
            shutil.copy(folder / "0.jpg", folder / f"{number}.jpg")

        def run(count: int) -> float:
            tasks = [Task(folder / f"{number}.jpg", folder / f"{number}.png", "png") for number in range(count)]
            begin = time.perf_counter()
            outcomes = list(run_tasks(tasks, engine))
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
        "ms_per_image": {str(count): spread(each) for count, each in times.items()},
        "bounds": {f"time per image, of {counts[-1]} over of {counts[0]}": bound(rise, at_most=MOST_GROWTH)},
    }


def show(sizes: dict[str, Any], counts: dict[str, Any]) -> None:
    table = Table(title="Outside the network", title_justify="left")
    for column in ("frame", "times the pixels", "end to end, ms", "outside, ms", "growth over the pixels'"):
        table.add_column(column)
    for name, figure in sizes["frames"].items():
        table.add_row(name, *(f"{value:.4g}" for value in figure.values()))
    console.print(table)
    table = Table(title="Images to cutouts, files to files", title_justify="left")
    for column in ("images", "ms per image"):
        table.add_column(column)
    for count, figure in counts["ms_per_image"].items():
        table.add_row(count, shown(figure, 1))
    console.print(table)
    show_bounds({"sizes": sizes, "counts": counts})


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--model", default="u2netp", help="(default: %(default)s)")
    made.add_argument("--rounds", type=int, default=5, help="repeats of the sizes (default: %(default)s)")
    made.add_argument("--counts", type=int, nargs="+", default=[1, 5, 20, 50, 200], help="(default: 1 5 20 50 200)")
    made.add_argument("--count-rounds", type=int, default=3, help="(default: %(default)s)")
    options = made.parse_args()
    with Engine(options.model, device="cpu", color="rgb") as engine:
        console.print(str(engine.info), highlight=False)
        counts = of_counts(engine, sorted(options.counts), options.count_rounds)
    sizes = of_sizes(options.model, options.rounds)
    show(sizes, counts)
    save("growth", options, {"sizes": sizes, "counts": counts})


if __name__ == "__main__":
    main()
