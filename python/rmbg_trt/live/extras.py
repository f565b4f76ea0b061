# SPDX-License-Identifier: Apache-2.0
"""Optional packages, imported when they are used."""

from __future__ import annotations

import importlib
import os
from typing import Any

from ..errors import UnavailableError


def opencv() -> Any:
    """The module ``cv2``. Raises `UnavailableError` if it is not installed, or cannot be loaded."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # what it warns of when a camera is not there, we say ourselves
    return _module("cv2", "OpenCV")


def virtual_cameras() -> Any:
    """The module ``pyvirtualcam``. Raises `UnavailableError` if it is not installed, or cannot be loaded."""
    return _module("pyvirtualcam", "pyvirtualcam")


def _module(name: str, called: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UnavailableError(f'{called} is not installed: pip install "rmbg-trt[camera]"') from error
    except ImportError as error:  # a library of the system that it needs
        hint = (
            "; apt-get install libgl1 libglib2.0-0 has it on Debian and Ubuntu"
            if "lib" in str(error) and name == "cv2"
            else ""
        )
        raise UnavailableError(f"{called} is installed but cannot be loaded ({error}){hint}") from error
