# SPDX-License-Identifier: Apache-2.0
"""Networks on the GPU through plans of TensorRT 10, TensorRT 11 and TensorRT-RTX.

The slots share one engine, and each has its own execution context. Input and output are the pipeline's memory. The
pipeline captures ``enqueue`` into its CUDA graph once; after that, no frame calls into this module.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _core
from ..errors import InputError, ModelError, NetworkError
from ..recipe import Sidecar, check_normalisation, read_sidecar, sidecar_path
from ..runtimes.devices import TITLES, current_gpu, gpu_properties, plan_kind
from ..runtimes.request import Opened, Request
from ..runtimes.tensorrt import TensorRt, load
from ..runtimes.tensorrt_plan import ContextMaker, TensorInfo, deserialize, io_tensors

log = logging.getLogger("rmbg_trt.tensorrt")

_DTYPES = ("float32", "float16")
Shape = tuple[int, int, int, int]


def open(path: Path, request: Request, runtime_name: str | None = None) -> Opened:
    """Opens a plan, with or without its sidecar.

    Args:
        path: The plan.
        request: ``precision`` must be the plan's own, or "auto".
        runtime_name: "tensorrt" or "tensorrt_rtx"; None: the one the plan is for.

    Raises:
        ModelError: The plan is damaged, of another version, for another GPU, or not an image-to-matte network.
        InputError: The plan does not have this size or precision.
        UnavailableError: The runtime is not installed, or the GPU has too little memory.
    """
    plan = _read(path)
    name = runtime_name or plan_kind(plan[:4])
    if name is None:
        raise ModelError(f"{path} is not a TensorRT plan ({len(plan)} bytes)")
    runtime = load(name)
    sidecar = _sidecar(path, runtime)
    precision = _precision(path, sidecar, request.precision)
    index = request.device_index or 0
    gpu = str(gpu_properties(index)["name"])
    with current_gpu(index):
        engine = deserialize(runtime, plan)
        source, target = _input_and_output(path, io_tensors(runtime, engine))
        shape = input_shape(path, source, request.size)
        contexts = ContextMaker(runtime, engine, plan, gpu, dynamic=-1 in source.shape)
        slots = [_Slot.make(path, contexts, source, target, shape) for _ in range(request.slots)]
        contexts.save_cache()
    networks = [slot.network() for slot in slots]
    parts = [f"{precision} as the plan was built", contexts.memory()]
    if not slots[0].capturable:
        log.warning("%s: %s cannot be captured in a CUDA graph; frames take longer", path.name, runtime.title)
        parts.append("its context cannot be captured in a CUDA graph")
    return Opened(
        networks=networks,
        runtime=runtime.name,
        runtime_version=runtime.version,
        device_name=gpu,
        precision=precision,
        reason="; ".join(filter(None, parts)),
        device=f"cuda:{index}",
        device_index=index,
    )


def input_shape(path: Path, source: TensorInfo, size: tuple[int, int] | None) -> Shape:
    """The input shape of a plan: one image of the requested size, or of the size the plan was tuned for.

    Args:
        path: For messages.
        source: The plan's input.
        size: (height, width), or None.

    Raises:
        InputError: The plan does not accept this size; the message has the range.
        ModelError: The plan does not accept single images.
    """
    assert source.profile is not None, "inputs have one"
    low, usual, high = source.profile
    if not low[0] <= 1 <= high[0]:
        raise ModelError(
            f"{path.name} takes batches of {_range(low[:1], high[:1])}, and the engine runs single images; export "
            "it again with --batch 1"
        )
    height, width = size or usual[2:]
    if not (low[2] <= height <= high[2] and low[3] <= width <= high[3]):
        raise InputError(
            f"size {height}x{width} is not one that {path.name} was built for ({_range(low[2:], high[2:])}); leave "
            "size out, or export the model for this size"
        )
    return 1, 3, height, width


@dataclass(frozen=True)
class _Slot:
    """An execution context with its shape set."""

    context: Any
    contexts: ContextMaker  # keeps the engine and its runtime alive
    source: TensorInfo
    target: TensorInfo
    shape: Shape
    out_sides: tuple[int, int]
    capturable: bool

    @classmethod
    def make(cls, path: Path, contexts: ContextMaker, source: TensorInfo, target: TensorInfo, shape: Shape) -> _Slot:
        context = contexts.make()
        if not context.set_input_shape(source.name, shape):
            raise InputError(f"{path.name} refuses an input of {shape}: {contexts.said()}")
        out = tuple(context.get_tensor_shape(target.name))
        if len(out) < 3 or any(side != 1 for side in out[:-2]) or min(out) < 1:
            raise ModelError(f"{path.name}: its output is {out}; expected one map (1, 1, height, width)")
        return cls(context, contexts, source, target, shape, (out[-2], out[-1]), contexts.capturable(context))

    def network(self) -> _core.Network:
        """Wraps this context in the core's network interface."""
        return _core.python_network(
            _spec("input", self.shape, self.source),
            _spec("output", (1, 1, *self.out_sides), self.target),
            self.bind,
            self.enqueue,
            capturable=self.capturable,
        )

    def bind(self, source: Any, target: Any) -> None:
        """Sets the arrays on the GPU that the context reads and writes."""
        for info, array in ((self.source, source), (self.target, target)):
            if not self.context.set_tensor_address(info.name, array.ptr):
                raise NetworkError(f"TensorRT refuses the memory of {info.name!r}: {self.contexts.said()}")

    def enqueue(self, stream: int) -> None:
        """Puts one run on a CUDA stream. A refused run must raise, or the captured graph would be empty."""
        if not self.context.execute_async_v3(stream):
            raise NetworkError(f"{self.contexts.runtime.title} refused to run: {self.contexts.said()}")
        self.contexts.save_cache()


