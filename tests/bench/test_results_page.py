# SPDX-License-Identifier: Apache-2.0
"""The page of results (benchmarks/page.py): every claim of every result, in words that say what was measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESULTS = sorted((BENCHMARKS / "results").glob("*.json"))


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def spread(median: float, unit: str = "ms") -> dict[str, Any]:
    return {"median": median, "p25": median - 1, "p75": median + 1, "unit": unit}


@pytest.mark.parametrize(
    ("name", "bound", "words"),
    [
        (
            "u2netp: rmbg-trt, of the time of rembg",
            {"is": 0.25, "at_most": 0.4, "unit": "", "met": True},
            ("u2netp vs. rembg", "4.0×", "≥ 2.5×"),
        ),
        (
            "u2net: rmbg-trt int8, of the time of rembg",
            {"is": 0.5, "at_most": 0.3, "unit": "", "met": False},
            ("u2net int8 vs. rembg", "2.0×", "≥ 3.3×"),
        ),
        (
            "green clip, times as fast as transparent-background fast",
            {"is": 17.45, "at_least": 2.0, "unit": "", "met": True},
            ("green clip vs. transparent-background fast", "17.4×", "≥ 2×"),
        ),
        (
            "SAD on hair, worst scene",
            {"is": -72.1, "at_most": -25.0, "unit": "%", "met": True},
            ("change of SAD, hair edges, worst scene", "-72.1 %", "≤ -25 %"),
        ),
        (
            "u2net, default: mean |Δalpha| of 255",
            {"is": 0.01, "at_most": 0.2, "unit": "", "met": True},
            ("u2net: mean \\|Δalpha\\| of 255", "0.01", "≤ 0.2"),
        ),
        ("a new claim", {"is": 3, "at_least": 2, "unit": "s", "met": True}, ("a new claim", "3 s", "≥ 2 s")),
    ],
)
def test_a_claim_in_words(name: str, bound: dict[str, Any], words: tuple[str, str, str]) -> None:
    from page import in_words

    assert in_words(name, bound) == words


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_no_claim_of_a_result_is_lost(file: Path) -> None:
    from _report import bounds_in
    from page import PAGE, in_words

    text = PAGE.read_text(encoding="utf-8")
    report = json.loads(file.read_text(encoding="utf-8"))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for name, bound in bounds_in(report["figures"]):
        claim, figure, limit = in_words(name, bound)
        assert any(f"| {claim} | " in row and figure in row and f"| {limit} |" in row for row in rows), name
    if not file.stem.endswith("_AGAIN"):
        assert f"`{file.name}`" in text


def test_a_missed_claim_and_a_second_run_are_shown(tmp_path: Path) -> None:
    from page import claims, read

    def result(share: float) -> str:
        bound = {"is": share, "at_most": 0.4, "unit": "", "met": share <= 0.4}
        return json.dumps({"figures": {"u2netp": {"bounds": {"u2netp: rmbg-trt, of the time of rembg": bound}}}})

    (tmp_path / "versus_peers.json").write_text(result(0.5))
    (tmp_path / "versus_peers_AGAIN.json").write_text(result(0.25))
    first, second = read(tmp_path)
    assert claims([first], {"versus_peers": second}) == (
        "| One photograph to its mask | u2netp vs. rembg | 2.0× (4.0×) | ≥ 2.5× | **no** |\n"
    )


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
    assert widths[0] * 2 == pytest.approx(widths[1], abs=2), "as long as the times are"
    assert widths[0] * 3 == pytest.approx(widths[2], abs=2)
    assert ">300 ms, 3.0× slower<" in svg
