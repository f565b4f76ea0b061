# SPDX-License-Identifier: Apache-2.0
"""What is known about a model's candidates on this processor: their times, their mattes against fp32's, and the cache.

The key of a cache entry covers everything the figures depend on, so an entry never becomes outdated. Each start decides
anew from them (cpu_choice.py). Mattes are compared on the package's photographs, each of them also darkened to 30 %,
because reduced precision fails first in dark frames.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__, _core
from ..cache import entry_path, read_entry, write_entry
from ..export.images import NamedImage, load_images
from ..export.int8_checks import agreement, recipe_matte
from ..models import content_sha256
from ..runtimes.native import processor_name

DARK = 0.3
BORDERLINE = 4  # of 255

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(1, 3, H, W) float32, normalised -> (1, 1, h, w) float32, probabilities."""

KEPT_CHOICES = 128

_in_this_process: dict[Path, Choice] = {}  # helps if the cache cannot be written


@dataclass(frozen=True)
class MatteCheck:
    """How far the mattes of a network are from those of fp32.

    Attributes:
        images: Number of images compared.
        mean_alpha: Mean of |Δalpha| over all pixels and images, 0 to 255.
        worst_iou: Smallest IoU of one image; the foreground is alpha >= 128. Pixels that are closer than ``BORDERLINE``
            to it in fp32 do not count: a change that nobody sees decides on which side they fall, and a soft-edged
            subject can consist of them.
        worst_image: The image with this IoU.
        agreement: Mean IoU without the pixels where fp32 itself is undecided (alpha 64 to 191).
    """

    images: int
    mean_alpha: float
    worst_iou: float
    worst_image: str
    agreement: float

    def __str__(self) -> str:
        return (
            f"mean |Δalpha| {self.mean_alpha:.2f} of 255, worst IoU {self.worst_iou:.3f} ({self.worst_image}), "
            f"against fp32 on {self.images} photographs"
        )


def check_mattes(fp32: Predict, reduced: Predict, size: tuple[int, int]) -> MatteCheck:
    """Compares two networks through the whole recipe, up to alpha at the image's size.

    Args:
        fp32: The reference.
        reduced: The same network in another precision.
        size: Input (height, width) of both.

    Raises:
        ModelError: A network gives NaN or Inf.
    """
    photographs = load_images(None)
    dark = [NamedImage(f"{image.name}, darkened", (image.rgb * DARK).astype(np.uint8)) for image in photographs]
    differences, ious, agreements, names = [], [], [], []
    for image in (*photographs, *dark):
        x = _core.preprocess(image.rgb, size, color="rgb")
        expected, got = recipe_matte(fp32(x), image), recipe_matte(reduced(x), image)
        differences.append(float(np.abs(got.astype(np.int16) - expected).mean()))
        ious.append(agreement(got, expected, BORDERLINE))
        agreements.append(agreement(got, expected))
        names.append(image.name)
    worst = int(np.argmin(ious))
    return MatteCheck(len(names), float(np.mean(differences)), ious[worst], names[worst], float(np.mean(agreements)))


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
        "format": 3,  # of the entry
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
