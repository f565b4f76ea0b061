# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for the modules of full TensorRT 10 and 11: only the attributes that those have, and what was called.

The parser reads real ONNX; a plan is a few bytes with TensorRT's tag. ``module.built`` tells what a build was asked,
``module.used`` on which GPU each call found itself: that which ``module.current()`` says is current.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from types import ModuleType
from typing import Any

import numpy as np
import onnx

PLAN = b"ftrt fake plan"
PHASES = (("Building engine", None, 2), ("Timing graph nodes", "Building engine", 3))


class Severity(Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    Severity = Severity

    def log(self, severity: Severity, text: str) -> None:
        raise NotImplementedError


class IProgressMonitor:
    pass


class NetworkDefinitionCreationFlag(IntEnum):
    EXPLICIT_BATCH = 0
    STRONGLY_TYPED = 1


class MemoryPoolType(Enum):
    WORKSPACE = 0


class TensorIOMode(Enum):
    NONE, INPUT, OUTPUT = range(3)


class DataType(Enum):
    FLOAT, HALF, INT8 = range(3)


BuilderFlag10 = Enum("BuilderFlag10", ["FP16", "TF32", "BF16", "VERSION_COMPATIBLE"])
BuilderFlag11 = Enum("BuilderFlag11", ["TF32", "VERSION_COMPATIBLE"])


@dataclass
class Profile:
    shapes: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def set_shape(self, name: str, low: Any, usual: Any, high: Any) -> None:
        self.shapes[name] = (low, usual, high)


@dataclass
class TimingCache:
    data: bytes

    def serialize(self) -> bytes:
        return self.data


class Config:
    """IBuilderConfig. TF32 is on at first, as it is there."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.flags = {module.BuilderFlag.TF32}
        self.pools: dict[MemoryPoolType, int] = {}
        self.profiles: list[Profile] = []
        self.cache: TimingCache | None = None
        self.progress_monitor: Any = None

    def set_flag(self, flag: Any) -> None:
        self.flags.add(flag)

    def clear_flag(self, flag: Any) -> None:
        self.flags.discard(flag)

    def set_memory_pool_limit(self, pool: MemoryPoolType, size: int) -> None:
        self.pools[pool] = size

    def add_optimization_profile(self, profile: Profile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, data: bytes) -> TimingCache | None:
        return None if data.startswith(b"damaged") else TimingCache(data)

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        if cache.data.startswith(b"other GPU") and not ignore_mismatch:
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> TimingCache | None:
        return self.cache


@dataclass
class Tensor:
    name: str
    shape: tuple[int, ...]


class Network:
    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.inputs: list[Tensor] = []
        self.num_outputs = self.num_layers = 0

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    def get_input(self, index: int) -> Tensor:
        return self.inputs[index]


class OnnxParser:
    num_errors = 0

    def __init__(self, network: Network, logger: ILogger) -> None:
        self.network = network

    def parse(self, data: bytes) -> bool:
        graph = onnx.load_model_from_string(data).graph
        for each in graph.input:
            lengths = tuple(side.dim_value or -1 for side in each.type.tensor_type.shape.dim)
            self.network.inputs.append(Tensor(each.name, lengths))
        self.network.num_outputs, self.network.num_layers = len(graph.output), len(graph.node)
        return True


class Builder:
    """Logs ``module.says`` while it builds, and gives no plan where one of them is an error."""

    module: ModuleType

    def __init__(self, logger: ILogger) -> None:
        if self.module.driver_error:
            logger.log(Severity.ERROR, self.module.driver_error)
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self.module.note("Builder")
        self.logger = logger

    def create_network(self, flags: int) -> Network:
        return Network(flags)

    def create_builder_config(self) -> Config:
        return Config(self.module)

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
        self.module.note("build")
        self.module.built.append((network, config))
        for severity, text in self.module.says:
            self.logger.log(severity, text)
        if any(severity is Severity.ERROR for severity, _ in self.module.says) or not self._steps(config):
            return None
        if config.cache is not None:
            config.cache.data += b"+timings"
        return PLAN

    @staticmethod
    def _steps(config: Config) -> bool:
        (root, _, outer), (name, parent, inner) = PHASES
        monitor = config.progress_monitor
        monitor.phase_start(root, None, outer)
        for step in range(outer):
            monitor.phase_start(name, parent, inner)  # the same name again, as TensorRT does
            if not all(monitor.step_complete(name, index) for index in range(inner)):
                return False
            monitor.phase_finish(name)
            if not monitor.step_complete(root, step):
                return False
        monitor.phase_finish(root)
        return True


class Builder10(Builder):
    @property
    def platform_has_fast_fp16(self) -> bool:
        raise AssertionError("asked, though TensorRT 11 has it no more")


class Runtime:
    """Loads exactly the fake plan."""

    module: ModuleType

    def __init__(self, logger: ILogger) -> None:
        self.logger = logger

    def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
        self.module.note("deserialize")
        if plan == PLAN:
            return Engine(self.module)
        self.logger.log(
            Severity.ERROR, "Error Code 1: Serialization (assertion stdVersionRead == kSERIALIZATION_VERSION"
        )
        return None


class Engine:
    """A dynamic float32 input and a fixed float16 output."""

    num_io_tensors = 2

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def create_execution_context(self) -> Context:
        self.module.note("context")
        return Context(self.module)

    def get_tensor_name(self, index: int) -> str:
        return ("input", "matte")[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == "input" else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> list[int]:
        return [-1, 3, -1, 64] if name == "input" else [1, 1, 32, 64]

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType.FLOAT if name == "input" else DataType.HALF

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[list[int]]:
        assert (name, profile) == ("input", 0), "TensorRT knows the profiles of inputs only"
        return [[1, 3, 32, 64], [2, 3, 48, 64], [4, 3, 64, 64]]


class Context:
    """IExecutionContext. Its matte is the mean of the first image's colors; the memory is the host's."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.shape: tuple[int, ...] = ()
        self.memory: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        return shape[2] <= 64

    def get_tensor_shape(self, name: str) -> list[int]:
        return [1, 1, 32, 64]

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.memory[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        self.module.note("execute")
        count = self.shape[1] * self.shape[2] * self.shape[3]
        given = np.ctypeslib.as_array((ctypes.c_float * count).from_address(self.memory["input"]))
        matte = np.ctypeslib.as_array((ctypes.c_uint16 * (32 * 64)).from_address(self.memory["matte"]))
        matte.view(np.float16)[:] = given.reshape(3, *self.shape[2:]).mean(0).ravel()[: 32 * 64]
        return True


def make(version: str) -> Any:
    """A module like the ``tensorrt`` of this version, "10.…" or "11.…"."""
    module: Any = ModuleType("tensorrt")
    ten = version.startswith("10.")
    module.__version__ = version
    module.built, module.says, module.driver_error, module.used = [], [], "", []
    module.current = lambda: 0
    module.note = lambda call: module.used.append((call, module.current()))
    module.BuilderFlag = BuilderFlag10 if ten else BuilderFlag11
    module.Builder = type("Builder", (Builder10 if ten else Builder,), {"module": module})
    module.Runtime = type("Runtime", (Runtime,), {"module": module})
    for each in (ILogger, IProgressMonitor, NetworkDefinitionCreationFlag, MemoryPoolType):
        setattr(module, each.__name__, each)
    for each in (TensorIOMode, DataType, OnnxParser):
        setattr(module, each.__name__, each)
    return module
