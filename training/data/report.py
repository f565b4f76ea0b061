# SPDX-License-Identifier: Apache-2.0
"""``report.json`` of a prepared set: what it was made from, and what was skipped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...files import atomic_file
from .pairs import SPLITS, Pair
from .sources import Found, Rejected

REPORT = "report.json"
MADE_BY = "rmbg-trt prepare"


@dataclass
class Report:
    """The result of `prepare.prepare`."""

    pairs: list[Pair] = field(default_factory=list)  # of the set, in the order of its table
    origins: list[tuple[str, str]] = field(default_factory=list)  # for each pair, its original image and mask file
    sizes: list[tuple[int, int]] = field(default_factory=list)  # for each pair, (height, width) in the set
    changes: Counter[str] = field(default_factory=Counter)  # number of images and masks linked, copied, resized ...
    rejected: list[Rejected] = field(default_factory=list)  # what was skipped
    duplicate_groups: int = 0  # groups of near-duplicates among all images that were found
    options: dict[str, Any] = field(default_factory=dict)
    sources: list[dict[str, Any]] = field(default_factory=list)  # category and folders of each source
    seconds: dict[str, float] = field(default_factory=dict)  # duration of each stage

    def add(self, pair: Pair, found: Found, size: tuple[int, int]) -> None:
        """Adds a pair, where it came from, and the (height, width) of its image."""
        self.pairs.append(pair)
        self.origins.append((str(found.image), str(found.mask)))
        self.sizes.append(size)

    def move(self, folder: Path) -> None:
        """Changes the paths of all pairs to another folder."""
        self.pairs = [
            replace(pair, image=folder / "images" / pair.image.name, mask=folder / "masks" / pair.mask.name)
            for pair in self.pairs
        ]

    def counts(self) -> dict[str, dict[str, int]]:
        """Number of pairs by category and split."""
        counts = Counter((pair.category, pair.split) for pair in self.pairs)
        categories = sorted({pair.category for pair in self.pairs})
        return {category: {split: counts[category, split] for split in SPLITS} for category in categories}

    def rejected_counts(self) -> dict[str, int]:
        """Number of rejected files by kind, the most frequent first."""
        return dict(Counter(rejected.kind for rejected in self.rejected).most_common())

    def write(self, path: Path) -> None:
        """Writes it as JSON. Raises `Error` if it cannot be written."""
        content = {
            "made_by": MADE_BY,
            "sources": self.sources,
            "options": self.options,
            "images": len(self.pairs),
            "per_category": self.counts(),
            "sizes": _spread(self.sizes),
            "changes": dict(sorted(self.changes.items())),
            "duplicate_groups": self.duplicate_groups,
            "rejected": {
                "per_kind": self.rejected_counts(),
                "files": [vars(rejected) for rejected in self.rejected],
            },
            "seconds": {stage: round(seconds, 2) for stage, seconds in self.seconds.items()},
            "origins": {
                pair.name: {"image": image, "mask": mask}
                for pair, (image, mask) in zip(self.pairs, self.origins, strict=True)
            },
        }
        with atomic_file(path) as file:
            file.write(json.dumps(content, indent=1).encode())


def is_prepared(folder: Path) -> bool:
    """Whether a folder is a set that `prepare.prepare` made."""
    try:
        content = json.loads((folder / REPORT).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("made_by") == MADE_BY


def _spread(sizes: Sequence[tuple[int, int]]) -> dict[str, dict[str, float]]:
    if not sizes:
        return {}
    sides = np.sort(np.array(sizes), axis=1)
    series = {"shorter_side": sides[:, 0], "longer_side": sides[:, 1], "megapixels": sides.prod(axis=1) / 1e6}
    return {
        name: {"min": float(values.min()), "median": float(np.median(values)), "max": float(values.max())}
        for name, values in series.items()
    }
