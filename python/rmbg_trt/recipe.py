# SPDX-License-Identifier: Apache-2.0
"""What surrounds a network: the normalisation that the core computes, and the sidecar, the JSON file beside a model.

The sidecar of an exported model ("u2net.plan.json") records its inputs, origin and verification.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import ModelError
from .files import atomic_file

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
DEFAULT_SIDE = 320
"""Height and width of the network's input if a model leaves them open."""

FORMAT = "rmbg-trt sidecar 1"


def check_normalisation(name: str, mean: Sequence[float], std: Sequence[float]) -> None:
    """Refuses a model that was trained with another normalisation, because its mattes would be silently wrong.

    Args:
        name: Name of the model, for the message.
        mean: The model's mean of each channel, for RGB in 0..1.
        std: The model's standard deviation of each channel.

    Raises:
        ModelError: They are not the recipe's.
    """
    same = len(mean) == len(std) == 3 and all(
        abs(got - expected) < 1e-6 for got, expected in zip((*mean, *std), (*MEAN, *STD), strict=True)
    )
    if not same:
        raise ModelError(
            f"{name} was trained on images normalised with mean {tuple(mean)} and std {tuple(std)}; the engine "
            f"supports only {MEAN} and {STD}. Train it with these"
        )


def normalisation(mean: Sequence[float] = MEAN, std: Sequence[float] | None = None) -> dict[str, Any]:
    """The normalisation as a sidecar records it; without arguments the recipe's, for files that do not tell theirs."""
    assumed = {"assumed": True} if std is None else {}
    return {**assumed, "color": "rgb", "divide_by": "maximum", "mean": list(mean), "std": list(std or STD)}


def describe(size: tuple[int, int]) -> str:
    """The recipe's network input in words, for messages about networks that may expect another one."""
    return (
        f"RGB images resized to {size[0]}x{size[1]}, divided by their maximum and normalised with mean {MEAN} and std "
        f"{STD}"
    )


@dataclass(frozen=True)
class Tensor:
    """An input or output of a network."""

    name: str
    shape: tuple[int, ...]  # (N, C, H, W); -1 for an open length
    dtype: str = "float32"  # or "float16"
    smallest: tuple[int, ...] | None = None  # smallest shape of an input with open lengths
    usual: tuple[int, ...] | None = None  # the shape that it was tuned for
    largest: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Sidecar:
    """Facts about an exported model; the names of the fields are the keys of the JSON."""

    artefact: str  # file name of the model
    sha256: str  # of the model, hexadecimal
    input: Tensor  # the image
    output: Tensor  # the matte, a probability
    precision: str  # "fp32", "fp16" or "int8"
    normalisation: dict[str, Any]  # how an image becomes the input: "color", "divide_by", "mean" and "std"
    source: dict[str, Any]  # of the export: "name", "sha256", "architecture"
    tools: dict[str, str]  # versions of the packages that were used
    runtime: str | None = None  # of a plan: "tensorrt" or "tensorrt_rtx"
    runtime_version: str | None = None
    fp32_layers: tuple[str, ...] = ()  # layers that stay in float32, because the precision would spoil them
    targets: tuple[str, ...] = ()  # compute capabilities of a TensorRT-RTX plan; empty for the runtime's default
    gpu: str | None = None  # name of the GPU that the plan was built on
    compute_capability: str | None = None  # of that GPU, such as "9.0"
    verification: list[dict[str, Any]] = field(default_factory=list)  # the comparisons with figures and limits
    forced: bool = False  # whether it was written although the verification failed


def sidecar_path(model: Path) -> Path:
    """The path of a model's sidecar."""
    return model.with_name(model.name + ".json")


def write_sidecar(model: Path, sidecar: Sidecar) -> None:
    """Writes the sidecar of a model; it is complete or absent. Raises Error if it cannot be written."""
    content = {"format": FORMAT, **dataclasses.asdict(sidecar)}
    with atomic_file(sidecar_path(model)) as file:
        file.write(json.dumps(content, indent=2, allow_nan=False).encode() + b"\n")


def read_sidecar(model: Path) -> Sidecar | None:
    """Reads the sidecar of a model; None if there is none, as for a plan from trtexec.

    Raises:
        ModelError: The sidecar is damaged or of another format.
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
    """Raises ValueError if a field has the wrong type."""
    for name in ("normalisation", "source", "tools"):
        if not isinstance(getattr(sidecar, name), dict):
            raise ValueError(f"{name} is not an object")
    if not isinstance(sidecar.verification, list) or not all(isinstance(entry, dict) for entry in sidecar.verification):
        raise ValueError("verification is not a list of objects")
    for figures in sidecar.verification:
        for name, value in figures.items():
            if name in ("max_abs", "mean_alpha", "iou") and not isinstance(value, (int, float, type(None))):
                raise ValueError(f"verification: {name} is {value!r}")
