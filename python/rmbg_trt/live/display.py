# SPDX-License-Identifier: Apache-2.0
"""Checks whether OpenCV can show windows here. If it cannot, it would hang or abort the whole program."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

from ..errors import UnavailableError

HINT = "--no-preview (in Python: no Window) runs without a window"


def check_display() -> None:
    """Check that windows can be shown. Without a display, OpenCV would abort the whole program.

    Raises:
        UnavailableError: There is no display; the message says how to run without one.
    """
    if not sys.platform.startswith("linux"):
        return
    display = os.environ.get("DISPLAY", "")
    if not display:
        raise UnavailableError(f"there is no display (DISPLAY is not set); {HINT}")
    match = re.fullmatch(r"(?:.*/)?([^:/]*):(\d+)(?:\.\d+)?", display)
    if match is None:
        raise UnavailableError(f"DISPLAY is {display!r}, which is not a valid display; {HINT}")
    host, number = match[1], int(match[2])
    if not any(_accepts(*address) for address in _addresses(host, number)):
        raise UnavailableError(f"the display {display} does not respond; {HINT}")


def _addresses(host: str, number: int) -> list[tuple[int, Any]]:
    if host in ("", "unix"):
        path = f"/tmp/.X11-unix/X{number}"
        return [(socket.AF_UNIX, path), (socket.AF_UNIX, f"\0{path}")]
    return [(socket.AF_INET, (host, 6000 + number)), (socket.AF_INET6, (host, 6000 + number))]


def _accepts(family: int, address: Any) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(2.0)
            connection.connect(address)
    except OSError:
        return False
    return True


def check_opencv(cv2: Any) -> None:
    """Check that this OpenCV can show windows in this process.

    Raises:
        UnavailableError: It is the headless build, which many packages depend on; or PyAV was imported before it.
    """
    match = re.search(r"^\s*GUI:\s*(\S+)", cv2.getBuildInformation(), re.MULTILINE)
    if match is not None and match[1] == "NONE":
        raise UnavailableError(
            "this OpenCV cannot open windows; opencv-python-headless and opencv-python exclude each other: "
            f"pip uninstall opencv-python-headless, then pip install --force-reinstall opencv-python; or {HINT}"
        )
    if _uses_libraries_of_another_package(cv2):
        raise UnavailableError(
            "PyAV was imported before OpenCV, and a window would hang, because OpenCV now uses PyAV's X libraries; "
            f"import rmbg_trt.live (or cv2) before av and rmbg_trt.video; or {HINT}"
        )


def _uses_libraries_of_another_package(cv2: Any) -> bool:
    """Whether one of OpenCV's own X libraries was already loaded from another package, under the same name.

    The wheels of PyAV and OpenCV on Linux contain X libraries with equal names, but each with its own libxcb. The first
    one that is loaded serves both packages.
    """
    own = Path(getattr(cv2, "__file__", "")).parent.parent / "opencv_python.libs"
    if not sys.platform.startswith("linux") or not own.is_dir():
        return False
    mapped = {Path(line.split(maxsplit=5)[-1]) for line in Path("/proc/self/maps").read_text("utf-8").splitlines()}
    return any(
        path.name.startswith("libxcb") and path.parent != own.resolve() and (own / path.name).exists()
        for path in mapped
    )