def _spec(name: str, shape: Shape, tensor: TensorInfo) -> _core.TensorSpec:
    dtype: Any = tensor.dtype  # one of _DTYPES
    return _core.TensorSpec(name, shape, dtype)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error


def _sidecar(path: Path, runtime: TensorRt) -> Sidecar | None:
    """The sidecar of a plan, after checking that it fits the plan and the engine."""
    sidecar = read_sidecar(path)
    if sidecar is None:
        return None
    if sidecar.runtime != runtime.name:
        kind = TITLES.get(str(sidecar.runtime), "an ONNX file")
        raise ModelError(
            f"{path.name} is a plan of {TITLES[runtime.name]}, but {sidecar_path(path).name} describes {kind}; export "
            "the model again, or remove the sidecar"
        )
    wanted = sidecar.normalisation
    if "mean" in wanted and "std" in wanted:
        check_normalisation(path.name, wanted["mean"], wanted["std"])
    if sidecar.forced:
        log.warning("%s failed verification and was written with --force; its mattes may be wrong", path.name)
    return sidecar


def _precision(path: Path, sidecar: Sidecar | None, requested: str) -> str:
    """The precision of a plan, which is fixed. Raises InputError if another one is requested."""
    if sidecar is None:
        if requested != "auto":
            log.warning("%s has no sidecar, so it is unknown whether it computes in %s", path.name, requested)
        return "unknown"
    if requested not in ("auto", sidecar.precision):
        raise InputError(
            f"precision is {requested!r}, but {path.name} computes in {sidecar.precision}; leave precision out, or "
            f"export the model with --precision {requested}"
        )
    return sidecar.precision


def _input_and_output(path: Path, tensors: list[TensorInfo]) -> tuple[TensorInfo, TensorInfo]:
    """The input and the output of a plan. Raises ModelError unless they are one image and one matte."""
    inputs = [tensor for tensor in tensors if tensor.is_input]
    outputs = [tensor for tensor in tensors if not tensor.is_input]
    for kind, group in (("inputs", inputs), ("outputs", outputs)):
        if len(group) != 1:
            names = ", ".join(tensor.name for tensor in group) or "none"
            raise ModelError(
                f"{path.name} has {len(group)} {kind} ({names}); expected one. `rmbg-trt export` keeps the first output"
            )
    source, target = inputs[0], outputs[0]
    if len(source.shape) != 4 or source.shape[1] not in (3, -1):
        raise ModelError(f"{path.name}: its input is {source.shape}; expected (N, 3, height, width)")
    for tensor in (source, target):
        if tensor.dtype not in _DTYPES:
            raise ModelError(f"{path.name}: {tensor.name!r} is {tensor.dtype}; expected {' or '.join(_DTYPES)}")
    return source, target


def _range(low: tuple[int, ...], high: tuple[int, ...]) -> str:
    smallest, largest = ("x".join(map(str, each)) for each in (low, high))
    return smallest if low == high else f"{smallest} to {largest}"
