# SPDX-License-Identifier: Apache-2.0
"""The JSON file beside an exported model ("u2net.plan.json"): what it takes, where it is from, how it was checked."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import ModelError
from .files import atomic_file

FORMAT = "rmbg-trt sidecar 1"


@dataclass(frozen=True)
class Tensor:
    """An input or output of a network.

    Attributes:
        name: As the model has it.
        shape: (N, C, H, W); -1 for an open length.
        dtype: "float32" or "float16".
        smallest: The smallest shape that an input with open lengths takes, else None.
        usual: The shape it was tuned for, else None.
        largest: The largest shape, else None.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    smallest: tuple[int, ...] | None = None
    usual: tuple[int, ...] | None = None
    largest: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Sidecar:
    """What is known about an exported model.

    Attributes:
        artefact: File name of the model.
        sha256: Of the model, hexadecimal.
        input: The picture.
        output: The matte, a probability.
        precision: "fp32", "fp16" or "int8".
        fp32_layers: Layers of an fp16 model that stay in float32, because half precision would spoil them.
        normalisation: How a picture becomes the input: "color", "divide_by", "mean" and "std".
        source: What was exported: "name", "sha256", "architecture".
        tools: Versions of the packages that took part.
        runtime: "tensorrt" or "tensorrt_rtx" for a plan, else None.
        runtime_version: Its version.
        targets: Compute capabilities that a TensorRT-RTX plan was made for; empty: what the runtime takes by default.
        gpu: Name of the GPU that the plan was built on, or None.
        compute_capability: Of that GPU, as "9.0", or None.
        verification: The comparisons that were made, figures and limits.
        forced: Whether it was written although it failed one.
    """

    artefact: str
    sha256: str
    input: Tensor
    output: Tensor
    precision: str
    normalisation: dict[str, Any]
    source: dict[str, Any]
    tools: dict[str, str]
    runtime: str | None = None
    runtime_version: str | None = None
    fp32_layers: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    gpu: str | None = None
    compute_capability: str | None = None
    verification: list[dict[str, Any]] = field(default_factory=list)
    forced: bool = False


def sidecar_path(model: Path) -> Path:
    """Where the sidecar of a model lies."""
    return model.with_name(model.name + ".json")


def write_sidecar(model: Path, sidecar: Sidecar) -> None:
    """Writes the sidecar of a model; it is whole or absent. Raises Error when it cannot be written."""
    content = {"format": FORMAT, **dataclasses.asdict(sidecar)}
    with atomic_file(sidecar_path(model)) as file:
        file.write(json.dumps(content, indent=2, allow_nan=False).encode() + b"\n")


def read_sidecar(model: Path) -> Sidecar | None:
    """Reads the sidecar of a model.

    Returns:
        The sidecar, or None where there is none, as beside a plan that trtexec made.

    Raises:
        ModelError: It is damaged or of another format.
    """
    path = sidecar_path(model)
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable sidecar ({error}); export the model again, or remove it") from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise ModelError(f"{path}: not a sidecar of this version ({FORMAT!r}); export the model again, or remove it")
    try:
        fields: dict[str, Any] = {**content, **{key: tuple(content[key]) for key in ("targets", "fp32_layers")}}
        sidecar = Sidecar(**{**fields, "input": _tensor(content["input"]), "output": _tensor(content["output"])})
        _check(sidecar)
        return sidecar
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: a field is wrong ({error}); export the model again, or remove it") from error


def _tensor(fields: dict[str, Any]) -> Tensor:
    values: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in fields.items()}
    return Tensor(**values)


def _check(sidecar: Sidecar) -> None:
    """Raises ValueError where a field is of another kind than its users expect."""
    for name in ("normalisation", "source", "tools"):
        if not isinstance(getattr(sidecar, name), dict):
            raise ValueError(f"{name} is no object")
    if not isinstance(sidecar.verification, list) or not all(isinstance(each, dict) for each in sidecar.verification):
        raise ValueError("verification is no list of objects")
    for figures in sidecar.verification:
        for name, value in figures.items():
            if name in ("max_abs", "mean_alpha", "iou") and not isinstance(value, (int, float, type(None))):
                raise ValueError(f"verification: {name} is {value!r}")
