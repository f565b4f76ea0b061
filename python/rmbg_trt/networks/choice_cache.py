# SPDX-License-Identifier: Apache-2.0
"""Measurements of a model's candidates on this processor, kept in the user's cache for `cpu_choice`.

The key covers everything the figures depend on, so an entry never becomes outdated. Each start decides anew from them.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__, _core
from ..cache import entry_path, read_entry, write_entry
from ..models import content_sha256
from ..runtimes.native import processor_name
from .matte_check import MatteCheck

KEPT_CHOICES = 128

_in_this_process: dict[Path, Choice] = {}  # helps if the cache cannot be written


@dataclass(frozen=True)
class Candidate:
    """A way to run a model on the CPU.

    Attributes:
        runtime: One of ``CPU_RUNTIMES``.
        precision: "fp32" or "bf16".
    """

    runtime: str
    precision: str

    def __str__(self) -> str:
        return f"{self.runtime} {self.precision}"


@dataclass(frozen=True)
class Measurement:
    """Time and quality of a candidate.

    Attributes:
        candidate: Which one.
        ms: Fastest of a few runs of the network alone; runs of the candidates are interleaved.
        check: Comparison with fp32; None for fp32 itself.
    """

    candidate: Candidate
    ms: float
    check: MatteCheck | None


@dataclass(frozen=True)
class Choice:
    """What is known about a model's candidates on this processor.

    Attributes:
        measured: The candidates that run the model.
        passed_over: Why the others do not, a sentence each.
    """

    measured: tuple[Measurement, ...]
    passed_over: tuple[str, ...]


def choice_file(path: Path, wanted: Sequence[Candidate], size: tuple[int, int] | None) -> Path:
    """The path of a model's cache entry."""
    parts = {
        "format": 2,  # of the entry
        "content": content_sha256(path),
        "size": size,
        "candidates": [str(each) for each in wanted],
        "processor": [processor_name(), _core.cpu_info()["isa"], _core.cpu_info()["workers"]],
        "versions": [__version__, _openvino_version()],
    }
    return entry_path("choices", path.stem, parts, ".json")


def known_choice(file: Path) -> Choice | None:
    """The choice that this process or the cache remembers, or None."""
    choice = _in_this_process.get(file) or read_entry(file, _parse)
    if choice is not None:
        _in_this_process[file] = choice
    return choice


def _parse(content: bytes) -> Choice:
    entry = json.loads(content)
    return Choice(tuple(map(_measurement, entry["measured"])), tuple(map(str, entry["passed_over"])))


def _measurement(entry: dict[str, Any]) -> Measurement:
    check = entry["check"]
    return Measurement(
        Candidate(**entry["candidate"]), float(entry["ms"]), None if check is None else MatteCheck(**check)
    )


def remember(file: Path, choice: Choice) -> None:
    """Keeps a choice for this process and the next start."""
    _in_this_process[file] = choice
    write_entry(file, json.dumps(dataclasses.asdict(choice), indent=1, ensure_ascii=False).encode(), KEPT_CHOICES)


def _openvino_version() -> str:
    try:
        return importlib.metadata.version("openvino")
    except importlib.metadata.PackageNotFoundError:
        return ""
