# SPDX-License-Identifier: Apache-2.0
"""What is exported: a checkpoint, an official .pth, an ONNX file or a name of the catalogue."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import models
from ..errors import ModelError
from ..files import file_sha256
from ..runtimes.onnx_file import inputs_of, only_input
from . import requirements

if TYPE_CHECKING:
    from torch import nn

    from ..training.models import ModelConfig

log = logging.getLogger("rmbg_trt.export")


@dataclass(frozen=True)
class Source:
    """An opened source; `model`, `onnx` or both are there.

    Attributes:
        name: As the user called it.
        path: The file.
        sha256: Of the file, hexadecimal.
        model: One of our modules in evaluation mode, or None for an ONNX graph of another architecture.
        config: Of `model`, or None.
        onnx: The file's graph, ``onnx.ModelProto``, or None for a checkpoint.
    """

    name: str
    path: Path
    sha256: str
    model: nn.Module | None
    config: ModelConfig | None
    onnx: Any

    @property
    def architecture(self) -> str | None:
        """Name of our architecture, or None."""
        return None if self.config is None else self.config.architecture


def open_source(name: str, progress: models.Progress | None = None) -> Source:
    """Reads what is to be exported.

    Args:
        name: A catalogue name (fetched if it is not cached), or the path of a ``.safetensors``, ``.pth``, ``.pt``,
            ``.ckpt`` or ``.onnx`` file.
        progress: Called while a catalogue model is fetched.

    Raises:
        InputError: There is no such file or catalogue name.
        ModelError: The file is damaged, would run code, or is no image-to-matte network.
        UnavailableError: A package is missing, or the model cannot be fetched.
    """
    requirements.check()
    path = models.resolve(name, progress=progress)
    sha256 = file_sha256(path)
    from ..training.models import ModelConfig, import_onnx, load_checkpoint

    if path.suffix.lower() != ".onnx":
        checkpoint = load_checkpoint(path)
        return Source(name, path, sha256, checkpoint.model, checkpoint.config, None)
    graph = read_onnx(path)
    try:
        model, architecture = import_onnx(graph)
    except ModelError as error:
        log.info("%s is exported as the graph it is: %s", path.name, error)
        return Source(name, path, sha256, None, None, graph)
    return Source(name, path, sha256, model, ModelConfig(architecture, 1, fixed_size(graph) or (320, 320)), graph)


def read_onnx(path: Path) -> Any:
    """Reads an ONNX file with one picture as its input.

    Returns:
        ``onnx.ModelProto``.

    Raises:
        ModelError: It is damaged, or has another input than (N, 3, H, W) float32.
    """
    import onnx

    from ..training.models.onnx_weights import read_any_onnx

    graph = read_any_onnx(path)
    tensor = only_input(path, graph).type.tensor_type
    sides = [side.dim_value or side.dim_param or "?" for side in tensor.shape.dim]
    if tensor.elem_type != onnx.TensorProto.FLOAT or len(sides) != 4 or (isinstance(sides[1], int) and sides[1] != 3):
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise ModelError(f"{path}: its input is {kind} {sides}; expected float [N, 3, height, width]")
    return graph


def picture_input(graph: Any) -> Any:
    """The input of an ONNX model that is no weight."""
    return inputs_of(graph)[0]


def fixed_size(graph: Any) -> tuple[int, int] | None:
    """(height, width) that an ONNX model wants, or None where one of them is open."""
    height, width = (side.dim_value for side in picture_input(graph).type.tensor_type.shape.dim[2:])
    return (height, width) if height and width else None
