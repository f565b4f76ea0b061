# SPDX-License-Identifier: Apache-2.0
"""A folder of mixed images to PNG cutouts by the programs' own commands: the whole time, start-up included."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _photograph import NAMES, photograph
from _report import bound, console, show_bounds
from _timing import ratio, shown, summary
from PIL import ImageOps
from rich.table import Table

from .children import WEIGHTS, provide_weights
from .commands import by_name, our_command, timed
from .contenders import OURS, installed
from .masks import agreement, alpha_of, worst

RIVAL = "rembg"
MOST = 0.45  # of its time


def commands(model: str, source: Path, target: Path) -> dict[str, list[str]]:
    rembg = by_name(RIVAL).python.with_name("rembg")
    return {
        OURS: [*our_command(), "image", str(source), "-o", str(target), "--model", str(WEIGHTS / f"{model}.onnx")],
        RIVAL: [str(rembg), "p", "-m", model, str(source), str(target)],
    }


def make_images(folder: Path, count: int) -> None:
    """Photographs in mixed sizes (the long side 400 to 3000), shapes, brightness and formats; always the same ones."""
    generator = np.random.default_rng(7)
    folder.mkdir()
    for number in range(count):
        long_side = int(np.exp(generator.uniform(np.log(400), np.log(3000))))
        short_side = int(long_side * generator.uniform(0.5, 1))
        upright = bool(generator.integers(2))
        image = photograph(NAMES[number % len(NAMES)], (short_side, long_side) if upright else (long_side, short_side))
        if generator.integers(2):
            image = ImageOps.mirror(image)
        gain = generator.uniform(0.6, 1)
        image = image.point([round(gain * value) for value in range(256)] * 3)
        suffix = generator.choice(["jpg", "png", "webp"], p=[0.8, 0.15, 0.05])
        image.save(folder / f"{number:04d}.{suffix}", quality=92)


def take_images(source: Path, folder: Path, count: int) -> None:
    """Links to the first `count` images of a folder of the user's."""
    suffixes = {".jpg", ".jpeg", ".png", ".webp"}
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in suffixes)[:count]
    if not found:
        raise SystemExit(f"{source}: no image ({', '.join(sorted(suffixes))}) in it")
    folder.mkdir()
    for number, path in enumerate(found):  # numbered: two in different folders may have one name
        (folder / f"{number:04d}{path.suffix.lower()}").symlink_to(path.resolve())


def run(command: list[str], name: str, target: Path) -> float:
    """Milliseconds of one command; what it makes replaces what is there."""
    shutil.rmtree(target, ignore_errors=True)
    elapsed_ms, said, code = timed(command, by_name(name), {"U2NET_HOME": str(WEIGHTS)})
    if code:
        raise SystemExit(f"{name} ended with code {code}: {said}")
    return elapsed_ms


def folder_task(model: str, options: Any) -> dict[str, Any]:
    """Times our folder command against rembg's, interleaved, and compares the alphas of all cutouts."""
    reason = by_name(RIVAL).why_not()
    if reason:
        console.print(f"folder task not run: {RIVAL}: {reason}", highlight=False)
        return {"not_run": {RIVAL: reason}}
    provide_weights(model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.folder:
            take_images(options.folder, folder / "images", options.count)
        else:
            make_images(folder / "images", options.count)
        take_images(folder / "images", folder / "one", 1)
        for each, command in commands(model, folder / "one", folder / "warm").items():
            run(command, each, folder / "warm")  # files into the system's cache, compiled Python
        times: dict[str, list[float]] = {each: [] for each in (OURS, RIVAL)}
        for _ in range(options.folder_rounds):
            for each in times:
                target = folder / each
                times[each].append(run(commands(model, folder / "images", target)[each], each, target))
        count = len(list((folder / "images").iterdir()))
        made = {each: sorted(path.name for path in (folder / each).rglob("*.png")) for each in times}
        both = sorted(set(made[OURS]) & set(made[RIVAL]))
        alike = [agreement(alpha_of(folder / OURS / each), alpha_of(folder / RIVAL / each)) for each in both]
    figures = {
        "rival": installed(by_name(RIVAL)),
        "images": count,
        "cutouts_made": {each: len(names) for each, names in made.items()},
        "times_of_the_folder": summary(times),
        "ours_is_times_as_fast_as_rembg": ratio(times, RIVAL, OURS),
        "bounds": {
            f"{model}: a folder to cutouts, of the time of {RIVAL}": bound(
                ratio(times, OURS, RIVAL)["median"], at_most=MOST
            )
        },
        "images_per_second": {each: round(1e3 * count / float(np.median(ms)), 3) for each, ms in times.items()},
        "agreement_of_the_cutouts": {"images": len(alike), "worst": worst(alike)} if alike else None,
    }
    show(model, figures)
    return figures


def show(model: str, figures: dict[str, Any]) -> None:
    title = f"{model}: {figures['images']} images to cutouts, start included"
    table = Table(title=title, title_justify="left")
    for column in ("", "seconds, median (quartiles)", "images/s", "cutouts made"):
        table.add_column(column)
    for name, figure in figures["times_of_the_folder"].items():
        seconds = {key: figure[key] / 1e3 for key in ("median", "p25", "p75")}
        made = str(figures["cutouts_made"][name])
        table.add_row(name, shown(seconds), str(figures["images_per_second"][name]), made)
    console.print(table)
    show_bounds(figures)
    console.print(f"ours is {shown(figures['ours_is_times_as_fast_as_rembg'])} times as fast; worst of the alphas: "
                  f"{figures['agreement_of_the_cutouts']}", highlight=False)  # fmt: skip
