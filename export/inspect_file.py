# SPDX-License-Identifier: Apache-2.0
"""Describes an ONNX file, a plan or a checkpoint as rows of text."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from pathlib import Path
from typing import Any

from .. import _core
from ..errors import Error, InputError, ModelError
from ..files import model_sha256
from ..recipe import Sidecar, Tensor, read_sidecar
from ..runtimes import tensorrt as tensorrt_runtime
from ..runtimes import tensorrt_plan
from ..runtimes.devices import TITLES, file_kind
from ..runtimes.openvino import is_quantised, read_model, shared_core
from .graph import node_counts
from .source import require_packages

Rows = list[tuple[str, str]]


def inspect(path: Path) -> Rows:
    """Describes a model file.

    Args:
        path: A ``.plan``/``.engine`` of any TensorRT, an ``.onnx`` or ``.rmbg`` file, an OpenVINO ``.xml``, or a
            checkpoint.

    Returns:
        (title, value) pairs to show in this order. A plan is described by its sidecar and, if its runtime and a GPU are
        available, by the engine itself.

    Raises:
        InputError: There is no such file.
        ModelError: It is damaged or of another kind.
        UnavailableError: A package to read it is not installed.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    kind, suffix = file_kind(path), path.suffix.lower()
    rows = [("file", f"{path.name}, {_size(path.stat().st_size)}"), ("sha256", model_sha256(path))]
    if kind in TITLES:
        rows += _plan(path, kind)
    elif kind == "native":
        rows += _native(path)
    elif suffix == ".onnx":
        rows += _onnx(path)
    elif suffix == ".xml":
        rows += _openvino(path)
    else:
        rows += _checkpoint(path)
    try:
        sidecar = read_sidecar(path)
    except ModelError as error:
        return [*rows, ("sidecar", str(error))]
    if sidecar is None:
        return [*rows, ("sidecar", "none")]
    match = "" if sidecar.sha256 == dict(rows)["sha256"] else "it belongs to another file: its sha256 does not match"
    return [*rows, *([("sidecar", match)] if match else []), *_sidecar(sidecar)]


def _plan(path: Path, kind: str) -> Rows:
    rows = [("kind", f"plan of {TITLES[kind]}")]
    try:
        runtime = tensorrt_runtime.load(kind)
        engine = tensorrt_plan.deserialize(runtime, path.read_bytes())
    except Error as error:
        return [*rows, ("engine", f"not loaded: {error}")]
    for tensor in tensorrt_plan.io_tensors(runtime, engine):
        rows.append(("input" if tensor.is_input else "output", f"{tensor.name} {list(tensor.shape)} {tensor.dtype}"))
    return [*rows, ("layers", str(engine.num_layers))]


def _onnx(path: Path) -> Rows:
    from onnx import TensorProto

    from ..training.models.onnx_weights import read_any_onnx

    model = read_any_onnx(path)
    opsets = ", ".join(f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in model.opset_import)
    sizes = [math.prod(weight.dims) for weight in model.graph.initializer]
    dtypes = sorted({TensorProto.DataType.Name(weight.data_type).lower() for weight in model.graph.initializer})
    counts = node_counts(model)
    rows = [
        ("kind", f"ONNX, opset {opsets}, IR {model.ir_version}, by {model.producer_name or 'unknown'}"),
        *(("input", _value(value)) for value in model.graph.input),
        *(("output", _value(value)) for value in model.graph.output),
        ("weights", f"{sum(sizes):,} numbers in {len(sizes)} tensors ({', '.join(dtypes)})"),
        ("nodes", f"{sum(counts.values())}: " + ", ".join(f"{count} {name}" for name, count in counts.items())),
    ]
    return [*rows, ("architecture", _architecture(model))]


def _native(path: Path) -> Rows:
    model = _core.read_model_file(str(path))
    mean, std = model.normalization
    bf16 = f"{model.centres.size} centres, {'keeps' if model.keeps_mattes else 'does not keep'} the mattes of fp32"
    return [
        ("kind", "model file of our own network"),
        ("input", str([1, *model.graph.shape(0)])),
        ("recipe", f"mean {tuple(mean)}, std {tuple(std)}"),
        ("bf16", bf16 if model.centres.size else "no centres"),
    ]


