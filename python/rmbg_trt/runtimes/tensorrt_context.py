# SPDX-License-Identifier: Apache-2.0
"""Execution contexts of a plan that the pipeline can capture, and TensorRT-RTX's kernel cache.

TensorRT-RTX compiles kernels for the GPU when a plan first runs; its runtime cache keeps them for the next start.
Features are detected by attributes, not by version.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from .. import _core
from ..cache import cache_dir, read_entry, write_entry
from ..errors import UnavailableError
from .tensorrt import TensorRt

log = logging.getLogger("rmbg_trt.tensorrt")

KEPT_CACHES = 16


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
