# SPDX-License-Identifier: Apache-2.0
"""The packages that training needs."""

from __future__ import annotations

import importlib.util

from ..errors import UnavailableError

PACKAGES = ("torch", "lightning", "kornia", "torchmetrics", "matplotlib", "tensorboard", "yaml", "safetensors")


def check() -> None:
    """Checks that everything is installed.

    Raises:
        UnavailableError: Something is not; the message has the command.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UnavailableError(f'training needs {", ".join(missing)}: pip install "rmbg-trt[train]"')
