# SPDX-License-Identifier: Apache-2.0
"""A checkpoint becomes an ONNX file in fp32, for one image of one size, as the CPU's runtimes read it."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError, UnavailableError
from ..files import file_sha256
from ..recipe import check_normalisation
from . import requirements
from .graph import serialize
from .shape import InputShape
from .source import open_source


def convert_checkpoint(path: Path, size: tuple[int, int] | None, content: str) -> bytes:
    """Converts a checkpoint.

    Args:
        path: The checkpoint.
        size: Network input (height, width); None takes the checkpoint's own.
        content: The file's sha256, hexadecimal, to notice that it changes meanwhile.

    Returns:
        The ONNX file.

    Raises:
        UnavailableError: A package that converting needs is not installed.
        ModelError: The checkpoint is damaged, or its images are normalised in another way than the recipe's.
    """
    try:
        requirements.check()
    except UnavailableError as error:
        text = f"{path.name} is a checkpoint, which the CPU runs only when it has been converted to ONNX; {error}"
        raise UnavailableError(text) from error
    from .to_onnx import to_onnx  # needs PyTorch

    source = open_source(str(path.absolute()))  # a path, also where the file is called as a model of the catalogue
    assert source.model is not None, "a checkpoint gives a module"
    assert source.config is not None, "and its configuration"
    check_normalisation(path.name, source.config.mean, source.config.std)
    try:
        shape = InputShape((1, 1, 1), *((side, side, side) for side in size or source.config.input_size))
    except ValueError as error:
        raise ModelError(f"{path}: no input of its size can be made: {error}; give size=") from error
    data = serialize(to_onnx(source.model, shape))
    if not content == source.sha256 == file_sha256(path):  # a training may have replaced it with its next best
        raise ModelError(f"{path} was changed while it was read; open it again")
    return data
