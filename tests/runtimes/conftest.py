# SPDX-License-Identifier: Apache-2.0
"""A machine with GPUs and fake runtimes, for the tests of networks on a GPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.runtimes import fake_gpu

RUNTIME_MODULES = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_libs", "tensorrt_rtx_bindings")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., fake_gpu.Current]:
    """``machine(gpu, ..., tensorrt=module)``: these GPUs, these runtimes and no others, and an empty cache."""

    def do(*gpus: dict[str, Any], **modules: Any) -> fake_gpu.Current:
        for name in RUNTIME_MODULES:
            monkeypatch.setitem(sys.modules, name, modules.get(name))  # None: not found
        monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path / "home"))
        current = fake_gpu.use_gpus(monkeypatch, *gpus)
        for module in modules.values():
            module.current = lambda: current.device
        return current

    return do
