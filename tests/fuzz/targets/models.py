# SPDX-License-Identifier: Apache-2.0
"""Fuzz targets: networks, checkpoints, sidecars and plans."""

from __future__ import annotations

import functools
import io
import json

import numpy as np
from tests import small_models
from tests.fuzz.targets.base import folder, new_file, refusable

from rmbg_trt import _core

_LARGEST = 10_000  # pixels of a network's input: more finds nothing new, and costs time


def onnx_seeds() -> list[bytes]:
    path = folder() / "seed.onnx"
    return [
        small_models.matte(path, 8, 12).read_bytes(),
        small_models.rigid(path, 8, 12).read_bytes(),
        small_models.matte(path, "height", "width", outputs=2).read_bytes(),
    ]


def read_onnx(data: bytes) -> None:
    """Reads a network, compiles it for the CPU and, where it is small, runs it."""
    from rmbg_trt.runtimes.native import import_graph
    from rmbg_trt.runtimes.onnx_file import read_network
    from rmbg_trt.runtimes.request import UnsupportedNetworkError

    path = new_file(data, "fuzzed.onnx")
    file = refusable(lambda: read_network(path, None))
    if file is None or np.prod(file.size) > _LARGEST:
        return
    try:
        model = refusable(lambda: _core.CpuModel(import_graph(file)))
    except UnsupportedNetworkError:
        return
    if model is not None:
        model.network().run(np.zeros((1, 3, *file.size), np.float32))


def checkpoint_seeds() -> list[bytes]:
    import torch
    from safetensors.torch import save

    import rmbg_trt.training.models  # noqa: F401, slow; no input is to be blamed for it

    tensors = {"conv.weight": torch.zeros(2, 3, 3, 3), "conv.bias": torch.zeros(2)}
    pickled = io.BytesIO()
    torch.save({"state_dict": tensors, "epoch": 3}, pickled)
    return [save(tensors, {"format": "pt"}), pickled.getvalue(), b"<html>not found</html>", b""]


def read_checkpoint(data: bytes) -> None:
    from rmbg_trt.training.models import load_checkpoint

    for name in ("fuzzed.pth", "fuzzed.safetensors"):
        path = new_file(data, name)
        refusable(functools.partial(load_checkpoint, path))


def inspect_seeds() -> list[bytes]:
    import rmbg_trt.export.inspect_file  # noqa: F401, slow; no input is to be blamed for it

    sidecar = {
        "format": "rmbg-trt sidecar 1",
        "artefact": "fuzzed.onnx",
        "sha256": "0" * 64,
        "precision": "fp16",
        "normalisation": {"color": "rgb"},
        "input": {"name": "input", "shape": [1, 3, 8, 12], "dtype": "float32", "largest": [1, 3, 9, 9]},
        "output": {"name": "output", "shape": [1, 1, 8, 12]},
        "source": {"name": "u2netp"},
        "tools": {"torch": "2"},
        "targets": ["8.6"],
        "fp32_layers": ["a"],
        "verification": [{"max_abs": 0.1, "mean_alpha": 0.2, "iou": None, "worst_image": "x"}],
        "forced": True,
    }
    text = json.dumps(sidecar).encode()
    return [b"\0" + text, *(bytes([kind]) + b"ftrt" + text for kind in (1, 2)), b"\1vtrt\0\0\0\1", b"\2" + text]


def inspect_file(data: bytes) -> None:
    """A sidecar beside an empty model, a plan, or a model with a name of its own: all that `export --inspect` reads."""
    from rmbg_trt.export.inspect_file import inspect
    from rmbg_trt.recipe import sidecar_path

    kind, rest = (data[0] % 3 if data else 0), data[1:]
    model = new_file(b"ftrt" if kind == 0 else rest, "fuzzed.plan" if kind < 2 else "inspected.onnx")
    beside = sidecar_path(model)
    beside.unlink(missing_ok=True)
    if kind == 0:
        beside.write_bytes(rest)
    refusable(lambda: inspect(model))
