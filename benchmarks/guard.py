# SPDX-License-Identifier: Apache-2.0
"""Has pre- or postprocessing become slower since the stored figures?

Each stage is interleaved with a fixed piece of work in Pillow, NumPy or Python, and the ratio is compared with the
stored one, so that the machine's speed and other load cancel. The network is a stub. A change counts if it is larger
than the quartiles of both measurements and than 10 %. The exit code is 0; with --strict it is 1 if something is slower.
Ratios of another kind of processor are not comparable; the table says if the stored ones are.

Needs scikit-image; no weights. `make bench-guard` runs it in the environment of the tests.

Examples:
  python benchmarks/guard.py
  python benchmarks/guard.py --store      (keeps these ratios in benchmarks/results/guard.json)
  python benchmarks/guard.py --strict --rounds 60
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from _photograph import photograph
from _report import RESULTS, console, machine, parser, save
from _stub import SIDE, Stub
from _timing import rest, shown, spread
from PIL import Image
from rich.table import Table

from rmbg_trt import Engine
from rmbg_trt.bench.work import StageLog
from rmbg_trt.image.png import encode_png

CLAIM = "guard"
WIDTH_HEIGHT = (1920, 1080)
LEAST = 0.10  # of the stored ratio; smaller changes never count
SMALL_FRAMES = 100  # in a round: the overhead is a few microseconds per frame
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])

Timed = Callable[[], float]


@dataclass(frozen=True)
class Fixed:
    """Work that does not change with this package."""

    name: str
    run: Timed


@dataclass(frozen=True)
class Part:
    """A stage, and the work that it is compared with."""

    name: str
    beside: Fixed
    run: Timed


def timed(work: Callable[[], object]) -> Timed:
    def run() -> float:
        begin = time.perf_counter()
        work()
        return 1e3 * (time.perf_counter() - begin)

    return run


def stage(engine: Engine, name: str, frame: np.ndarray, **options: Any) -> Timed:
    """Milliseconds of one stage of a frame, as the core measures it."""
    log = StageLog(engine)

    def run() -> float:
        log.begin()
        engine.run(frame, **options)
        return log.times()[-1][name]

    return run


def overhead(engine: Engine, frame: np.ndarray) -> Timed:
    """What a call costs in addition to the frame's time in the core."""
    log = StageLog(engine)

    def run() -> float:
        log.begin()
        whole = timed(lambda: [engine.run(frame) for _ in range(SMALL_FRAMES)])()
        return (whole - sum(each["total_ms"] for each in log.times())) / SMALL_FRAMES

    return run


def parts(stub: Stub) -> list[Part]:
    image = photograph("astronaut", WIDTH_HEIGHT)
    frame = np.array(image)
    matte = Image.fromarray(np.uint8(255 * stub.prediction[0, 0]))
    small = np.ascontiguousarray(frame[:64, :64])
    plain, refined, clean = stub.engine(), stub.engine(refine=True), stub.engine(decontaminate=True)
    cutout = plain.run(frame, output="cutout")
    cutout_image = Image.fromarray(cutout, "RGBA")

    def to_tensor() -> np.ndarray:
        pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS), np.float32)
        return np.ascontiguousarray(((pixels / 255 - MEAN) / STD).transpose(2, 0, 1))

    def to_mask() -> Image.Image:
        return matte.resize(WIDTH_HEIGHT, Image.Resampling.LANCZOS)

    def to_png() -> None:
        cutout_image.save(io.BytesIO(), "png", compress_level=1)

    down, up = Fixed("Pillow and NumPy", timed(to_tensor)), Fixed("Pillow's resize", timed(to_mask))
    python = Fixed("a loop in Python", timed(lambda: [number * number for number in range(20_000)]))
    after = "postprocess_ms"
    return [
        Part("preprocess", down, stage(plain, "preprocess_ms", frame)),
        Part("to alpha", up, stage(plain, after, frame)),
        Part("to a cutout", up, stage(plain, after, frame, output="cutout")),
        Part("over a color", up, stage(plain, after, frame, output="composite", background="green")),
        Part("to refined alpha", up, stage(refined, after, frame)),
        Part("to a decontaminated cutout", up, stage(clean, after, frame, output="cutout")),
        Part("overhead of a call", python, overhead(plain, small)),
        Part("a cutout as PNG", Fixed("Pillow's fastest PNG", timed(to_png)), timed(lambda: encode_png(cutout))),
    ]


def measure(rounds: int, warmup: int = 2) -> dict[str, dict[str, Any]]:
    """The spread of each part's ratio to the work beside it."""
    found = parts(Stub())
    ratios: dict[str, list[float]] = {part.name: [] for part in found}
    for turn in range(warmup + rounds):
        for part in found:
            rest()
            ours, fixed = part.run(), part.beside.run()
            if turn >= warmup:
                ratios[part.name].append(ours / fixed)
    return {part.name: {"beside": part.beside.name, "ratio": spread(ratios[part.name])} for part in found}


def verdict(now: dict[str, float], stored: dict[str, float]) -> tuple[float, str]:
    """The factor between the medians, and what it means."""
    factor = now["median"] / stored["median"]
    if factor > 1 + LEAST and now["p25"] > stored["p75"]:
        return factor, "slower"
    if factor < 1 - LEAST and now["p75"] < stored["p25"]:
        return factor, "faster"
    return factor, "same"


def compare(figures: dict[str, dict[str, Any]], stored: dict[str, Any] | None) -> list[str]:
    """Prints the table; the parts that are slower."""
    table = Table(title="Pre- and postprocessing, 1920x1080", title_justify="left")
    for column in ("", "its time over that of", "now (quartiles)", "stored", "factor", ""):
        table.add_column(column)
    slower = []
    for name, figure in figures.items():
        before = stored["figures"].get(name) if stored else None
        cells = [name, figure["beside"], shown(figure["ratio"], 3)]
        if before is not None:
            factor, said = verdict(figure["ratio"], before["ratio"])
            cells += [shown(before["ratio"], 3), f"{factor:.2f}", said]
            slower += [name] if said == "slower" else []
        table.add_row(*cells)
    console.print(table)
    if stored is None:
        console.print("nothing is stored yet: run it with --store")
    elif stored["machine"]["core_sees"] != machine()["core_sees"]:
        console.print(f"stored on another kind of processor ({stored['machine']['cpu']}): factors say little")
    return slower


def main() -> int:
    made = parser(__doc__, saves=False)
    made.add_argument("--rounds", type=int, default=20, help="of each part (default: %(default)s)")
    made.add_argument("--store", action="store_true", help="keep these figures to compare with")
    made.add_argument("--strict", action="store_true", help="exit code 1 where something is slower")
    options = made.parse_args()
    path = RESULTS / f"{CLAIM}{f'_{options.tag}' if options.tag else ''}.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    figures = measure(options.rounds)
    slower = compare(figures, stored)
    if options.store:
        save(CLAIM, options, figures)
    if slower:
        console.print(f"slower than stored: {', '.join(slower)}")
    return 1 if slower and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
