# SPDX-License-Identifier: Apache-2.0
"""Markdown tables of the figures of a result, whatever benchmark it is of.

Figures are nested dicts. Those beside each other that are about the same things (times, ratios and agreements, all by
contender; or one entry for each size, all with the same figures) become one table; the rest stays a list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MOST_COLUMNS = 12
MOST_OF_ONE = 7  # columns that one entry brings into a table of several
MOST_LISTED = 10
ALIKE = 0.4  # share of names in common, from which two entries are about the same things

Figures = dict[str, Any]


def markdown(figures: Figures, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The figures as tables, each under the names that lead to it. Bounds are left out: they head the page."""
    inner = {name: each for name, each in figures.items() if isinstance(each, dict) and not is_leaf(each)}
    leaves = {name: each for name, each in figures.items() if name not in inner and each not in (None, [], "")}
    if leaves:
        yield table(path, {spelt(name): {"": each} for name, each in leaves.items()})
    inner.pop("bounds", None)
    if len(inner) > 1 and all(is_description(each) for each in inner.values()):
        yield table(path, {spelt(name): {"": in_words(each)} for name, each in inner.items()})
        return
    for group in alike(inner):
        grid = grid_of(group) if len(group) > 1 else None
        if grid:
            yield table(path, grid)
        else:
            for name, each in group.items():
                yield from markdown(each, (*path, name))


def is_description(entry: Figures) -> bool:
    """Versions, settings and the like of one contender: words for the most part, and nothing that was timed."""
    leaves = list(flat(entry).values())
    words = sum(isinstance(each, str) for each in leaves)
    return 2 * words >= len(leaves) and not any(isinstance(each, dict) for each in leaves)


def in_words(entry: Figures) -> str:
    return ", ".join(f"{name} {shown(each)}" for name, each in flat(entry).items())


def table(path: tuple[str, ...], grid: dict[str, Figures]) -> str:
    columns = list(dict.fromkeys(column for row in grid.values() for column in row))
    title = " · ".join(map(spelt, path))
    lines = [f"| {title} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in grid.items():
        lines.append(f"| {name} | {' | '.join(shown(row[column]) if column in row else '' for column in columns)} |")
    return "\n".join(lines) + "\n"


def alike(entries: dict[str, Figures]) -> list[dict[str, Figures]]:
    """Entries by what they are about: those whose names are mostly the same lie together."""
    groups: list[dict[str, Figures]] = []
    for name, each in entries.items():
        for group in groups:
            first = next(iter(group.values()))
            if len(flat(each)) <= MOST_OF_ONE * len(each) and in_common(first, each) >= ALIKE:
                group[name] = each
                break
        else:
            groups.append({name: each})
    return groups


def in_common(one: Figures, other: Figures) -> float:
    both = one.keys() & other.keys()
    return len(both) / len(one.keys() | other.keys()) if len(both) > 1 else 0.0


def grid_of(group: dict[str, Figures]) -> dict[str, Figures] | None:
    """Rows of columns. The entries are the columns if each is of one kind, such as all times, and they are few."""
    lines = list(dict.fromkeys(name for each in group.values() for name in each))
    if len(group) <= len(lines) and all(of_one_kind(each) for each in group.values()):
        grid: dict[str, Figures] = {spelt(name): {} for name in lines}
        for column, each in group.items():
            for name, value in each.items():
                grid[spelt(name)] |= flat({column: value})
    else:
        grid = {spelt(name): flat(each) for name, each in group.items()}
    columns = {column for row in grid.values() for column in row}
    return grid if 0 < len(columns) <= MOST_COLUMNS else None


def of_one_kind(entry: Figures) -> bool:
    return len({kind(each) for each in entry.values()}) == 1


def kind(value: Any) -> str:
    if isinstance(value, dict):
        return f"measured in {value.get('unit')}" if is_leaf(value) else "table"
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def flat(figures: Figures, path: tuple[str, ...] = ()) -> Figures:
    """All leaves by the names that lead to them."""
    found: Figures = {}
    for name, each in figures.items():
        if isinstance(each, dict) and not is_leaf(each):
            found |= flat(each, (*path, name)) if name != "bounds" else {}
        else:
            found[" · ".join(map(spelt, (*path, name)))] = each
    return found


def is_leaf(value: dict[str, Any]) -> bool:
    """Whether it is a measured figure with its spread."""
    return {"median", "p25", "p75"} <= value.keys()


def shown(value: Any) -> str:
    """A leaf of the figures in a table's cell."""
    if isinstance(value, dict):
        unit = f" {value['unit']}" if value.get("unit") else ""
        return f"{number(value['median'])} ({number(value['p25'])} to {number(value['p75'])}){unit}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, list):
        if len(value) > MOST_LISTED or any(isinstance(each, (dict, list)) for each in value):
            return f"{len(value)} entries, in the file"
        return ", ".join(shown(each) for each in value)
    return str(value if value is not None else "").replace("|", "\\|").replace("\n", " ")


def number(value: float) -> str:
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.4g}"


def spelt(name: str) -> str:
    return name.replace("_", " ").replace("|", "\\|")
