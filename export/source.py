# SPDX-License-Identifier: Apache-2.0
"""Opens the source of an export: a catalogue model, a checkpoint, an official .pth or an ONNX file."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__, models
from ..errors import ModelError, UnavailableError
from ..files import file_sha256
from ..install import install_command
from ..runtimes.onnx_checks import check_weights, put_matte_first
from ..runtimes.onnx_file import inputs_of, only_input

if TYPE_CHECKING:
    from torch import nn

    from ..training.models import ModelConfig

log = logging.getLogger("rmbg_trt.export")

PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "safetensors")


@dataclass(frozen=True)
class Source:
    """An opened source; it has a `model`, an `onnx` graph or both."""

    name: str  # as the user gave it
    path: Path
    sha256: str  # of the file, hexadecimal
    model: nn.Module | None  # one of our modules in evaluation mode; None for an ONNX graph of another architecture
    config: ModelConfig | None  # of `model`
    onnx: Any  # the file's graph, ``onnx.ModelProto``; None for a checkpoint

    @property
    def architecture(self) -> str | None:
        """Name of our architecture, or None."""
        return None if self.config is None else self.config.architecture


def require_packages() -> None:
    """Raises `UnavailableError`, with the command to install them, if packages for exporting are missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UnavailableError(f"export needs {', '.join(missing)}: {install_command('export')}")


def package_versions() -> dict[str, str]:
    """The versions of rmbg-trt and of the packages that exporting uses."""
    return {"rmbg-trt": __version__, **{name: importlib.metadata.version(name) for name in PACKAGES}}


def open_source(name: str, progress: models.Progress | None = None) -> Source:
    """Reads the model to export.

    Args:
        name: A catalogue name (fetched if it is not cached), or the path of a ``.safetensors``, ``.pth``, ``.pt``,
            ``.ckpt`` or ``.onnx`` file.
        progress: Called while a catalogue model is fetched.

    Raises:
        InputError: There is no such file or catalogue name.
        ModelError: The file is damaged, would run code, or is not an image-to-matte network.
        UnavailableError: A package is missing, or the model cannot be fetched.
    """
    require_packages()
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
        log.info("%s is exported as a graph of another architecture: %s", path.name, error)
        return Source(name, path, sha256, None, None, graph)
    return Source(name, path, sha256, model, ModelConfig(architecture, 1, fixed_size(graph) or (320, 320)), graph)


def read_onnx(path: Path) -> Any:
    """Reads an ONNX file whose input is an image, as ``onnx.ModelProto``; its first output is the matte.

    Raises:
        ModelError: It is damaged, its weights hold NaN or Inf, or its input is not (N, 3, H, W) float32.
    """
    import onnx

    from ..training.models.onnx_weights import read_any_onnx

    graph = read_any_onnx(path)
    tensor = only_input(path, graph).type.tensor_type
    sides = [side.dim_value or side.dim_param or "?" for side in tensor.shape.dim]
    if tensor.elem_type != onnx.TensorProto.FLOAT or len(sides) != 4 or (isinstance(sides[1], int) and sides[1] != 3):
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise ModelError(f"{path}: its input is {kind} {sides}; expected float [N, 3, height, width]")
    put_matte_first(path, graph)
    check_weights(path, graph)
    return graph


def image_input(graph: Any) -> Any:
    """The input of an ONNX model that is not a weight."""
    return inputs_of(graph)[0]


def fixed_size(graph: Any) -> tuple[int, int] | None:
    """(height, width) of an ONNX model's input, or None if one of them is open."""
    height, width = (side.dim_value for side in image_input(graph).type.tensor_type.shape.dim[2:])
    return (height, width) if height and width else None
