# SPDX-License-Identifier: Apache-2.0
"""The command that installs what an extra of this package needs, and why a package cannot be imported."""

from __future__ import annotations

import importlib.metadata
import re

NAME = "rmbg-trt"


def install_command(extra: str) -> str:
    """Such as ``pip install "av>=18.1"``.

    It names the packages themselves, from the metadata of this installation, so that it works wherever rmbg-trt came
    from: a checkout, a wheel or a package index.
    """
    packages = [f'"{package}"' for package in _packages(extra)]
    return f"pip install {' '.join(packages)}" if packages else f'pip install ".[{extra}]" in a checkout of {NAME}'


def why_not_imported(title: str, error: ImportError, extra: str) -> str:
    """What to say of a package that cannot be imported: it is not there, or the system refuses to load it."""
    if isinstance(error, ModuleNotFoundError):
        return f"{title} is not installed: {install_command(extra)}"
    return f"{title} does not load ({error}): make room in memory, or install it again: {install_command(extra)}"


def _packages(extra: str) -> list[str]:
    """The packages of an extra, with those of the extras of ours that it names; none where there is no metadata."""
    try:
        lines = importlib.metadata.requires(NAME) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    found: dict[str, None] = {}
    for line in lines:
        package, _, marker = (part.strip() for part in line.partition(";"))
        if not re.search(rf"""\bextra\s*==\s*['"]{re.escape(extra)}['"]""", marker):
            continue
        ours = re.fullmatch(rf"{NAME}\s*\[(.*)\]", package)
        inner = [name for part in ours[1].split(",") for name in _packages(part.strip())] if ours else [package]
        found.update(dict.fromkeys(inner))
    return list(found)
