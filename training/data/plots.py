# SPDX-License-Identifier: Apache-2.0
"""A chart of how many pictures each category gives to each split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ...errors import UnavailableError
from ...files import atomic_file
from .pairs import SPLITS, Pair


def plot_data(pairs: Sequence[Pair], target: Path) -> None:
    """Draws the files per category as bars, with a colour for each split.

    Args:
        pairs: Of a prepared set.
        target: A PNG.

    Raises:
        UnavailableError: Matplotlib is not installed.
        Error: The file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UnavailableError('Matplotlib is not installed: pip install "rmbg-trt[train]"') from None
    counts = Counter((pair.category, pair.split) for pair in pairs)
    categories = sorted({pair.category for pair in pairs})
    figure = Figure(figsize=(7, 1.2 + 0.5 * len(categories)), layout="constrained")
    axes = figure.add_subplot()
    left = [0] * len(categories)
    for split in SPLITS:
        widths = [counts[category, split] for category in categories]
        axes.barh(categories, widths, left=left, label=f"{split} ({sum(widths):,})")
        left = [start + width for start, width in zip(left, widths, strict=True)]
    for row, total in enumerate(left):
        axes.text(total, row, f" {total:,}", va="center")
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("pictures")
    figure.legend(loc="outside upper center", ncols=len(SPLITS), frameon=False)
    with atomic_file(target) as file:
        figure.savefig(file, format="png", dpi=120)
