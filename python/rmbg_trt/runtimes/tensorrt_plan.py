# SPDX-License-Identifier: Apache-2.0
"""Plans of TensorRT 10, TensorRT 11 and TensorRT-RTX: their kind, loading them, their inputs and outputs."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any

from ..errors import ModelError, UnavailableError
from .tensorrt import CHECK_DRIVER, TITLES, TensorRt

log = logging.getLogger("rmbg_trt.tensorrt")

_MAGIC = {b"ftrt": "tensorrt", b"vtrt": "tensorrt_rtx"}
_CUDA_TROUBLE = re.compile(r"cuda ?(error|failure|runtime|init|driver)|out ?of ?memory", re.IGNORECASE)
_DIAGNOSTICS = {
    "VERSION_MISMATCH": "another version built it",
    "UNSUPPORTED_CC": "it was not built for this GPU's compute capability",
    "MALFORMED_ENGINE": "it is damaged, or not a plan",
    "OLD_CUDA_DRIVER": "the NVIDIA driver is too old for it",
    "OLD_CUDA_RUNTIME": "the CUDA runtime is too old for it",
    "INSUFFICIENT_GPU_MEMORY": "the GPU has too little memory for it",
    "CUDA_ERROR": "CUDA does not work here",
}
_CURED_BY_EXPORT = ("VERSION_MISMATCH", "UNSUPPORTED_CC", "MALFORMED_ENGINE")
_AGAIN = "export it again on this machine with `rmbg-trt export`"


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a plan.

    Attributes:
        name: Its name.
        is_input: Whether it is an input.
        shape: Its sides; -1 for an open one.
        dtype: "float32", "float16" or another name of NumPy and PyTorch.
        profile: Smallest, usual and largest shape of an input; None for an output.
    """

    name: str
    is_input: bool
    shape: tuple[int, ...]
    dtype: str
    profile: tuple[tuple[int, ...], ...] | None


def plan_kind(head: bytes) -> str | None:
    """The runtime of a plan, from its first four bytes; None if it is not a plan.

    Source:
        The runtimes print this tag as a number, in "incompatible serialization version (… != 1953657958)": "ftrt" for
        TensorRT; 1953657974, "vtrt", for TensorRT-RTX.
    """
    return _MAGIC.get(bytes(head[:4]))


def deserialize(runtime: TensorRt, plan: bytes) -> Any:
    """Loads a plan onto the current GPU.

    Returns:
        The vendor's ``ICudaEngine``.

    Raises:
        ModelError: The plan is damaged, truncated, for another runtime or version, or for other GPUs.
        UnavailableError: The driver or the GPU cannot be used with any plan.
    """
    kind = plan_kind(plan[:4])
    if kind != runtime.name:
        what = "not a TensorRT plan" if kind is None else f"a plan for {TITLES[kind]}"
        raise ModelError(f"this is {what} ({len(plan)} bytes); expected one for {runtime.title}: {_AGAIN}")
    runtime.clear()
    loader = runtime.create("Runtime")
    if hasattr(loader, "get_engine_validity"):
        _check_header(runtime, loader, plan)
    engine = loader.deserialize_cuda_engine(plan)
    if engine is not None:
        return engine
    said = runtime.errors()
    if said and all(_CUDA_TROUBLE.search(text) for text in said):
        raise UnavailableError(f"{runtime.title} cannot load a plan here ({'; '.join(said)}); {CHECK_DRIVER}")
    # CUDA errors come in addition to the plan's own problem and say nothing about it.
    reasons = [text for text in said if not _CUDA_TROUBLE.search(text)] or ["it gave no reason"]
    raise ModelError(
        f"{runtime.title} refuses this plan of {len(plan)} bytes: it is truncated, damaged or of another version "
        f"({'; '.join(reasons)}); {_AGAIN}"
    )


def io_tensors(runtime: TensorRt, engine: Any) -> list[TensorInfo]:
    """The inputs and outputs of an engine, with the shapes of its first profile, in the engine's order."""
    tensors = []
    for name in map(engine.get_tensor_name, range(engine.num_io_tensors)):
        is_input = engine.get_tensor_mode(name) == runtime.module.TensorIOMode.INPUT
        shape = tuple(engine.get_tensor_shape(name))
        profile: tuple[tuple[int, ...], ...] | None = None
        if is_input:
            corners = engine.get_tensor_profile_shape(name, 0) if -1 in shape else [shape] * 3
            profile = tuple(map(tuple, corners))
        tensors.append(TensorInfo(name, is_input, shape, _dtype_name(engine.get_tensor_dtype(name)), profile))
    return tensors


def _check_header(runtime: TensorRt, loader: Any, plan: bytes) -> None:
    """Checks a plan's header. Without a driver the runtime cannot judge it, and only loading tells more."""
    validity, bits = loader.get_engine_validity(plan)
    if validity == runtime.module.EngineValidity.SUBOPTIMAL:
        log.warning("the plan runs on this GPU, but was not built for it and may be slower")
    known = runtime.module.EngineInvalidityDiagnostics.__members__
    names = [name for name, member in known.items() if bits & member.value]
    if validity != runtime.module.EngineValidity.INVALID or not names:
        return
    words = ", ".join(_DIAGNOSTICS.get(name, name) for name in names)
    said = "; ".join(runtime.messages(logging.INFO))
    text = f"{runtime.title} cannot use this plan of {len(plan)} bytes: {words}" + (f" ({said})" if said else "")
    if any(name in _CURED_BY_EXPORT for name in names):
        raise ModelError(f"{text}; {_AGAIN}")
    raise UnavailableError(f"{text}; {CHECK_DRIVER}")


def _dtype_name(dtype: Any) -> str:
    return {"FLOAT": "float32", "HALF": "float16", "BF16": "bfloat16"}.get(dtype.name, str(dtype.name).lower())
