# SPDX-License-Identifier: Apache-2.0
"""Our own CPU network against ONNX Runtime and OpenVINO, all in float32, on one input, by turns.

python benchmarks/cpu_network.py
python benchmarks/cpu_network.py u2net --rounds 15 --layers 12
"""

from __future__ import annotations

from typing import Any

import _report
import _timing
import numpy as np
from rich.table import Table


def main() -> None:
    parser = _report.parser(__doc__)
    parser.add_argument("models", nargs="*", default=["u2netp", "u2net"], help="catalogue names")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--layers", type=int, default=0, help="also list this many of the slowest layers")
    options = parser.parse_args()
    figures = {name: measure(name, options.rounds, options.layers) for name in options.models}

    table = Table("model", "native ms", "of ONNX Runtime", "of OpenVINO fp32", "max |Δ|", "mean |Δ|")
    for name, figure in figures.items():
        table.add_row(
            name,
            _timing.shown(figure["times"]["native"], 0),
            _timing.shown(figure["native_over_onnxruntime"], 3),
            _timing.shown(figure["native_over_openvino"], 3),
            f"{figure['max_difference']:.1e}",
            f"{figure['mean_difference']:.1e}",
        )
    _report.console.print(table)
    _report.save("cpu_network", options, figures)


def measure(name: str, rounds: int, layers: int) -> dict[str, Any]:
    """One model's times, ratios and agreement."""
    import onnxruntime
    import openvino

    from rmbg_trt import _core, models
    from rmbg_trt.networks.native_network import compile_model
    from rmbg_trt.networks.openvino_network import read_model

    path = models.pull(name)
    core = openvino.Core()
    compiled = core.compile_model(
        read_model(core, path, None), "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    )
    request = compiled.create_infer_request()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    model = compile_model(path, None)
    network = model.network()

    x = np.random.default_rng(0).standard_normal(network.input.shape).astype(np.float32)
    request.set_input_tensor(openvino.Tensor(x))
    first, source = session.get_outputs()[0].name, session.get_inputs()[0].name
    times = _timing.interleave(
        {
            "native": lambda: network.run(x),
            "onnxruntime": lambda: session.run([first], {source: x}),
            "openvino": request.infer,
        },
        rounds,
    )
    for layer, layer_ms in sorted(network.profile(model, x), key=lambda row: -row[1])[:layers]:
        _report.console.print(f"{layer_ms:8.2f} ms  {layer}", highlight=False)
    difference = np.abs(network.run(x) - session.run([first], {source: x})[0])
    return {
        "times": _timing.summary(times),
        "native_over_onnxruntime": _timing.ratio(times, "native", "onnxruntime"),
        "native_over_openvino": _timing.ratio(times, "native", "openvino"),
        "max_difference": float(difference.max()),
        "mean_difference": float(difference.mean()),
        "isa": _core.cpu_isa(),
    }


if __name__ == "__main__":
    main()
