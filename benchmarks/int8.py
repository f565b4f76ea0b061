# SPDX-License-Identifier: Apache-2.0
"""What int8 costs in quality and gains in time on the CPU, against fp32 of our own network and of OpenVINO.

Quality is that of the engine's mattes on images with masks: mean IoU of alpha >= 128, and mean absolute error.
Times are of one 1920x1080 photograph from the frame to alpha, interleaved.

python benchmarks/int8.py --images val/images --masks val/masks
python benchmarks/int8.py u2netp --images val/images --masks val/masks --calibration train --rounds 9
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import _report
import _timing
import numpy as np
from _photograph import photograph
from rich.table import Table

from rmbg_trt import Engine
from rmbg_trt.evaluation import pair_folders
from rmbg_trt.evaluation.job import read_truth
from rmbg_trt.image import read_image
from rmbg_trt.training import metrics
from rmbg_trt.training.data import Pair

NATIVE, OPENVINO, INT8 = "native fp32", "openvino fp32", "int8"


def main() -> None:
    parser = _report.parser(__doc__)
    parser.add_argument("models", nargs="*", default=["u2netp", "u2net"], help="catalogue names, or files")
    parser.add_argument("--images", type=Path, help="folder of photographs")
    parser.add_argument("--masks", type=Path, help="folder of their masks, of the same names")
    parser.add_argument("--limit", type=int, default=1000, help="pairs to take (default: all)")
    parser.add_argument("--calibration", type=Path, help="as Engine takes it; default: the package's photographs")
    parser.add_argument("--rounds", type=int, default=9, help="timed runs of each (default: %(default)s)")
    options = parser.parse_args()
    if (options.images is None) != (options.masks is None):
        parser.error("--images and --masks go together")
    pairs = pair_folders(options.images, options.masks)[: options.limit] if options.images else []
    figures = {}
    for model in options.models:
        figures[model] = measure(model, pairs, options.calibration, options.rounds)
        show(model, figures[model])
    _report.save("int8", options, {"images": len(pairs), **figures})


def measure(model: str, pairs: list[Pair], calibration: Path | None, rounds: int) -> dict[str, Any]:
    """Times and quality of one model."""
    common: dict[str, Any] = {"device": "cpu", "slots": 1, "color": "rgb"}
    with (
        Engine(model, runtime="native", precision="fp32", **common) as native,
        Engine(model, runtime="openvino", precision="fp32", **common) as openvino,
        Engine(model, precision="int8", calibration=calibration, **common) as int8,
    ):
        engines = {NATIVE: native, OPENVINO: openvino, INT8: int8}
        frame = np.asarray(photograph("astronaut", (1920, 1080)))
        times = _timing.interleave(
            {name: lambda engine=engine: engine.run(frame) for name, engine in engines.items()}, rounds
        )
        figures: dict[str, Any] = {
            "times": _timing.summary(times),
            "int8_over_native": _timing.ratio(times, INT8, NATIVE),
            "int8_over_openvino": _timing.ratio(times, INT8, OPENVINO),
            "quality": quality(native, int8, pairs) if pairs else None,
            "engine": int8.info.reason,
        }
    if pairs:
        lost = figures["quality"]["iou_loss"]
        figures["bounds"] = {f"{model}: IoU that int8 loses, {len(pairs)} masks": _report.bound(lost, at_most=0.005)}
    return figures


def quality(fp32: Engine, int8: Engine, pairs: list[Pair]) -> dict[str, float]:
    """Means over the pairs, and the largest loss of an image."""
    rows = []
    for pair in pairs:
        pixels = np.ascontiguousarray(read_image(pair.image).pixels[:, :, :3])
        before, after = fp32.run(pixels), int8.run(pixels)
        truth = read_truth(pair, pixels.shape[:2])
        row = [metric(alpha, truth) for metric in (metrics.iou, metrics.mae) for alpha in (before, after)]
        rows.append([*row, metrics.iou(after, before), 255 * metrics.mae(after, before / 255)])
    iou_fp32, iou_int8, mae_fp32, mae_int8, agreement, mean_alpha = np.mean(rows, axis=0)
    losses = np.subtract(*np.transpose(rows)[:2])
    found = {
        "iou_fp32": iou_fp32,
        "iou_int8": iou_int8,
        "iou_loss": losses.mean(),
        "largest_iou_loss": losses.max(),
        "mae_fp32": mae_fp32,
        "mae_int8": mae_int8,
        "iou_of_int8_with_fp32": agreement,
        "mean_abs_alpha_of_255": mean_alpha,
    }
    return {name: round(float(value), 5) for name, value in found.items()}


def show(model: str, figures: dict[str, Any]) -> None:
    table = Table("", "ms", "int8 takes", title=model, title_justify="left")
    for name, over in ((NATIVE, "int8_over_native"), (OPENVINO, "int8_over_openvino"), (INT8, "")):
        of_it = f"{_timing.shown(figures[over], 3)} of it" if over else ""
        table.add_row(name, _timing.shown(figures["times"][name], 0), of_it)
    _report.console.print(table)
    for name, value in (figures["quality"] or {}).items():
        _report.console.print(f"  {name.replace('_', ' ')}: {value}", highlight=False)
    _report.show_bounds(figures)
    _report.console.print(f"  {figures['engine']}", highlight=False)


if __name__ == "__main__":
    main()
