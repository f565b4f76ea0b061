# SPDX-License-Identifier: Apache-2.0
"""Short names for models, all different, that do as names of folders."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ...models import CATALOGUE


def labels(models: Sequence[str | os.PathLike[str]]) -> list[str]:
    """A label for each model: its name without folder and suffix; behind the folder's name where others have the same.

    Args:
        models: As ``Engine`` takes them.
    """
    plain = [_clean(Path(model).stem) for model in models]
    often = Counter(map(str.lower, plain))  # file systems may not tell A from a
    found = []
    seen: Counter[str] = Counter()
    for model, label in zip(models, plain, strict=True):
        if often[label.lower()] > 1 and Path(model).name not in CATALOGUE:
            label = f"{_clean(Path(model).absolute().parent.name)}-{label}"
        seen[label.lower()] += 1
        found.append(label if seen[label.lower()] == 1 else f"{label}-{seen[label.lower()]}")
    return found


def _clean(name: str) -> str:
    return re.sub(r"[^\w.+=-]+", "_", name).strip(".")[:60] or "model"
