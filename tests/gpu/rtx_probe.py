# SPDX-License-Identifier: Apache-2.0
"""Does TensorRT-RTX run on this GPU? Builds small plans for several targets, asks about each, loads and runs it.

  python -m tests.gpu.rtx_probe [MODEL.onnx]

Prints every message word for word, for docs/gpu-notes.md; runs to the end whatever happens.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rmbg_trt import _core
from rmbg_trt.networks import tensorrt_runtime

SIDE = 320


def small_model() -> bytes:
    """Convolution and sigmoid in half precision, float32 in and out."""
    weights = np.random.default_rng(0).normal(0, 0.3, (1, 3, 3, 3)).astype(np.float16)
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Cast", ["input"], ["half"], to=onnx.TensorProto.FLOAT16),
        helper.make_node("Conv", ["half", "w"], ["logits"], pads=[1, 1, 1, 1]),
        helper.make_node("Cast", ["logits"], ["single"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Sigmoid", ["single"], ["matte"]),
    ]
    graph = helper.make_graph(
        nodes,
        "probe",
        [value("input", onnx.TensorProto.FLOAT, (1, 3, SIDE, SIDE))],
        [value("matte", onnx.TensorProto.FLOAT, (1, 1, SIDE, SIDE))],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def build(runtime: Any, model: bytes, target: str | None) -> bytes | None:
    trt = runtime.module
    builder = trt.Builder(runtime.logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, runtime.logger)
    print("  parsed:", parser.parse(model))
    config = builder.create_builder_config()
    if target is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, target), 0)
    plan = builder.build_serialized_network(network, config)
    print("  plan:", None if plan is None else f"{len(bytes(plan))} bytes")
    return None if plan is None else bytes(plan)


def load_and_run(runtime: Any, plan: bytes) -> None:
    loader = runtime.module.Runtime(runtime.logger)
    validity, bits = loader.get_engine_validity(plan)
    known = runtime.module.EngineInvalidityDiagnostics.__members__
    print("  get_engine_validity:", validity, bits, [name for name, member in known.items() if bits & member.value])
    engine = loader.deserialize_cuda_engine(plan)
    print("  deserialize_cuda_engine:", engine)
    if engine is None:
        return
    import torch

    context = engine.create_execution_context()
    print("  create_execution_context:", context)
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    tensors = {name: torch.randn(tuple(engine.get_tensor_shape(name)), device="cuda") for name in names}
    for name, tensor in tensors.items():
        context.set_tensor_address(name, tensor.data_ptr())
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    print("  execute_async_v3:", context.execute_async_v3(stream.cuda_stream))
    stream.synchronize()
    matte = tensors[names[-1]]
    print("  output: min, max, finite:", float(matte.min()), float(matte.max()), bool(matte.isfinite().all()))


def attempt(what: str, runtime: Any, work: Callable[[], Any]) -> Any:
    runtime.clear()
    print(what)
    try:
        return work()
    except Exception:  # whatever it is, the next attempt comes
        traceback.print_exc(limit=2, file=sys.stdout)
        return None


def main() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="  log: %(message)s")
    print("GPUs:", _core.cuda_devices())
    runtime = tensorrt_runtime.load("tensorrt_rtx")
    print(runtime.title)
    model = Path(sys.argv[1]).read_bytes() if len(sys.argv) > 1 else small_model()
    for target in (None, "CURRENT", "SM80", "SM89", "SM120"):
        plan = attempt(f"build for {target}", runtime, lambda target=target: build(runtime, model, target))
        if plan is not None:
            attempt(f"run the plan for {target}", runtime, lambda plan=plan: load_and_run(runtime, plan))
    print("done")


if __name__ == "__main__":
    main()
