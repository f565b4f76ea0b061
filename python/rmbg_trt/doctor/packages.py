# SPDX-License-Identifier: Apache-2.0
"""The optional packages, runtimes and file formats, found without importing them."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """An optional package: a runtime or a file format."""

    name: str
    purpose: str
    installed: bool
    version: str | None
    runs_networks: bool  # whether an engine of this version can run on it
    install: str  # the command


def examine_packages() -> tuple[Package, ...]:
    """Look for every package of which rmbg-trt can make use."""
    from ..runtimes.devices import RUNTIMES

    trt_names = ("tensorrt-cu13", "tensorrt-cu12", "tensorrt")
    rtx_names = ("tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu12-bindings", "tensorrt-rtx")
    rtx_modules = ("tensorrt_rtx", "tensorrt_rtx_bindings")
    found = (
        find_package("OpenVINO", "int8, more networks on the CPU", "openvino", ("openvino",), ("openvino",)),
        find_package("TensorRT", "plans for NVIDIA GPUs", "tensorrt", ("tensorrt",), trt_names),
        find_package("TensorRT-RTX", "plans for RTX GPUs", "rtx", rtx_modules, rtx_names),
        find_package("PyTorch", "export; networks on NVIDIA GPUs", "export", ("torch",), ("torch",)),
        find_package("ONNX Runtime", "export", "export", ("onnxruntime",), ("onnxruntime", "onnxruntime-gpu")),
        find_package("Lightning", "training", "train", ("lightning",), ("lightning",)),
        find_package("pysodmetrics", "evaluation", "train", ("py_sod_metrics",), ("pysodmetrics",)),
        find_package("pillow-heif", "HEIC pictures", "heif", ("pillow_heif",), ("pillow-heif",)),
    )
    runtimes = {"OpenVINO": "openvino", "TensorRT": "tensorrt", "TensorRT-RTX": "tensorrt_rtx", "PyTorch": "torch"}
    return tuple(dataclasses.replace(each, runs_networks=runtimes.get(each.name) in RUNTIMES) for each in found)


def find_package(
    name: str, purpose: str, extra: str, modules: tuple[str, ...], distributions: tuple[str, ...]
) -> Package:
    """Look for a package without importing it. `extra` is ours: ``pip install "rmbg-trt[extra]"`` brings it."""
    installed = any(_module_exists(module) for module in modules)
    version = None
    for distribution in distributions if installed else ():
        try:
            version = importlib.metadata.version(distribution)
            break
        except importlib.metadata.PackageNotFoundError:
            continue
    return Package(name, purpose, installed, version, False, f'pip install "rmbg-trt[{extra}]"')


def _module_exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
