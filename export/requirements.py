# SPDX-License-Identifier: Apache-2.0
"""The packages that exporting needs, and their versions."""

from __future__ import annotations

import importlib.metadata
import importlib.util

from .. import __version__
from ..errors import UnavailableError

PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "safetensors")


def check() -> None:
    """Checks that everything is installed.

    Raises:
        UnavailableError: Something is not; the message has the command.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UnavailableError(f'export needs {", ".join(missing)}: pip install "rmbg-trt[export]"')


def versions() -> dict[str, str]:
    """The version of each package and of rmbg-trt itself."""
    return {"rmbg-trt": __version__, **{name: importlib.metadata.version(name) for name in PACKAGES}}