def _openvino(path: Path) -> Rows:
    model = read_model(shared_core(), path, None)
    counts = Counter(op.get_type_name() for op in model.get_ops())
    constants = counts.pop("Constant", 0)
    ports = [("input", model.inputs[0]), ("output", model.outputs[0])]
    return [
        ("kind", "OpenVINO, 8 bit" if is_quantised(model) else "OpenVINO"),
        *(
            (what, f"{port.get_any_name()} {list(port.shape)} {port.element_type.get_type_name()}")
            for what, port in ports
        ),
        ("nodes", f"{counts.total()}: " + ", ".join(f"{count} {name}" for name, count in counts.most_common())),
        ("constants", str(constants)),
    ]


def _architecture(model: Any) -> str:
    try:
        from ..training.models import import_onnx
    except ImportError:
        return "unknown: PyTorch is not installed"
    try:
        return import_onnx(model)[1]
    except ModelError as error:
        return str(error)


def _checkpoint(path: Path) -> Rows:
    require_packages()
    from ..training.models import load_checkpoint

    checkpoint = load_checkpoint(path)
    weights = sum(parameter.numel() for parameter in checkpoint.model.parameters())
    config = dataclasses.asdict(checkpoint.config)
    return [
        ("kind", "checkpoint"),
        *((name.replace("_", " "), str(value)) for name, value in config.items()),
        ("weights", f"{weights:,} numbers in {len(checkpoint.model.state_dict())} tensors"),
    ]


def _sidecar(sidecar: Sidecar) -> Rows:
    rows = [
        ("takes", _tensor(sidecar.input)),
        ("gives", _tensor(sidecar.output)),
        ("precision", sidecar.precision),
        *([("in float32", ", ".join(sidecar.fp32_layers))] if sidecar.fp32_layers else []),
        ("normalisation", ", ".join(f"{key} {value}" for key, value in sidecar.normalisation.items())),
        ("made from", ", ".join(f"{key} {value}" for key, value in sidecar.source.items())),
        ("made with", ", ".join(f"{name} {version}" for name, version in sidecar.tools.items())),
    ]
    if sidecar.runtime is not None:
        targets = ", ".join(sidecar.targets) or "the runtime's default"
        gpu = f"{sidecar.gpu} ({sidecar.compute_capability})" if sidecar.gpu else f"no GPU; targets: {targets}"
        rows.append(("built by", f"{sidecar.runtime} {sidecar.runtime_version} on {gpu}"))
    for figures in sidecar.verification:
        rows.append(("verified", _figures(figures)))
    return [*rows, ("forced", "yes: it FAILED its verification")] if sidecar.forced else rows


def _figures(figures: dict[str, Any]) -> str:
    """One entry of a sidecar's verification: a comparison, the values inside the network, or a note."""
    if "max_abs" not in figures:
        named = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in figures.items()}
        return ", ".join(str(value) if key in ("what", "note") else f"{key} {value}" for key, value in named.items())
    numbers = {"max": ("max_abs", ".2g"), "alpha /255": ("mean_alpha", ".3f"), "IoU": ("iou", ".5f")}
    texts = [
        f"{title} {'not a number' if figures[key] is None else format(figures[key], style)}"
        for title, (key, style) in numbers.items()
        if key in figures
    ]
    result = "passed" if figures.get("passed") else "FAILED"
    return f"{figures.get('what')}: {', '.join(texts)}, {figures.get('images')} images, {result}"


def _tensor(tensor: Tensor) -> str:
    text = f"{tensor.name} {list(tensor.shape)} {tensor.dtype}"
    shapes = (tensor.smallest, tensor.usual, tensor.largest)
    return text if shapes[0] is None else f"{text}, {' .. '.join(str(list(shape or ())) for shape in shapes)}"


def _value(value: Any) -> str:
    from onnx import TensorProto

    tensor = value.type.tensor_type
    sides = ", ".join(str(side.dim_value or side.dim_param or "?") for side in tensor.shape.dim)
    return f"{value.name} [{sides}] {TensorProto.DataType.Name(tensor.elem_type).lower()}"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 100_000 else f"{size_bytes} bytes"
