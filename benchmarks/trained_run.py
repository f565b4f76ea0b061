# SPDX-License-Identifier: Apache-2.0
"""A training run against the weights it began with, through the engine, over one or several prepared sets.

python benchmarks/trained_run.py runs/people u2netp people/ other/
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import _report
from rich.table import Table

from rmbg_trt.evaluation import compare, evaluate
from rmbg_trt.training.callbacks.record import read_metrics
from rmbg_trt.training.config import load_config, to_yaml

SHOWN = ("mae", "iou", "max_f", "weighted_f", "s_measure", "e_measure")


def main() -> None:
    parser = _report.parser(__doc__)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("before", help="the weights it began with, or any other model to compare with")
    parser.add_argument("sets", nargs="+", type=Path, help="prepared sets; their split val is taken")
    parser.add_argument("--name", default="trained_run", help="of the result file")
    options = parser.parse_args()
    config = load_config(options.run / "config.yaml")
    rows = read_metrics(options.run)
    table = Table("set", "images", "model", *SHOWN, title=str(options.run), title_justify="left")
    figures: dict[str, Any] = {}
    for folder in options.sets:
        evaluation = evaluate([options.before, options.run / "best.safetensors"], folder)
        before, after = evaluation.models
        for name, result in ((options.before, before), ("trained", after)):
            means = result.means()
            table.add_row(folder.name, str(len(result.images)), name, *(f"{means[key]:.4f}" for key in SHOWN))
        difference = compare(before, after)
        figures[folder.name] = {
            "images": len(after.images),
            "failures": len(after.failures),
            "before": before.means(),
            "trained": after.means(),
            "iou_difference_interval_95": list(difference.iou_interval),
        }
    _report.console.print(table)
    named = dataclasses.replace(config, data=Path(config.data).name, init=Path(config.init).name)  # no paths
    config_text = to_yaml(named).splitlines()
    options.before, options.sets = str(options.before), [folder.name for folder in options.sets]
    _report.save(options.name, options, {"sets": figures, "config": config_text, "epochs": rows})


if __name__ == "__main__":
    main()
