# SPDX-License-Identifier: Apache-2.0
"""Does TensorRT-RTX run on this GPU, and inside our graphs? Builds plans for one target, loads, runs and captures them.

  python -m tests.gpu.rtx_probe [none|CURRENT|SM80|SM89|SM120] [MODEL.onnx]

Two plans: as usual, and with REQUIRE_USER_ALLOCATION, which contexts that are to be captured need. One process for each
target, for a bad plan may crash it. Prints every message word for word, and adds what was found to RMBG_GPU_RESULTS.
Open question of docs/gpu-notes.md.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rmbg_trt import _core
from rmbg_trt.runtimes import tensorrt as tensorrt_runtime

SIDE = 320
Found = dict[str, object]


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


def build(runtime: Any, model: bytes, target: str, user_allocation: bool) -> bytes:
    """A plan. Raises RuntimeError where there is none."""
    trt = runtime.module
    builder = trt.Builder(runtime.logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, runtime.logger)
    if not parser.parse(model):
        raise RuntimeError("the model was not parsed")
    config = builder.create_builder_config()
    if user_allocation:
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    if target != "none":
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, target), 0)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeError("no plan was built")
    return bytes(plan)


def load(runtime: Any, plan: bytes, found: Found) -> Any:
    """The plan's engine, and the runtime that must live as long."""
    loader = runtime.module.Runtime(runtime.logger)
    validity, bits = loader.get_engine_validity(plan)
    known = runtime.module.EngineInvalidityDiagnostics.__members__
    found["validity"] = validity.name
    found["diagnostics"] = [name for name, member in known.items() if int(bits) & int(member)]
    engine = loader.deserialize_cuda_engine(plan)
    found["loads"] = engine is not None
    if engine is None:
        raise RuntimeError("the plan was not deserialised")
    return loader, engine


def run(runtime: Any, engine: Any, found: Found) -> None:
    """Runs a context on a stream, then captures it into a graph of PyTorch's and compares the two."""
    import torch

    config = engine.create_runtime_config()
    config.cuda_graph_strategy = runtime.module.CudaGraphStrategy.DISABLED  # a graph cannot hold another capture
    context = engine.create_execution_context(runtime_config=config)
    found["context"] = context is not None
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    tensors = {name: torch.randn(tuple(engine.get_tensor_shape(name)), device="cuda") for name in names}
    for name, tensor in tensors.items():
        context.set_tensor_address(name, tensor.data_ptr())
    matte, stream = tensors[names[-1]], torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    found["runs"] = context.execute_async_v3(stream.cuda_stream)
    stream.synchronize()
    expected = matte.clone()
    found["finite"] = bool(expected.isfinite().all())
    streams = {"a stream of ours": stream.cuda_stream, "cudaStreamPerThread": 2, "cudaStreamLegacy": 1}
    for name, handle in streams.items():
        found[f"capturable on {name}"] = context.is_stream_capturable(handle)
    matte.zero_()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        found["runs in a capture"] = context.execute_async_v3(stream.cuda_stream)
    graph.replay()
    torch.cuda.synchronize()
    found["the graph gives the same"] = bool(torch.equal(matte, expected))


def attempt(what: str, runtime: Any, found: Found, work: Callable[[], Any]) -> Any:
    """Does the work; None where it fails, with the error and the runtime's own words among what was found."""
    runtime.clear()
    print(what, flush=True)
    try:
        return work()
    except Exception as error:  # whatever it is, the next attempt comes
        traceback.print_exc(limit=2, file=sys.stdout)
        found["error"] = f"{what}: {error}"
        found["said"] = "; ".join(runtime.errors()[-3:])
        return None


def note(found: Found) -> None:
    """Adds a line to the results, even if what follows crashes."""
    print(json.dumps(found), flush=True)
    path = os.environ.get("RMBG_GPU_RESULTS")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")


def main() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="  log: %(message)s")
    target = sys.argv[1] if len(sys.argv) > 1 else "CURRENT"
    print("GPUs:", _core.cuda_devices())
    runtime = tensorrt_runtime.load("tensorrt_rtx")
    print(runtime.title)
    model = Path(sys.argv[2]).read_bytes() if len(sys.argv) > 2 else small_model()
    for user_allocation in (False, True):
        found: Found = {"target": target, "user allocation": user_allocation}
        plan = attempt("build", runtime, found, lambda on=user_allocation: build(runtime, model, target, on))
        found["plan bytes"] = plan and len(plan)
        note({**found, "next": "load"})
        loaded = plan and attempt("load", runtime, found, lambda plan=plan, found=found: load(runtime, plan, found))
        note({**found, "next": "run"})
        if loaded:
            attempt("run", runtime, found, lambda engine=loaded[1], found=found: run(runtime, engine, found))
        note(found)
        del loaded
    print("done")


if __name__ == "__main__":
    main()
