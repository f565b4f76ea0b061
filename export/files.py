# SPDX-License-Identifier: Apache-2.0
"""The files of an export: their names, whether they may be written, and writing them with their sidecars."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Error, InputError
from ..files import atomic_file, check_writable
from ..sidecar import Sidecar, Tensor, sidecar_path, write_sidecar
from . import graph, requirements
from .options import Options
from .shape import InputShape
from .source import Source
from .to_tensorrt import BuiltPlan

if TYPE_CHECKING:
    from .checks import Checks


@dataclass(frozen=True)
class Artefact:
    """A model that was made.

    Attributes:
        path: Its file.
        data: The bytes.
        precision: "fp32" or "fp16".
        fp32_layers: Nodes of an fp16 model that stay in float32.
        nodes: Of an ONNX graph, by operator.
        plan: What is known of a plan, or None for ONNX.
    """

    path: Path
    data: bytes = field(repr=False)
    precision: str
    fp32_layers: tuple[str, ...] = ()
    nodes: dict[str, int] = field(default_factory=dict)
    plan: BuiltPlan | None = None


def paths(out: Path, options: Options) -> dict[str, Path]:
    """Where each model goes; the last one is ``out`` itself. Raises InputError where its name is of another kind."""
    if options.onnx_only != (out.suffix.lower() == ".onnx"):
        kind = "an ONNX file, which ends in .onnx" if options.onnx_only else "a plan; for ONNX give --onnx-only"
        raise InputError(f"{out}: what is written is {kind}")
    final = None if not options.onnx_only else options.precision
    names = ["fp32"] if options.precision == "fp32" else ["fp32", "fp16"]
    found = {name: out if name == final else out.with_name(f"{out.stem}.{name}.onnx") for name in names}
    return found if options.onnx_only else {**found, "plan": out}


def check(paths: dict[str, Path], source: str, options: Options) -> None:
    """Finds out before the work whether its results can be written.

    Raises:
        InputError: A file is there already, or is the source itself.
        Error: The folder cannot be written.
    """
    for file in [each for path in paths.values() for each in (path, sidecar_path(path))]:
        try:
            there, own = file.exists(), file.exists() and Path(source).exists() and file.samefile(source)
        except OSError as error:
            raise Error(f"{file} could not be written: {error.strerror or error}") from error
        if own:
            raise InputError(f"{file} is the source itself; choose another name with -o")
        if there and not options.overwrite and not file.is_dir():
            raise InputError(f"{file} is there already; give --overwrite to replace it, or another name with -o")
        check_writable(file)


def tensors(model: Any, shape: InputShape) -> tuple[Tensor, Tensor]:
    """Input and output of an ONNX model for the sidecar, with the range of shapes it was made for."""
    given, made = (
        tuple(side.dim_value or -1 for side in each.type.tensor_type.shape.dim)
        for each in (model.graph.input[0], model.graph.output[0])
    )
    source = Tensor(graph.INPUT, given)
    if not shape.fixed:
        source = dataclasses.replace(source, smallest=shape.smallest, usual=shape.usual, largest=shape.largest)
    return source, Tensor(graph.OUTPUT, made)


def write(artefact: Artefact, source: Source, tensors: tuple[Tensor, Tensor], checks: Checks) -> None:
    """Writes a model and its sidecar. Raises Error when that cannot be done; then there is no half file."""
    given, matte = tensors
    plan = artefact.plan
    with atomic_file(artefact.path) as file:
        file.write(artefact.data)
    write_sidecar(
        artefact.path,
        Sidecar(
            artefact=artefact.path.name,
            sha256=hashlib.sha256(artefact.data).hexdigest(),
            input=given,
            output=matte,
            precision=artefact.precision,
            fp32_layers=artefact.fp32_layers,
            normalisation=_normalisation(source),
            source={"name": source.path.name, "sha256": source.sha256, "architecture": source.architecture},
            tools=requirements.versions(),
            runtime=plan.runtime if plan else None,
            runtime_version=plan.runtime_version if plan else None,
            targets=plan.targets if plan else (),
            gpu=plan.gpu.name if plan and plan.gpu else None,
            compute_capability=plan.gpu.compute_capability if plan and plan.gpu else None,
            verification=checks.to_list(),
            forced=bool(checks.failures()),
        ),
    )


def _normalisation(source: Source) -> dict[str, Any]:
    from ..training.models.config import IMAGENET_MEAN, IMAGENET_STD

    config = source.config
    mean, std = (config.mean, config.std) if config else (IMAGENET_MEAN, IMAGENET_STD)
    assumed = {} if config else {"assumed": True}  # a foreign graph does not say
    return {**assumed, "color": "rgb", "divide_by": "maximum", "mean": list(mean), "std": list(std)}
