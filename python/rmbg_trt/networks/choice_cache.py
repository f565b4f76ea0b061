# SPDX-License-Identifier: Apache-2.0
"""What was measured of a model's candidates on this processor, in the user's cache (cpu_choice.py).

The key of an entry holds everything that the figures depend on, so nothing is ever outdated. What follows from the
figures is decided anew at each start.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__, _core
from ..cache import entry_path, prune, touch
from ..errors import Error
from ..files import atomic_file
from ..models import content_sha256
from ..runtimes.native import processor_name
from .matte_check import MatteCheck

log = logging.getLogger("rmbg_trt")

KEPT_CHOICES = 128

_in_this_process: dict[Path, Choice] = {}  # also where the cache cannot be written


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
    """What was measured of a candidate.

    Attributes:
        candidate: Which one.
        ms: Fastest of a few runs of the network alone; the candidates take turns.
        check: Against float32; None for float32 itself.
    """

    candidate: Candidate
    ms: float
    check: MatteCheck | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Choice:
    """All that is known of a model's candidates on this processor.

    Attributes:
        measured: Those that run the model.
        passed_over: Why the others do not, a sentence each.
    """

    measured: tuple[Measurement, ...]
    passed_over: tuple[str, ...]


def choice_file(path: Path, wanted: Sequence[Candidate], size: tuple[int, int] | None) -> Path:
    """Where the choice for a model is kept, or would be."""
    parts = {
        "content": content_sha256(path),
        "size": size,
        "candidates": [str(each) for each in wanted],
        "processor": [processor_name(), _core.cpu_info()["isa"], _core.cpu_info()["workers"]],
        "versions": [__version__, _openvino_version()],
    }
    return entry_path("choices", path.stem, parts, ".json")


def known_choice(file: Path) -> Choice | None:
    """What this process or the cache knows; None where that is nothing."""
    return _in_this_process.get(file) or _read(file)


def _read(file: Path) -> Choice | None:
    """What the cache knows; None where it has nothing. A damaged entry is measured again."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return None
    try:
        entry = json.loads(text)
        choice = Choice(tuple(map(_measurement, entry["measured"])), tuple(map(str, entry["passed_over"])))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        log.warning("%s is damaged and is measured again: %s", file, error)
        return None
    touch(file)
    _in_this_process[file] = choice
    return choice


def _measurement(entry: dict[str, Any]) -> Measurement:
    check = entry["check"]
    return Measurement(
        Candidate(**entry["candidate"]), float(entry["ms"]), None if check is None else MatteCheck(**check)
    )


def remember(file: Path, choice: Choice) -> None:
    """Keep a choice for the next start. A cache that cannot be written costs a measurement in each process."""
    _in_this_process[file] = choice
    entry = {"measured": [each.to_dict() for each in choice.measured], "passed_over": list(choice.passed_over)}
    try:
        with atomic_file(file) as stream:
            stream.write(json.dumps(entry, indent=1, ensure_ascii=False).encode())
    except Error as error:
        log.warning("what runs fastest here cannot be kept, so each start measures it again: %s", error)
    prune(file.parent, file.suffix, KEPT_CHOICES)


def _openvino_version() -> str:
    try:
        return importlib.metadata.version("openvino")
    except importlib.metadata.PackageNotFoundError:
        return ""
