# SPDX-License-Identifier: Apache-2.0
"""examples/gpu_arrays.py on a GPU. On the stand-in, which PyCUDA cannot use, a few lines play PyCUDA's part."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.gpu import gpu_networks as gpu

from rmbg_trt import Engine, _core, engine
from rmbg_trt.runtimes.request import Opened

EXAMPLE = Path(__file__).parents[2] / "examples" / "gpu_arrays.py"


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Engine, Engine]]:
    """An engine on the GPU and one on the CPU, over a network that copies the red plane."""
    networks = gpu.RedPlane().network, gpu.fakes.network(lambda x: x[0, 0], gpu.SIZE)
    places: tuple[dict[str, Any], ...] = ({"device": "cuda:0", "device_index": 0}, {})
    (tmp_path / "fake.onnx").touch()
    made = []
    for network, place in zip(networks, places, strict=True):
        opened = Opened([network], "fake", "1", "a test", "fp32", "a test", **place)
        monkeypatch.setattr(engine, "open_network", lambda path, opened=opened, **_: (opened, "a test"))
        made.append(Engine(tmp_path / "fake.onnx", slots=1, color="rgb"))
    yield made[0], made[1]
    for each in made:
        each.close()


class Array:
    """As much of a PyCUDA array as the example uses."""

    def __init__(self, content: NDArray[np.uint8]) -> None:
        self._memory = _core.cuda_upload(content)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """With PyCUDA's entries."""
        memory = self._memory
        strides = tuple(int(np.prod(memory.shape[axis + 1 :])) for axis in range(len(memory.shape)))
        described = {"shape": memory.shape, "strides": strides, "data": (memory.ptr, False), "typestr": "|u1"}
        return {**described, "stream": None, "version": 3}

    def get(self) -> NDArray[np.uint8]:
        return self._memory.numpy()


@pytest.fixture
def pycuda_or_its_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    if _core.cuda_devices()[0]["name"] != "CPU stand-in":
        pytest.importorskip("pycuda.autoprimaryctx", exc_type=ImportError)
        return
    package, arrays = ModuleType("pycuda"), ModuleType("pycuda.gpuarray")
    arrays.to_gpu = Array  # type: ignore[attr-defined]
    arrays.empty = lambda shape, dtype: Array(np.full(shape, 77, dtype))  # type: ignore[attr-defined]
    package.gpuarray = arrays  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.autoprimaryctx", ModuleType("pycuda.autoprimaryctx"))
    monkeypatch.setitem(sys.modules, "pycuda.gpuarray", arrays)


def check(function: Callable[[Engine, NDArray[np.uint8]], NDArray[np.uint8]], engines: tuple[Engine, Engine]) -> None:
    ours, cpu = engines
    for seed in range(3):
        frame = np.ascontiguousarray(gpu.random_frame(np.random.default_rng(seed), 40, 56, 3))
        np.testing.assert_array_equal(function(ours, frame), cpu.run(frame))


@pytest.mark.usefixtures("pycuda_or_its_stand_in")
def test_pycuda(engines: tuple[Engine, Engine]) -> None:
    check(runpy.run_path(str(EXAMPLE))["alpha_with_pycuda"], engines)


def test_torch(engines: tuple[Engine, Engine]) -> None:
    torch: Any = pytest.importorskip("torch", exc_type=ImportError)
    if not torch.cuda.is_available():
        pytest.skip("PyTorch finds no GPU: THE EXAMPLE WITH TENSORS DID NOT RUN")
    check(runpy.run_path(str(EXAMPLE))["alpha_with_torch"], engines)
