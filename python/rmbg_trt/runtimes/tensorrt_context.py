# SPDX-License-Identifier: Apache-2.0
"""Execution contexts of a plan, made so that the pipeline can capture them, and TensorRT-RTX's cache of kernels.

TensorRT-RTX compiles kernels for the GPU when a plan is first run; its runtime cache keeps them for the next start.
Nothing here asks for a version: what a runtime can do is seen from the attributes it has.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from .. import _core
from ..cache import cache_dir, prune, touch
from ..errors import Error, UnavailableError
from ..files import atomic_file
from .tensorrt import TensorRt

log = logging.getLogger("rmbg_trt.tensorrt")

KEPT_CACHES = 16


class ContextMaker:
    """Makes the contexts of one engine; holds what they need: the engine, the configuration and the kernel cache.

    Args:
        runtime: Which the engine is of.
        engine: The vendor's ``ICudaEngine``.
        plan: Its bytes; by them and the GPU the kernel cache is found again.
        gpu: Name of the GPU: a portable plan runs on several kinds, and each has its own kernels.
        dynamic: Whether an input has open lengths.
    """

    def __init__(self, runtime: TensorRt, engine: Any, plan: bytes, gpu: str, *, dynamic: bool) -> None:
        # Attributes go in the order in which they came, and what an engine made is to go before it: the bindings do not
        # see to that.
        self._cache: Any = None
        self._config: Any = engine.create_runtime_config() if hasattr(engine, "create_runtime_config") else None
        self.engine, self.runtime = engine, runtime
        self._cache_file = Path()
        self._saves_left = 0
        if self._config is not None:
            self._configure(dynamic)
            self._load_cache(hashlib.sha256(plan + gpu.encode()).hexdigest()[:32])

    def make(self) -> Any:
        """A new ``IExecutionContext``, with scratch memory of its own on the current GPU.

        Raises:
            UnavailableError: The GPU has too little memory, or fails otherwise.
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
                "GPU, or take fewer slots"
            )
        return context

    def capturable(self, context: Any) -> bool:
        """Whether a context, with its shapes set, can be captured on the current GPU.

        TensorRT's can. TensorRT-RTX's says itself, for a stream; it is asked with one like the pipeline's own.
        """
        if not hasattr(context, "is_stream_capturable"):
            return True
        stream = _core.CudaStream()
        return bool(context.is_stream_capturable(stream.cuda_stream))

    def memory(self) -> str:
        """The scratch memory of a context, in words; nothing where the runtime does not tell."""
        for name in ("device_memory_size_v2", "device_memory_size"):  # the second warns where there is the first
            size = getattr(self.engine, name, None)
            if size is not None:
                return f"{size / 1e6:.1f} MB of scratch memory a slot"
        return ""

    def said(self) -> str:
        """The runtime's last errors."""
        return "; ".join(self.runtime.errors()[-3:]) or "it gave no reason"

    def save_cache(self) -> None:
        """Writes the kernels compiled so far. To be called when contexts are there, and after runs; does so twice."""
        if self._cache is None or not self._saves_left:
            return
        self._saves_left -= 1
        try:
            data = bytes(self._cache.serialize())
            if self._cache_file.exists() and self._cache_file.stat().st_size == len(data):
                return
            with atomic_file(self._cache_file) as file:
                file.write(data)
            prune(self._cache_file.parent, self._cache_file.suffix, KEPT_CACHES)
        except (Error, OSError, RuntimeError, TypeError) as error:
            log.warning("the kernels that %s compiled could not be kept: %s", self.runtime.title, error)

    def _configure(self, dynamic: bool) -> None:
        module, config = self.runtime.module, self._config
        if hasattr(config, "cuda_graph_strategy"):  # the pipeline's graph holds the network; a graph in it cannot be
            config.cuda_graph_strategy = module.CudaGraphStrategy.DISABLED
        if dynamic and hasattr(config, "dynamic_shapes_kernel_specialization_strategy"):
            # Lazy, the default, would change kernels behind the captured graph's back.
            strategies = module.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER

    def _load_cache(self, name: str) -> None:
        if not hasattr(self._config, "create_runtime_cache"):
            return
        cache = self._config.create_runtime_cache()
        self._cache_file = cache_dir() / "kernels" / f"{name}.bin"
        try:
            data = self._cache_file.read_bytes()
            touch(self._cache_file)
        except OSError:  # none yet
            data = b""
        if data and not cache.deserialize(data):
            log.info("the kept kernels are of another driver, GPU or version, or damaged; they are compiled anew")
        if not self._config.set_runtime_cache(cache):
            log.warning("%s does not take a kernel cache; it compiles its kernels at each start", self.runtime.title)
            return
        self._cache, self._saves_left = cache, 2
