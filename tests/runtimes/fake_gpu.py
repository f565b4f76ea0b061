# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for a machine with GPUs: what the core says of them, TensorRT's runtime side, and the core's network.

A fake plan is TensorRT's tag and JSON: what the engine has and how it fails. Engines have only attributes that the real
ones have; ``contexts`` of an engine tell what was called.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from tests.export import fake_tensorrt

from rmbg_trt import _core

H200 = {"index": 0, "name": "NVIDIA H200", "compute_capability": (9, 0), "memory_bytes": 1 << 37}
L4 = {"index": 1, "name": "NVIDIA L4", "compute_capability": (8, 9), "memory_bytes": 1 << 34}
STREAM = 0x7F00


@dataclass(frozen=True)
class Array:
    """The core's array on a GPU."""

    ptr: int
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    device: int = 0


@dataclass
class Network:
    """What ``_core.python_network`` was given."""

    input: Any
    output: Any
    bind: Any
    enqueue: Any
    capturable: bool = False
    graph: Any = None
    why_eager: str = ""


class NonBlockingStream:
    """``_core.CudaStream``; ``live`` has the GPU of each."""

    live: ClassVar[dict[int, int]] = {}
    current: ClassVar[Current]

    def __init__(self) -> None:
        self.cuda_stream = STREAM + 16 * len(self.live)
        self.live[self.cuda_stream] = self.current.device

    def __del__(self) -> None:
        del self.live[self.cuda_stream]


class Current(threading.local):
    """CUDA's current device: one for each thread."""

    device = 0

    def change(self, device: int) -> int:
        before, self.device = self.device, device
        return before

    @contextmanager
    def hold(self, device: int) -> Iterator[None]:
        before = self.change(device)
        try:
            yield
        finally:
            self.device = before


def use_gpus(monkeypatch: pytest.MonkeyPatch, *gpus: dict[str, Any]) -> Current:
    """Has the core see these GPUs, and no network of it needs one. Gives what is current."""
    current = Current()
    build = {**_core.build_info(), "cuda": True, "cuda_problem": None if gpus else "no driver"}
    monkeypatch.setattr(_core, "build_info", lambda: build)
    monkeypatch.setattr(_core, "cuda_devices", lambda: list(gpus))
    monkeypatch.setattr(_core, "set_cuda_device", current.change)
    monkeypatch.setattr(_core, "CudaDeviceScope", current.hold)
    monkeypatch.setattr(_core, "python_network", Network)
    monkeypatch.setattr(NonBlockingStream, "current", current, raising=False)
    monkeypatch.setattr(_core, "CudaStream", NonBlockingStream)
    return current


def plan(tag: str = "ftrt", **changes: Any) -> bytes:
    """A plan of one float32 image 32x48 and its matte, or with changes."""
    described = {
        "inputs": {"input": ["FLOAT", [1, 3, 32, 48]]},
        "outputs": {"matte": ["FLOAT", [1, 1, 32, 48]]},
        "profile": None,
        "fails": [],
        "capturable": True,
        **changes,
    }
    return tag.encode() + json.dumps(described).encode()


class Context:
    """IExecutionContext; ``engine.described["fails"]`` names the calls that are refused."""

    def __init__(self, engine: Engine, config: Any) -> None:
        self.engine, self.config = engine, config
        self.shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}
        self.streams: list[int] = []

    def _answer(self, call: str) -> bool:
        if call in self.engine.described["fails"]:
            self.engine.logger.log(fake_tensorrt.Severity.ERROR, f"{call} went wrong")
            return False
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name in self.engine.described["inputs"]
        self.shape = shape
        return self._answer("set_input_shape")

    def get_tensor_shape(self, name: str) -> list[int]:
        assert self.shape, "asked before the input's shape was set"
        shape = self.engine.described["outputs"][name][1]
        return [given if side == -1 else side for side, given in zip(shape, (1, 1, *self.shape[2:]), strict=False)]

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return self._answer("set_tensor_address")

    def execute_async_v3(self, stream_handle: int) -> bool:
        self.streams.append(stream_handle)
        return self._answer("execute_async_v3")


class RtxContext(Context):
    def is_stream_capturable(self, stream: int) -> bool:
        assert self.shape
        assert stream in NonBlockingStream.live, "no stream that was made, or one that is gone"
        assert NonBlockingStream.live[stream] == self.engine.module.current(), "a stream of another GPU"
        return bool(self.engine.described["capturable"])


