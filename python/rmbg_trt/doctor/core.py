# SPDX-License-Identifier: Apache-2.0
"""The compiled core: how it was built, and which GPUs it can use itself."""

from __future__ import annotations

import importlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Core:
    """The compiled core, and the devices which it can use itself. `problem` says why it is missing or sees no GPU."""

    version: str | None
    compiler: str | None
    cuda: bool
    cuda_version: str | None
    cuda_architectures: str
    devices: tuple[str, ...]
    problem: str | None


def examine_core() -> Core:
    """Load the core and ask it."""
    try:
        core = importlib.import_module(".._core", __package__)
        built = core.build_info()
        devices = core.cuda_devices() if built["cuda"] else []
        return Core(
            version=built["version"],
            compiler=built["compiler"],
            cuda=built["cuda"],
            cuda_version=built["cuda_version"],
            cuda_architectures=built["cuda_architectures"],
            devices=tuple(str(device["name"]) for device in devices),
            problem=built.get("cuda_problem"),
        )
    except Exception as error:  # a broken build or driver is what the doctor is there to tell
        return Core(None, None, False, None, "", (), f"{type(error).__name__}: {error}")
