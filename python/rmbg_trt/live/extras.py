# SPDX-License-Identifier: Apache-2.0
"""Optional packages of the ``camera`` extra, imported when they are needed."""

from __future__ import annotations

import importlib
import os
from typing import Any

from ..errors import UnavailableError
from ..install import install_command


def opencv() -> Any:
    """Import ``cv2``. Raises `UnavailableError` if it is not installed or cannot be loaded."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # our own error says when a camera cannot be opened
    return _import("cv2", "OpenCV")


def pyvirtualcam() -> Any:
    """Import ``pyvirtualcam``. Raises `UnavailableError` if it is not installed or cannot be loaded."""
    return _import("pyvirtualcam", "pyvirtualcam")


def _import(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UnavailableError(f"{package} is not installed: {install_command('camera')}") from error
    except ImportError as error:  # it needs a system library
        missing = "lib" in str(error) and module == "cv2"
        hint = "; on Debian and Ubuntu: apt-get install libgl1 libglib2.0-0" if missing else ""
        raise UnavailableError(f"{package} is installed but cannot be loaded ({error}){hint}") from error
