# SPDX-License-Identifier: Apache-2.0
"""The initial network of a run: with random weights, or from published weights or a checkpoint."""

from __future__ import annotations

import dataclasses

from torch import nn

from .. import models as catalogue
from ..errors import InputError
from .config import TrainConfig
from .models import ARCHITECTURES, ModelConfig, build, import_onnx, load_checkpoint
from .models.onnx_weights import read_any_onnx

MODEL = "model.json"  # in a run's folder: the configuration for its checkpoints


def initial_model(config: TrainConfig, progress: catalogue.Progress | None = None) -> tuple[nn.Module, ModelConfig]:
    """Makes the network of a run, with all its outputs.

    Args:
        config: Its `architecture`, `init` and `size` are used.
        progress: Called while a catalogue model is fetched.

    Returns:
        The network on the CPU, and the configuration for its checkpoints.

    Raises:
        InputError: There is no such architecture, or the weights are of another one.
        ModelError: The file is damaged or not a checkpoint of ours.
        UnavailableError: The weights cannot be fetched, or a package is missing.
    """
    if config.architecture and config.architecture not in ARCHITECTURES:
        raise InputError(f"architecture is {config.architecture!r}; expected one of {', '.join(ARCHITECTURES)}")
    size = (config.size, config.size)
    if not config.init:
        architecture = config.architecture or "u2netp"
        return build(architecture), ModelConfig(architecture, ARCHITECTURES[architecture].max_outputs, size)
    model, found = read_weights(config.init, progress)
    if config.architecture not in ("", found.architecture):
        raise InputError(f"{config.init} holds weights of {found.architecture}; expected {config.architecture}")
    outputs = ARCHITECTURES[found.architecture].max_outputs
    return model, dataclasses.replace(found, outputs=outputs, input_size=size)


def resumed_model(text: str) -> tuple[nn.Module, ModelConfig]:
    """The network of a run to resume, from its ``model.json``, without weights. Raises InputError if it is damaged."""
    try:
        config = ModelConfig.from_json(text)
        return build(config.architecture), config
    except ValueError as error:
        raise InputError(f"the run's {MODEL} is damaged: {error}") from error


def read_weights(name: str, progress: catalogue.Progress | None = None) -> tuple[nn.Module, ModelConfig]:
    """Reads a catalogue name, an ``.onnx``, ``.pth`` or ``.safetensors`` file. Errors as for `initial_model`."""
    path = catalogue.resolve(name, progress=progress)
    if path.suffix.lower() != ".onnx":
        checkpoint = load_checkpoint(path)
        return checkpoint.model, checkpoint.config
    model, architecture = import_onnx(read_any_onnx(path))
    return model, ModelConfig(architecture, ARCHITECTURES[architecture].max_outputs)
