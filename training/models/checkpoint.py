# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: ours (safetensors with the configuration in the metadata) and state dicts from elsewhere (.pth).

State dicts are read as weights only: a pickle that would run code is rejected.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ModelError, UnavailableError
from ...files import atomic_file
from ...install import install_command
from ...recipe import MEAN, STD
from .registry import ARCHITECTURES, build

FORMAT = "rmbg-trt checkpoint 1"
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_PREFIXES = ("module.", "model.", "_orig_mod.", "net.")


@dataclass(frozen=True)
class ModelConfig:
    """A model and its input: RGB images are divided by their maximum, then normalised with ``mean`` and ``std``."""

    architecture: str  # a key of models.ARCHITECTURES
    outputs: int  # maps that the model was trained with
    input_size: tuple[int, int] = (320, 320)  # (height, width) of the training images; other sizes work as well
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD

    def __post_init__(self) -> None:
        def numbers(values: Any, count: int) -> bool:
            return isinstance(values, tuple) and len(values) == count and all(map(_is_finite, values))

        if not numbers(self.input_size, 2) or not all(isinstance(side, int) for side in self.input_size):
            raise ValueError(f"input_size is {self.input_size!r}; expected (height, width)")
        if not numbers(self.mean, 3) or not numbers(self.std, 3) or min(self.std) <= 0:
            raise ValueError(f"mean is {self.mean!r} and std {self.std!r}; expected three numbers each, std above 0")

    def to_json(self) -> str:
        """The configuration as JSON, keys sorted."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Reads what ``to_json`` wrote. Raises ValueError if it is not JSON, or does not have these fields."""
        try:
            fields = json.loads(text).items()
            values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields}
            return cls(**values)
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not a model configuration: {error}") from error


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


@dataclass(frozen=True)
class Checkpoint:
    """A model with its weights, in evaluation mode, and its configuration."""

    model: nn.Module
    config: ModelConfig


def save_checkpoint(model: nn.Module, config: ModelConfig, path: Path) -> None:
    """Writes a ``.safetensors`` file, which is either complete or absent.

    Args:
        model: One of ``ARCHITECTURES``, on any device.
        config: Goes into the file's metadata.
        path: The file.

    Raises:
        Error: The file cannot be written.
    """
    from safetensors.torch import save

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    data = save(state, metadata={FORMAT: config.to_json()})  # one entry: the order of several is random
    with atomic_file(path) as file:
        file.write(data)


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads one of our checkpoints, or a state dict of the official U²-Net (bare, or as trainers wrap it).

    Raises:
        ModelError: The file is damaged, would run code, or fits none of our architectures; the message says how it
            differs from the nearest.
        UnavailableError: safetensors is not installed.
    """
    if path.suffix.lower() == ".safetensors":
        state, config = _read_safetensors(path)
    else:
        state, config = _read_pickle(path), None
    architecture = identify(state, path)
    if config is None:
        config = ModelConfig(architecture, ARCHITECTURES[architecture].max_outputs)
    elif config.architecture != architecture:
        raise ModelError(f"{path}: says it is {config.architecture!r}, but its weights are those of {architecture!r}")
    model = build(architecture)
    missing, unexpected = model.load_state_dict(state, strict=False)
    unimportant = all(name.endswith("num_batches_tracked") for name in [*missing, *unexpected])
    assert unimportant, "identify() has compared the names"
    return Checkpoint(model.eval(), config)


def identify(state: Mapping[str, Tensor], path: Path) -> str:
    """The architecture that has these weights. Raises ModelError if none has."""
    got = _shapes(state)
    nearest, distance = "", float("inf")
    expected: dict[str, tuple[int, ...]] = {}  # of the nearest
    for name in ARCHITECTURES:
        with torch.device("meta"):
            shapes = _shapes(build(name).state_dict())
        if got == shapes:
            return name
        differing = len(set(got.items()) ^ set(shapes.items()))
        if differing < min(distance, len(shapes)):
            nearest, expected, distance = name, shapes, differing
    if not nearest:
        raise ModelError(
            f"{path}: not a checkpoint of {', '.join(ARCHITECTURES)}: it has {len(got)} tensors, such as "
            f"{', '.join(list(got)[:3]) or 'none'}"
        )
    wrong = [f"{k} {got[k]} (expected {expected[k]})" for k in got if k in expected and got[k] != expected[k]]
    parts = {
        "missing": [name for name in expected if name not in got],
        "unexpected": [name for name in got if name not in expected],
        "of another shape": wrong,
    }
    differences = "; ".join(f"{len(names)} {what}: {_some(names)}" for what, names in parts.items() if names)
    raise ModelError(f"{path}: nearest to {nearest}, but not the same: {differences}")


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(t.shape) for name, t in state.items() if not name.endswith("num_batches_tracked")}


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], ModelConfig | None]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise UnavailableError(f"safetensors is not installed: {install_command('export')}") from error
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
        config = ModelConfig.from_json(metadata[FORMAT]) if FORMAT in metadata else None
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path}: not a readable safetensors file ({error})") from error
    return state, config


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, zlib, struct, pickle, OS and PyTorch's own errors: all mean a damaged file
        if isinstance(error, pickle.UnpicklingError) and ("Unsupported" in str(error) or "GLOBAL" in str(error)):
            raise ModelError(
                f"{path}: holds Python objects, not only weights, and reading them could run any code; save only the "
                f"weights: torch.save(model.state_dict(), ...) ({_reason(error)})"
            ) from error
        raise ModelError(f"{path}: not a readable PyTorch file ({_reason(error)})") from error
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    named = isinstance(content, Mapping) and all(isinstance(name, str) for name in content)
    if not named or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelError(f"{path}: holds a {type(content).__name__}, not a state dict of tensors by name")
    return _without_prefix(dict(content))


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Removes the prefixes that DataParallel, torch.compile and trainers add to the names."""
    for prefix in _PREFIXES:
        if state and all(name.startswith(prefix) for name in state):
            return _without_prefix({name[len(prefix) :]: tensor for name, tensor in state.items()})
    return state


def _reason(error: BaseException) -> Any:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "Unsupported" in line or "GLOBAL" in line), lines[-1] if lines else error)
