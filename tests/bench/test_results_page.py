# SPDX-License-Identifier: Apache-2.0
"""The page of results (benchmarks/page.py): tables out of figures that are nested in any way, and nothing lost."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def spread(median: float, unit: str = "ms") -> dict[str, Any]:
    return {"median": median, "p25": median - 1, "p75": median + 1, "unit": unit}


def tables(figures: dict[str, Any]) -> list[list[str]]:
    from _tables import markdown

    return [text.strip().splitlines() for text in markdown(figures)]


def test_what_is_about_the_same_contenders_is_one_table() -> None:
    figures = {
        "times": {"ours": spread(10), "theirs": spread(3000), "third": spread(5)},
        "ours_is_times_as_fast": {"ours": spread(1, ""), "theirs": spread(30, "")},
        "agreement": {"ours": {"iou": 1.0, "worst": {"iou": 0.99}}, "theirs": {"iou": 0.5, "worst": {"iou": 0.25}}},
        "bounds": {"left out": {"is": 1}},
    }
    assert tables({"u2net": figures}) == [
        [
            "| u2net | times | ours is times as fast | agreement · iou | agreement · worst · iou |",
            "|---|---|---|---|---|",
            "| ours | 10 (9 to 11) ms | 1 (0 to 2) | 1 | 0.99 |",
            "| theirs | 3,000 (2,999 to 3,001) ms | 30 (29 to 31) | 0.5 | 0.25 |",
            "| third | 5 (4 to 6) ms |  |  |  |",
        ]
    ]


def test_entries_with_the_same_figures_are_rows() -> None:
    figures = {size: {"pixels": 1.5, "whole": spread(7), "beside": "Pillow"} for size in ("480p", "720p", "1080p")}
    (table,) = tables({"frames": figures})
    assert table[0] == "| frames | pixels | whole | beside |"
    assert [line.split(" | ")[0] for line in table[2:]] == ["| 480p", "| 720p", "| 1080p"]


def test_versions_are_told_in_words() -> None:
    (table,) = tables({"versions": {"a": {"python": "3.11", "threads": 2}, "b": {"python": "3.12", "compiled": True}}})
    assert table[2:] == ["| a | python 3.11, threads 2 |", "| b | python 3.12, compiled yes |"]


def test_everything_else_is_a_list() -> None:
    figures = {"frames": 1200, "odd|name": "a|b", "empty": [], "series": list(range(99)), "inner": {"x_y": [1, 2]}}
    assert tables(figures) == [
        [
            "|  |  |",
            "|---|---|",
            "| frames | 1,200 |",
            "| odd\\|name | a\\|b |",
            "| series | 99 entries, in the file |",
        ],
        ["| inner |  |", "|---|---|", "| x y | 1, 2 |"],
    ]


def measured(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All figures with a spread, however deep they lie."""
    if "p25" in value:
        yield value
    else:
        for each in value.values():
            yield from measured(each) if isinstance(each, dict) else ()


def named(value: dict[str, Any]) -> Iterator[str]:
    """The names of all that is not a table of more."""
    for name, each in value.items():
        if not isinstance(each, dict):
            yield name
        elif name != "bounds" and "p25" not in each:
            yield from named(each)


@pytest.mark.parametrize("file", sorted((BENCHMARKS / "results").glob("*.json")), ids=lambda file: file.stem)
def test_no_figure_of_a_result_is_lost(file: Path) -> None:
    from _tables import shown

    figures = json.loads(file.read_text())["figures"]
    text = "\n".join("\n".join(table) for table in tables(figures))
    assert all(shown(each) in text for each in measured(figures))
    told = text.replace(" ", "_")
    assert {name for name in named(figures) if name.replace(" ", "_") not in told} == set()


def test_the_chart_has_a_bar_for_each_program() -> None:
    from _chart import chart

    names = ("rmbg-trt", "rembg", "pytorch")
    figures = {
        "u2net": {
            "times": {name: spread(100 * (index + 1)) for index, name in enumerate(names)},
            "ours_is_times_as_fast": {name: spread(index + 1, "") for index, name in enumerate(names)},
        }
    }
    svg = chart(figures, ("u2net",))
    widths = [int(part.split('"')[0]) for part in svg.split('width="')[1:]][2:]
    assert widths[:3] == [140, 280, 420], "as long as the times are"
    assert ">300, 3.0 times as long<" in svg
