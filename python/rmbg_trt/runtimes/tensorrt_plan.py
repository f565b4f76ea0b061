# SPDX-License-Identifier: Apache-2.0
"""Plans of TensorRT 10, TensorRT 11 and TensorRT-RTX: loading them, their inputs and outputs, execution contexts.

TensorRT-RTX compiles kernels for the GPU when a plan first runs; its runtime cache keeps them for the next start.
Features are detected by attributes, not by version.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _core
from ..cache import cache_dir, read_entry, write_entry
from ..errors import ModelError, UnavailableError
from .devices import TITLES, plan_kind
from .tensorrt import CHECK_DRIVER, TensorRt

log = logging.getLogger("rmbg_trt.tensorrt")

KEPT_CACHES = 16
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


class ContextMaker:
    """Makes the contexts of one engine and keeps alive what they need: engine, configuration and kernel cache.

    Args:
        runtime: The engine's runtime.
        engine: The vendor's ``ICudaEngine``.
        plan: Bytes of the plan, part of the kernel cache's key.
        gpu: Name of the GPU, part of the key, too: a portable plan runs on several kinds, each with its own kernels.
        dynamic: Whether an input has open sides.
    """

    def __init__(self, runtime: TensorRt, engine: Any, plan: bytes, gpu: str, *, dynamic: bool) -> None:
        # Attributes are destroyed in the order of assignment. What an engine created must go before the engine; the
        # bindings do not ensure that.
        self._cache: Any = None
        self._config: Any = engine.create_runtime_config() if hasattr(engine, "create_runtime_config") else None
        self.engine, self.runtime = engine, runtime
        self._cache_file = Path()
        self._saves_left = 0
        if self._config is not None:
            self._configure(dynamic)
            self._load_cache(hashlib.sha256(plan + gpu.encode()).hexdigest()[:32])

    def make(self) -> Any:
        """Makes an ``IExecutionContext`` with its own scratch memory on the current GPU.

        Raises:
            UnavailableError: The GPU has too little memory, or fails.
        """
        self.runtime.clear()
        if self._config is None:
            context = self.engine.create_execution_context()
        else:
            context = self.engine.create_execution_context(runtime_config=self._config)
        if context is None:
            size = self.memory() or "scratch memory of unknown size"
            raise UnavailableError(
                f"{self.runtime.title} could not make an execution context ({size}): {self.said()}; free memory on the "
                "GPU, or use fewer slots"
            )
        return context

    def capturable(self, context: Any) -> bool:
        """Whether a context, with its shapes set, can be captured on the current GPU.

        TensorRT's always can. TensorRT-RTX's can be queried, for a stream like the pipeline's.
        """
        if not hasattr(context, "is_stream_capturable"):
            return True
        stream = _core.CudaStream()
        return bool(context.is_stream_capturable(stream.cuda_stream))

    def memory(self) -> str:
        """The scratch memory of a context, in words; empty if unknown."""
        for name in ("device_memory_size_v2", "device_memory_size"):  # the second is deprecated if there is the first
            size = getattr(self.engine, name, None)
            if size is not None:
                return f"{size / 1e6:.1f} MB of scratch memory a slot"
        return ""

    def said(self) -> str:
        """The runtime's last errors."""
        return "; ".join(self.runtime.errors()[-3:]) or "it gave no reason"

    def save_cache(self) -> None:
        """Writes the kernels compiled so far. Call it after making contexts and after runs; it writes twice at most."""
        if self._cache is None or not self._saves_left:
            return
        self._saves_left -= 1
        try:
            data = bytes(self._cache.serialize())
            if self._cache_file.exists() and self._cache_file.stat().st_size == len(data):
                return
            write_entry(self._cache_file, data, KEPT_CACHES)
        except (OSError, RuntimeError, TypeError) as error:
            log.warning("the kernels that %s compiled cannot be kept: %s", self.runtime.title, error)

    def _configure(self, dynamic: bool) -> None:
        module, config = self.runtime.module, self._config
        if hasattr(config, "cuda_graph_strategy"):  # the pipeline captures the network; graphs cannot be nested
            config.cuda_graph_strategy = module.CudaGraphStrategy.DISABLED
        if dynamic and hasattr(config, "dynamic_shapes_kernel_specialization_strategy"):
            # The default, lazy, would change kernels after the capture.
            strategies = module.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER

    def _load_cache(self, name: str) -> None:
        if not hasattr(self._config, "create_runtime_cache"):
            return
        cache = self._config.create_runtime_cache()
        self._cache_file = cache_dir() / "kernels" / f"{name}.bin"
        data = read_entry(self._cache_file, bytes)
        if data and not cache.deserialize(data):
            log.info("the cached kernels are for another driver, GPU or version, or damaged; they are compiled again")
        if not self._config.set_runtime_cache(cache):
            log.warning("%s does not take a kernel cache; it compiles its kernels at each start", self.runtime.title)
            return
        self._cache, self._saves_left = cache, 2
