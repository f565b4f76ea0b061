# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: ours (safetensors with the configuration in the metadata) and state dicts from elsewhere (.pth).

`state_dicts` reads the latter; nothing in a file is executed.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...errors import ModelError, UnavailableError
from ...files import atomic_file
from ...install import install_command
from ...recipe import MEAN, STD
from ...runtimes.onnx_checks import broken_weights
from .registry import ARCHITECTURES, build
from .state_dicts import find_network, read_pickle, refuse_other_files

FORMAT = "rmbg-trt checkpoint 1"


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
    """Reads one of our checkpoints, or a state dict of the official U²-Net (bare, or among other things).

    Raises:
        ModelError: The file is damaged, is no file of weights, has none of our architectures (the message says how it
            differs from the nearest) or several, or its weights hold NaN or Inf.
        UnavailableError: safetensors is not installed.
    """
    if path.suffix.lower() == ".safetensors":
        refuse_other_files(path)
        state, config = _read_safetensors(path)
    else:
        state, config = read_pickle(path), None
    architecture, state = find_network(state, path)
    bad = [name for name, tensor in state.items() if not _all_finite(tensor)]
    if bad:
        raise ModelError(broken_weights(path, bad))
    if config is None:
        config = ModelConfig(architecture, ARCHITECTURES[architecture].max_outputs)
    elif config.architecture != architecture:
        raise ModelError(f"{path}: says it is {config.architecture!r}, but its weights are those of {architecture!r}")
    model = build(architecture)
    missing, unexpected = model.load_state_dict(state, strict=False)
    unimportant = all(name.endswith("num_batches_tracked") for name in missing)
    assert unimportant, "find_network() has compared the names"
    assert not unexpected, "and left out all others"
    return Checkpoint(model.eval(), config)


def _all_finite(tensor: Tensor) -> bool:
    """Whether no value is NaN or Inf; the sum is several times faster than looking at each."""
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


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
