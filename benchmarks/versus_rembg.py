# SPDX-License-Identifier: Apache-2.0
"""Claim: a 1920x1080 photograph to its mask, on the CPU, against rembg with the same weights.

By turns, in one process: rembg.remove(picture, session=..., only_mask=True) with its own CPU provider, and
rmbg_trt.Engine(model).run(picture), as they come and in fp32. Both get the same PIL image and give a PIL mask. The
masks are compared too, on three photographs: nobody may be faster by being wrong.

Needs rembg beside rmbg-trt: benchmarks/install_rivals.sh makes such an environment. The weights are the
catalogue's (fetched once); rembg is given them under its own file names and downloads nothing.

Examples:
  benchmarks/.venv-rivals/bin/python benchmarks/versus_rembg.py
  benchmarks/.venv-rivals/bin/python benchmarks/versus_rembg.py --models u2netp --rounds 9 --image photo.jpg
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from _photograph import NAMES, photograph, size
from _report import console, parser, save
from _timing import interleave, ratio, shown, summary
from PIL import Image
from rich.table import Table

from rmbg_trt import Engine, EngineInfo, models

RIVAL = "rembg"


def rembg_session(model: str, home: Path) -> Any:
    """A file of the right name in its folder is taken as it is; a hash is only checked after a download."""
    (home / f"{model}.onnx").symlink_to(models.pull(model).resolve())
    os.environ["U2NET_HOME"] = str(home)
    import rembg

    return rembg.new_session(model, providers=["CPUExecutionProvider"])


def agreement(mask: Image.Image, reference: Image.Image) -> dict[str, float]:
    """Differences of alpha, 0..255, and how far the two foregrounds (alpha >= 128) cover each other."""
    a, b = np.asarray(mask).astype(int), np.asarray(reference).astype(int)
    difference, inside_a, inside_b = np.abs(a - b), a >= 128, b >= 128
    union = np.count_nonzero(inside_a | inside_b)
    return {
        "mean_abs_alpha_of_255": round(float(difference.mean()), 5),
        "max_abs_alpha_of_255": int(difference.max()),
        "iou": round(np.count_nonzero(inside_a & inside_b) / union, 6) if union else 1.0,
    }


def described(info: EngineInfo) -> dict[str, Any]:
    return {key: getattr(info, key) for key in ("device", "runtime", "runtime_version", "precision", "reason")}


def compare(model: str, options: Any) -> dict[str, Any]:
    import rembg

    with ExitStack() as stack:
        session = rembg_session(model, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        engines = {"rmbg-trt": stack.enter_context(Engine(model))}
        if engines["rmbg-trt"].info.precision != "fp32":  # else both would be the same engine
            engines["rmbg-trt fp32"] = stack.enter_context(Engine(model, precision="fp32"))

        def remove(picture: Image.Image) -> Image.Image:
            return rembg.remove(picture, session=session, only_mask=True)

        picture = photograph(options.image or NAMES[0], options.size)
        runs = {RIVAL: lambda: remove(picture)}
        runs |= {name: lambda engine=engine: engine.run(picture) for name, engine in engines.items()}
        times = interleave(runs, options.rounds)
        pictures = [picture] if options.image else [photograph(name, options.size) for name in NAMES]
        references = [remove(each) for each in pictures]
        agreements = {
            name: [agreement(engine.run(each), reference) for each, reference in zip(pictures, references, strict=True)]
            for name, engine in engines.items()
        }
        stages = {name: engine.profile() for name, engine in engines.items()}
        engines_info = {name: described(engine.info) for name, engine in engines.items()}
    return {
        "times": summary(times),
        "times_as_fast_as_rembg": {name: ratio(times, RIVAL, name) for name in engines},
        "agreement_with_rembg": agreements,
        "engines": engines_info,
        "stages_ms": {name: {key: round(ms, 3) for key, ms in stage.items()} for name, stage in stages.items()},
    }


def show(model: str, figures: dict[str, Any]) -> None:
    table = Table(title=f"{model}: picture to mask", title_justify="left")
    for column in ("", "ms, median (quartiles)", "times as fast", "mean |d alpha|", "max", "IoU"):
        table.add_column(column)
    for name, time_ms in figures["times"].items():
        if name == RIVAL:
            table.add_row(name, shown(time_ms, 1), "1", "", "", "")
            continue
        masks = figures["agreement_with_rembg"][name]
        info = figures["engines"][name]
        table.add_row(
            f"{name}: {info['runtime']}, {info['precision']}",
            shown(time_ms, 1),
            shown(figures["times_as_fast_as_rembg"][name]),
            f"{max(mask['mean_abs_alpha_of_255'] for mask in masks):.4f}",
            str(max(mask["max_abs_alpha_of_255"] for mask in masks)),
            f"{min(mask['iou'] for mask in masks):.5f}",
        )
    console.print(table)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--models", nargs="+", default=["u2netp", "u2net"], choices=["u2netp", "u2net"])
    made.add_argument("--rounds", type=int, default=15, help="timed runs of each (default: %(default)s)")
    made.add_argument("--image", type=Path, help="a photograph of your own (default: scikit-image's astronaut)")
    made.add_argument("--size", type=size, default=(1920, 1080), metavar="WxH", help="(default: 1920x1080)")
    options = made.parse_args()
    figures = {}
    for model in options.models:
        figures[model] = compare(model, options)
        show(model, figures[model])
    save("versus_rembg", options, figures)


if __name__ == "__main__":
    main()
