# SPDX-License-Identifier: Apache-2.0
"""Converts a checkpoint to the ONNX file that the CPU's runtimes read: fp32, one image, one size."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError, UnavailableError
from ..files import file_sha256
from ..recipe import check_normalisation
from .graph import serialize
from .options import InputShape
from .source import open_source, require_packages


def convert_checkpoint(path: Path, size: tuple[int, int] | None, content: str) -> bytes:
    """Converts a checkpoint to an ONNX file.

    Args:
        path: The checkpoint.
        size: Network input (height, width); None takes the checkpoint's own.
        content: The file's sha256, hexadecimal, to notice that it changes meanwhile.

    Raises:
        UnavailableError: A package for converting is not installed.
        ModelError: The checkpoint is damaged, or was trained with another normalisation than the recipe's.
    """
    try:
        require_packages()
    except UnavailableError as error:
        text = f"{path.name} is a checkpoint, which must be converted to ONNX for the CPU; {error}"
        raise UnavailableError(text) from error
    from .to_onnx import to_onnx  # needs PyTorch

    source = open_source(str(path.absolute()))  # a path, even if the file has the name of a catalogue model
    assert source.model is not None, "a checkpoint has a module"
    assert source.config is not None, "and its configuration"
    check_normalisation(path.name, source.config.mean, source.config.std)
    try:
        shape = InputShape((1, 1, 1), *((side, side, side) for side in size or source.config.input_size))
    except ValueError as error:
        raise ModelError(f"{path}: its input size does not work: {error}; give size=") from error
    data = serialize(to_onnx(source.model, shape))
    if not content == source.sha256 == file_sha256(path):  # a training may have written a better one
        raise ModelError(f"{path} was changed while it was read; open it again")
    return data
