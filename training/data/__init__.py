# SPDX-License-Identifier: Apache-2.0
"""Images and their masks: published datasets, prepared sets, and what training reads."""

from __future__ import annotations

from .masks import read_mask, resize_mask
from .pairs import COLUMNS, SPLITS, Pair, create_csv, pair_folders, read_pairs

__all__ = ["COLUMNS", "SPLITS", "Pair", "create_csv", "pair_folders", "read_mask", "read_pairs", "resize_mask"]
