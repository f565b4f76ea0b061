# SPDX-License-Identifier: Apache-2.0
"""Our own CPU network against ONNX Runtime and OpenVINO on one input, interleaved.

In float32, and in bfloat16 where the processor has it.

python benchmarks/cpu_network.py
python benchmarks/cpu_network.py u2net --rounds 15 --layers 12
"""

from __future__ import annotations

from collections.abc import Callable
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

    columns = ("model", "native ms", "of ONNX Runtime", "of OpenVINO fp32", "max |Δ|", "mean |Δ|")
    table = Table(*columns, "bf16 ms", "of native fp32", "of OpenVINO bf16")
    for name, figure in figures.items():
        table.add_row(
            name,
            _timing.shown(figure["times"]["native"], 0),
            _timing.shown(figure["native_over_onnxruntime"], 3),
            _timing.shown(figure["native_over_openvino"], 3),
            f"{figure['max_difference']:.1e}",
            f"{figure['mean_difference']:.1e}",
            *_bf16_cells(figure),
        )
    _report.console.print(table)
    _report.save("cpu_network", options, figures)


def _bf16_cells(figure: dict[str, Any]) -> tuple[str, ...]:
    if "native_bf16" not in figure["times"]:
        return ("-", "-", "-")
    return (
        _timing.shown(figure["times"]["native_bf16"], 0),
        _timing.shown(figure["native_bf16_over_native"], 3),
        _timing.shown(figure["native_bf16_over_openvino_bf16"], 3),
    )


def measure(name: str, rounds: int, layers: int) -> dict[str, Any]:
    """One model's times, ratios and agreement."""
    import onnxruntime
    import openvino

    from rmbg_trt import _core, models
    from rmbg_trt.runtimes.native import compile_model
    from rmbg_trt.runtimes.openvino import read_model

    path = models.pull(name)
    core = openvino.Core()

    def openvino_request(hint: str) -> Any:
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint}
        return core.compile_model(read_model(core, path, None), "CPU", options).create_infer_request()

    request = openvino_request("f32")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    model = compile_model(path, None)
    network = model.network()

    x = np.random.default_rng(0).standard_normal(network.input.shape).astype(np.float32)
    request.set_input_tensor(openvino.Tensor(x))
    first, source = session.get_outputs()[0].name, session.get_inputs()[0].name
    contenders: dict[str, Callable[[], object]] = {
        "native": lambda: network.run(x),
        "onnxruntime": lambda: session.run([first], {source: x}),
        "openvino": request.infer,
    }
    profiled = [(network, model)]
    if _core.cpu_info()["bf16"]:
        bf16_model = compile_model(path, None, lambda graph: _core.CpuModel(graph, "bf16"))
        bf16_network, bf16_request = bf16_model.network(), openvino_request("bf16")
        bf16_request.set_input_tensor(openvino.Tensor(x))
        contenders |= {"native_bf16": lambda: bf16_network.run(x), "openvino_bf16": bf16_request.infer}
        profiled.append((bf16_network, bf16_model))
    times = _timing.interleave(contenders, rounds)
    bf16_ratios = {
        f"native_bf16_over_{other}": _timing.ratio(times, "native_bf16", other)
        for other in ("native", "openvino_bf16")
        if other in times and "native_bf16" in times
    }
    for each, its_model in profiled:
        for layer, layer_ms in sorted(each.profile(its_model, x), key=lambda row: -row[1])[:layers]:
            _report.console.print(f"{layer_ms:8.2f} ms  {layer}", highlight=False)
    difference = np.abs(network.run(x) - session.run([first], {source: x})[0])
    return {
        "times": _timing.summary(times),
        "native_over_onnxruntime": _timing.ratio(times, "native", "onnxruntime"),
        "native_over_openvino": _timing.ratio(times, "native", "openvino"),
        **bf16_ratios,
        "max_difference": float(difference.max()),
        "mean_difference": float(difference.mean()),
        "isa": _core.cpu_isa(),
    }


if __name__ == "__main__":
    main()