class Engine:
    """What every ICudaEngine has."""

    def __init__(self, module: Any, described: dict[str, Any], logger: Any) -> None:
        self.module, self.described, self.logger = module, described, logger
        self.tensors = {**described["inputs"], **described["outputs"]}
        self.num_io_tensors = len(self.tensors)
        self.contexts: list[Context] = []

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        modes = fake_tensorrt.TensorIOMode
        return modes.INPUT if name in self.described["inputs"] else modes.OUTPUT

    def get_tensor_shape(self, name: str) -> list[int]:
        return list(self.tensors[name][1])

    def get_tensor_dtype(self, name: str) -> Any:
        return fake_tensorrt.DataType[self.tensors[name][0]]

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[list[int]]:
        assert profile == 0
        return list(self.described["profile"])

    def create_execution_context(self) -> Context | None:
        return self._made(Context, None)

    def _made(self, kind: type[Context], config: Any) -> Context | None:
        self.module.note("context")
        if "create_execution_context" in self.described["fails"]:
            self.logger.log(fake_tensorrt.Severity.ERROR, "OutOfMemory")
            return None
        self.contexts.append(kind(self, config))
        return self.contexts[-1]


class OldEngine(Engine):
    """ICudaEngine of TensorRT 10.0, without the configuration of contexts."""

    device_memory_size = 7_500_000


class ConfiguredEngine(Engine):
    """ICudaEngine of TensorRT from 10.13 on."""

    device_memory_size_v2 = 7_500_000

    @property
    def device_memory_size(self) -> int:
        raise AssertionError("asked, though it warns that it is deprecated, and TensorRT 11 has it no more")

    def create_runtime_config(self) -> Any:
        return SimpleNamespace(set_execution_context_allocation_strategy=None)

    def create_execution_context(self, runtime_config: Any = None) -> Context | None:  # type: ignore[override]
        return self._made(Context, runtime_config)


class RtxEngine(Engine):
    """ICudaEngine of TensorRT-RTX."""

    device_memory_size_v2 = 7_500_000

    def create_runtime_config(self) -> Config:
        return Config(self)

    def create_execution_context(self, runtime_config: Any = None) -> Context | None:  # type: ignore[override]
        return self._made(RtxContext, runtime_config)


class CudaGraphStrategy(Enum):
    DISABLED, WHOLE_GRAPH_CAPTURE = range(2)


class DynamicShapesKernelSpecializationStrategy(Enum):
    LAZY, EAGER, NONE = range(3)


@dataclass
class Cache:
    """IRuntimeCache; it takes only what an engine of the same fake runtime wrote."""

    engine: RtxEngine
    loaded: list[bytes] = field(default_factory=list)

    def deserialize(self, blob: bytes) -> bool:
        self.loaded.append(blob)
        return blob.startswith(b"kernels")

    def serialize(self) -> bytes:
        if "serialize" in self.engine.described["fails"]:
            raise RuntimeError("serialize went wrong")
        return b"kernels" + b"+" * sum(len(context.streams) > 0 for context in self.engine.contexts)


@dataclass
class Config:
    """IRuntimeConfig."""

    engine: RtxEngine
    cuda_graph_strategy: CudaGraphStrategy = CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    dynamic_shapes_kernel_specialization_strategy: Any = DynamicShapesKernelSpecializationStrategy.LAZY
    cache: Cache | None = None

    def create_runtime_cache(self) -> Cache:
        return Cache(self.engine)

    def set_runtime_cache(self, cache: Cache) -> bool:
        self.cache = cache
        return "set_runtime_cache" not in self.engine.described["fails"]


def make(name: str, version: str = "10.13.0.35") -> Any:
    """A module "tensorrt" or "tensorrt_rtx" that runs fake plans; ``module.engines`` has those it loaded."""
    module = fake_tensorrt.make(version)
    module.engines = []
    kind = RtxEngine if name == "tensorrt_rtx" else OldEngine if version.startswith("10.0") else ConfiguredEngine

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def deserialize_cuda_engine(self, data: bytes) -> Engine | None:
            try:
                described = json.loads(data[4:])
            except ValueError:
                self.logger.log(fake_tensorrt.Severity.ERROR, "the plan is damaged")
                return None
            module.note("deserialize")
            module.engines.append(kind(module, described, self.logger))
            return module.engines[-1]

    module.Runtime = Runtime
    if name == "tensorrt_rtx":
        module.CudaGraphStrategy = CudaGraphStrategy
        module.DynamicShapesKernelSpecializationStrategy = DynamicShapesKernelSpecializationStrategy
        targets = ("NONE", "CURRENT", "SM75", "SM80", "SM86", "SM89", "SM120")
        module.ComputeCapability = SimpleNamespace(__members__=dict.fromkeys(targets))
    return module
