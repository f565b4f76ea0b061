# SPDX-License-Identifier: Apache-2.0
"""Does the default precision on a CPU keep the mattes of the fp32 recipe, and is it the fastest choice?

Quality is measured against the reference recipe (Pillow, NumPy and ONNX Runtime in fp32) on photographs: mean |Δalpha|
of 255 and IoU of alpha >= 128, with and without the pixels that are within 4 of it in fp32. Times are of one 1920x1080
photograph from the frame to alpha; runs are interleaved. OpenVINO's bf16 was the default on processors with bfloat16
before; it is skipped where the processor has none.

python benchmarks/cpu_precision.py
python benchmarks/cpu_precision.py u2netp --images FOLDER --limit 25 --rounds 15
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import _report
import _timing
import numpy as np
from _photograph import photograph
from rich.table import Table

sys.path.insert(0, str(_report.ROOT))
from tests import reference  # the independent oracle

from rmbg_trt import Engine, UnavailableError, models
from rmbg_trt.image import read_image

DEFAULT = "default"
ENGINES: dict[str, dict[str, str]] = {
    DEFAULT: {},
    "native fp32": {"runtime": "native", "precision": "fp32"},
    "openvino fp32": {"runtime": "openvino", "precision": "fp32"},
    "native bf16": {"runtime": "native", "precision": "bf16"},
    "openvino bf16": {"runtime": "openvino", "precision": "bf16"},
}
MIN_IOU = 0.995


def main() -> None:
    parser = _report.parser(__doc__)
    parser.add_argument("models", nargs="*", default=["u2netp", "u2net"], help="catalogue names")
    parser.add_argument("--images", type=Path, help="folder of more photographs; their IoU is not bounded")
    parser.add_argument("--limit", type=int, default=25, help="photographs to take of it (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="timed runs of each (default: %(default)s)")
    options = parser.parse_args()
    figures = {}
    for model in options.models:
        figures[model] = measure(model, more_photographs(options.images, options.limit), options.rounds)
        show(model, figures[model])
    _report.save("cpu_precision", options, figures)


def more_photographs(folder: Path | None, limit: int) -> dict[str, Any]:
    if folder is None:
        return {}
    files = sorted(file for file in folder.iterdir() if file.is_file())[:limit]
    return {file.name: np.ascontiguousarray(read_image(file).pixels[:, :, :3]) for file in files}


def measure(model: str, more: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Quality and times of one model, and the bounds of the default."""
    path = models.pull(model)
    tested = {name: reference.photograph(name) for name in reference.PHOTOGRAPHS}
    expected = {name: reference.model_alpha(path, rgb) for name, rgb in (tested | more).items()}
    with ExitStack() as stack:
        engines = {}
        for name, options in ENGINES.items():
            try:
                engines[name] = stack.enter_context(Engine(model, device="cpu", color="rgb", slots=1, **options))
            except UnavailableError as error:
                _report.console.print(f"{name} is skipped: {error}", highlight=False)
        quality = {name: compare(engine, tested, expected) for name, engine in engines.items()}
        people = {name: compare(engine, more, expected) for name, engine in engines.items()} if more else None
        frame = np.asarray(photograph("astronaut", (1920, 1080)))
        runs = {name: lambda engine=engine: engine.run(frame) for name, engine in engines.items()}
        times = _timing.interleave(runs, rounds)
        told = {name: engine.info.reason for name, engine in engines.items()}
    fp32_ms = [min(a, b) for a, b in zip(times["native fp32"], times["openvino fp32"], strict=True)]
    others = {"the faster of native and OpenVINO in fp32": fp32_ms}
    if "openvino bf16" in times:
        others["openvino bf16, the default before"] = times["openvino bf16"]
    ratios = {name: _timing.ratio({"a": times[DEFAULT], "b": ms}, "a", "b") for name, ms in others.items()}
    return {
        "times": _timing.summary(times),
        "default over others": ratios,
        f"quality on {len(tested)} test photographs": quality,
        f"quality on {len(more)} more photographs": people,
        "chosen": told[DEFAULT],
        "bounds": {
            f"{model}, default: mean |Δalpha| of 255": _report.bound(quality[DEFAULT]["mean_alpha"], at_most=0.2),
            f"{model}, default: worst IoU": _report.bound(quality[DEFAULT]["worst_decided_iou"], at_least=MIN_IOU),
            **{
                f"{model}, default: of the time of {name}": _report.bound(ratio["median"], at_most=1.05)
                for name, ratio in ratios.items()
            },
        },
    }


def compare(engine: Engine, photographs: dict[str, Any], expected: dict[str, Any]) -> dict[str, float]:
    """Against the recipe, over all photographs."""
    differences, ious, decided = {}, {}, {}
    for name, rgb in photographs.items():
        got = engine.run(rgb)
        differences[name] = np.abs(got.astype(int) - expected[name])
        ious[name] = reference.iou(got, expected[name])
        decided[name] = reference.iou(got, expected[name], borderline=4)
    return {
        "mean_alpha": round(float(np.mean([each.mean() for each in differences.values()])), 4),
        "worst_mean_alpha": round(float(max(each.mean() for each in differences.values())), 4),
        "largest_difference": int(max(each.max() for each in differences.values())),
        "worst_iou": round(float(min(ious.values())), 4),
        "worst_decided_iou": round(float(min(decided.values())), 4),
        "mean_iou": round(float(np.mean(list(ious.values()))), 4),
    }


def show(model: str, figures: dict[str, Any]) -> None:
    quality = next(each for name, each in figures.items() if name.startswith("quality"))
    table = Table(
        "", "ms", "mean |Δα|", "worst |Δα|", "worst IoU", "of decided pixels", title=model, title_justify="left"
    )
    for name, each in quality.items():
        ms = _timing.shown(figures["times"][name], 0)
        table.add_row(
            name,
            ms,
            *(f"{each[key]:g}" for key in ("mean_alpha", "worst_mean_alpha", "worst_iou", "worst_decided_iou")),
        )
    _report.console.print(table)
    _report.console.print(f"  chosen: {figures['chosen']}", highlight=False)
    _report.show_bounds(figures)


if __name__ == "__main__":
    main()
