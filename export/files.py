# SPDX-License-Identifier: Apache-2.0
"""Writes the files of an export with their sidecars: names, checks beforehand, contents."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import Error, InputError
from ..files import atomic_file, check_writable
from ..recipe import Sidecar, Tensor, normalisation, sidecar_path, write_sidecar
from . import graph
from .checks import Checks
from .options import InputShape, Options
from .source import Source, package_versions
from .to_tensorrt import BuiltPlan


@dataclass(frozen=True)
class Artefact:
    """An exported model."""

    path: Path  # of its file
    data: bytes = field(repr=False)
    precision: str  # "fp32" or "fp16"
    fp32_layers: tuple[str, ...] = ()  # nodes of an fp16 model that stay in float32
    nodes: dict[str, int] = field(default_factory=dict)  # of an ONNX graph: number by operator
    plan: BuiltPlan | None = None


def paths(out: Path, options: Options) -> dict[str, Path]:
    """The path of each model; the last one is ``out`` itself. Raises InputError if its suffix does not fit."""
    if options.onnx_only != (out.suffix.lower() == ".onnx"):
        kind = "an ONNX file, which ends in .onnx" if options.onnx_only else "a plan; for ONNX give --onnx-only"
        raise InputError(f"{out}: what is written is {kind}")
    final = None if not options.onnx_only else options.precision
    names = ["fp32"] if options.precision == "fp32" else ["fp32", "fp16"]
    models = {name: out if name == final else out.with_name(f"{out.stem}.{name}.onnx") for name in names}
    return models if options.onnx_only else {**models, "plan": out}


def check(paths: dict[str, Path], source: str, options: Options) -> None:
    """Checks before the work that its results can be written.

    Raises:
        InputError: A file exists already, or is the source itself.
        Error: The folder cannot be written.
    """
    for file in [file for path in paths.values() for file in (path, sidecar_path(path))]:
        try:
            exists = file.exists()
            is_source = exists and Path(source).exists() and file.samefile(source)
        except OSError as error:
            raise Error(f"{file} could not be written: {error.strerror or error}") from error
        if is_source:
            raise InputError(f"{file} is the source itself; choose another name with -o")
        if exists and not options.overwrite and not file.is_dir():
            raise InputError(f"{file} already exists; give --overwrite to replace it, or another name with -o")
        check_writable(file)


def check_new(*files: Path, overwrite: bool) -> None:
    """Raises `InputError` if a file exists already, unless it may be replaced."""
    for file in files:
        if file.exists() and not overwrite:
            raise InputError(f"{file} already exists; give --overwrite to replace it, or another name with -o")


def tensors(model: Any, shape: InputShape) -> tuple[Tensor, Tensor]:
    """Input and output of an ONNX model for the sidecar, with the range of shapes that it was exported for."""
    sides = (
        tuple(side.dim_value or -1 for side in value.type.tensor_type.shape.dim)
        for value in (model.graph.input[0], model.graph.output[0])
    )
    source, matte = map(Tensor, (graph.INPUT, graph.OUTPUT), sides)
    if not shape.fixed:
        source = dataclasses.replace(source, smallest=shape.smallest, usual=shape.usual, largest=shape.largest)
    return source, matte


def write(artefact: Artefact, source: Source, tensors: tuple[Tensor, Tensor], checks: Checks) -> None:
    """Writes a model and its sidecar. Raises Error if that fails; no half file is left."""
    plan, config = artefact.plan, source.config
    with atomic_file(artefact.path) as file:
        file.write(artefact.data)
        file.flush()  # a full disk shows here, before there is a sidecar
        write_sidecar(
            artefact.path,
            Sidecar(
                artefact=artefact.path.name,
                sha256=hashlib.sha256(artefact.data).hexdigest(),
                input=tensors[0],
                output=tensors[1],
                precision=artefact.precision,
                fp32_layers=artefact.fp32_layers,
                normalisation=normalisation(config.mean, config.std) if config else normalisation(),
                source={"name": source.path.name, "sha256": source.sha256, "architecture": source.architecture},
                tools=package_versions(),
                runtime=plan.runtime if plan else None,
                runtime_version=plan.runtime_version if plan else None,
                targets=plan.targets if plan else (),
                gpu=plan.gpu.name if plan and plan.gpu else None,
                compute_capability=plan.gpu.compute_capability if plan and plan.gpu else None,
                verification=checks.to_list(),
                forced=bool(checks.failures()),
            ),
        )
