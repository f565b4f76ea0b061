# SPDX-License-Identifier: Apache-2.0
"""What a set was made of, and what was left out: ``report.json``."""

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
    """The result of `prepare.prepare`.

    Attributes:
        pairs: Of the set, in the order of its table.
        origins: For each pair, the files it was made of.
        sizes: For each pair, (height, width) of its picture in the set.
        changes: How many pictures and masks were linked, copied, resized and so on.
        rejected: What was left out.
        duplicate_groups: How many groups of near-duplicates there are among all that was found.
        options: With which the set was made.
        sources: Category and folders of each source.
        seconds: What each stage took.
    """

    pairs: list[Pair] = field(default_factory=list)
    origins: list[tuple[str, str]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)
    rejected: list[Rejected] = field(default_factory=list)
    duplicate_groups: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    sources: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, pair: Pair, found: Found, size: tuple[int, int]) -> None:
        """Adds a pair, what it was made of, and the (height, width) of its picture."""
        self.pairs.append(pair)
        self.origins.append((str(found.image), str(found.mask)))
        self.sizes.append(size)

    def move(self, folder: Path) -> None:
        """Says of all pairs that they lie in another folder now."""
        self.pairs = [
            replace(pair, image=folder / "images" / pair.image.name, mask=folder / "masks" / pair.mask.name)
            for pair in self.pairs
        ]

    def counts(self) -> dict[str, dict[str, int]]:
        """Pictures by category and split."""
        counts = Counter((pair.category, pair.split) for pair in self.pairs)
        categories = sorted({pair.category for pair in self.pairs})
        return {category: {split: counts[category, split] for split in SPLITS} for category in categories}

    def rejected_counts(self) -> dict[str, int]:
        """Rejected files by kind, the most frequent first."""
        return dict(Counter(each.kind for each in self.rejected).most_common())

    def write(self, path: Path) -> None:
        """Writes it as JSON. Raises `Error` if it cannot."""
        content = {
            "made_by": MADE_BY,
            "sources": self.sources,
            "options": self.options,
            "pictures": len(self.pairs),
            "per_category": self.counts(),
            "sizes": _spread(self.sizes),
            "changes": dict(sorted(self.changes.items())),
            "duplicate_groups": self.duplicate_groups,
            "rejected": {
                "per_kind": self.rejected_counts(),
                "files": [vars(each) for each in self.rejected],
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
    values = {"shorter_side": sides[:, 0], "longer_side": sides[:, 1], "megapixels": sides.prod(axis=1) / 1e6}
    return {
        name: {"min": float(each.min()), "median": float(np.median(each)), "max": float(each.max())}
        for name, each in values.items()
    }
