# SPDX-License-Identifier: Apache-2.0
"""The re-exported ONNX against the official one in OpenVINO (fp32, interleaved), node counts, and export time.

python benchmarks/export_speed.py
python benchmarks/export_speed.py u2net --rounds 15
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import _report
import _timing
import numpy as np
from rich.table import Table

from rmbg_trt import models
from rmbg_trt.export import Options, export
from rmbg_trt.export.graph import node_counts
from rmbg_trt.export.source import read_onnx


def main() -> None:
    parser = _report.parser(__doc__)
    parser.add_argument("models", nargs="*", default=["u2netp", "u2net"], help="catalogue names")
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    figures = {name: measure(name, options.rounds) for name in options.models}
    table = Table("model", "nodes before", "after", "of the official time", "export s", "fp16 plan MB")
    for name, figure in figures.items():
        table.add_row(
            name,
            str(sum(figure["nodes_before"].values())),
            str(sum(figure["nodes_after"].values())),
            _timing.shown(figure["reexported_over_official"], 3),
            f"{sum(figure['export_seconds'].values()):.0f}",
            f"{figure['plan_bytes'] / 1e6:.2f}",
        )
    _report.console.print(table)
    _report.save("export_speed", options, figures)


def measure(name: str, rounds: int) -> dict[str, Any]:
    """Exports a model to a TensorRT-RTX plan, then times the ONNX file on the way against the official one."""
    import openvino

    official = models.pull(name)
    with tempfile.TemporaryDirectory() as folder:
        report = export(name, Path(folder) / f"{name}.plan", Options(runtime="tensorrt_rtx"))
        exported = report.artefacts[0].path
        core = openvino.Core()
        requests = {}
        for which, path in (("official", official), ("reexported", exported)):
            model = core.read_model(path)
            first = openvino.Model([model.outputs[0]], model.get_parameters(), which)
            settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
            requests[which] = core.compile_model(first, "CPU", settings).create_infer_request()
    x = np.random.default_rng(0).standard_normal((1, 3, 320, 320)).astype(np.float32)
    times = _timing.interleave({which: lambda r=r: r.infer([x]) for which, r in requests.items()}, rounds)
    return {
        "nodes_before": node_counts(read_onnx(official)),
        "nodes_after": report.artefacts[0].nodes,
        "times": _timing.summary(times),
        "reexported_over_official": _timing.ratio(times, "reexported", "official"),
        "export_seconds": report.seconds,
        "plan_bytes": len(report.artefacts[-1].data),
    }


if __name__ == "__main__":
    main()
