# SPDX-License-Identifier: Apache-2.0
"""Two reports side by side."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from rmbg_trt.bench import compare, read_report
from rmbg_trt.errors import InputError


def configuration(p50: float, noise: float | None, *, in_flight: int = 1, fps: float = 10.0) -> dict[str, Any]:
    return {
        "name": f"1080p alpha pageable x{in_flight}",
        "in_flight": in_flight,
        "latency_ms": {"p50": p50},
        "noise": noise,
        "frames_per_second": fps,
        "frames_per_second_noise": noise,
    }


def report(*configurations: dict[str, Any], model: str = "u2netp") -> dict[str, Any]:
    return {
        "format": 1,
        "program": "rmbg-trt bench",
        "complete": True,
        "machine": {"cpu": "one", "cores": 2, "gpus": []},
        "software": {"python": "3.11", "numpy": "2.0"},
        "commit": {"hash": "abc", "changed": False},
        "settings": {"repeats": 3, "seconds": 6.0},
        "models": [
            {
                "model": model,
                "error": None,
                "info": {"runtime": "native", "device": "cpu"},
                "configurations": list(configurations),
                "cold_start": None,
            }
        ],
    }


@pytest.mark.parametrize(
    ("b", "noise_a", "noise_b", "verdict"),
    [
        (80.0, 0.05, 0.05, "faster"),
        (125.0, 0.05, 0.05, "slower"),
        (93.5, 0.05, 0.05, "within the noise"),  # of both together: 7.1 %
        (93.0, 0.05, 0.05, "faster"),
        (107.0, 0.05, 0.05, "within the noise"),
        (107.2, 0.05, 0.05, "slower"),
        (99.2, 0.0, 0.0, "within the noise"),  # less than 1 % is never called a difference
        (80.0, 0.3, 0.02, "within the noise"),
        (80.0, None, 0.02, "faster"),
        (80.0, None, None, "noise not known"),
    ],
)
def test_the_verdict_knows_the_noise_of_both(
    b: float, noise_a: float | None, noise_b: float | None, verdict: str
) -> None:
    [row] = compare(report(configuration(100.0, noise_a)), report(configuration(b, noise_b))).rows
    assert row.ratio == pytest.approx(b / 100)
    assert row.verdict == verdict


def test_turning_a_and_b_round_turns_the_verdict_round() -> None:
    for b in (50.0, 90.0, 94.0, 99.0, 103.0, 106.0, 108.0, 200.0):
        one, other = report(configuration(100.0, 0.05)), report(configuration(b, 0.03))
        there, back = compare(one, other).rows[0].verdict, compare(other, one).rows[0].verdict
        opposite = {"faster": "slower", "slower": "faster"}
        assert back == opposite.get(there, there)


def test_more_frames_a_second_are_faster() -> None:
    a, b = configuration(100, 0.02, in_flight=2, fps=10), configuration(100, 0.02, in_flight=2, fps=15)
    latency, rate = compare(report(a), report(b)).rows
    assert (latency.verdict, rate.unit, rate.verdict) == ("within the noise", "frames/s", "faster")


def test_the_cold_start_is_compared() -> None:
    def with_start(engine_ms: float) -> dict[str, Any]:
        found = report()
        figure = {"median": engine_ms, "min": engine_ms - 1, "max": engine_ms + 1}
        steps = dict.fromkeys(("import_ms", "engine_ms", "first_frame_ms"), figure)
        found["models"][0]["cold_start"] = {**steps, "starts": [{}, {}, {}]}
        return found

    rows = compare(with_start(100), with_start(150)).rows
    assert [row.what for row in rows] == ["cold start: import", "cold start: engine", "cold start: first frame"]
    assert {row.verdict for row in rows} == {"slower"}


def test_what_else_differs_is_said() -> None:
    a = report(configuration(100, 0.05), configuration(100, 0.05, in_flight=2))
    assert compare(a, copy.deepcopy(a)).differences == []
    b = report(configuration(100, 0.05))
    b["machine"]["cpu"] = "another"
    b["machine"]["gpus"] = ["H200"]
    b["machine"]["load_average"] = 3.5
    b["software"]["numpy"] = "2.1"
    b["software"]["torch"] = "2.9"
    b["settings"]["repeats"] = 5
    b["commit"] = {"hash": "def", "changed": True}
    b["complete"] = False
    b["models"][0]["info"]["runtime"] = "openvino"
    b["models"][0]["error"] = "the network failed"
    assert compare(a, b).differences == [
        "B was interrupted; it is incomplete",
        "machine: cpu differs: one in A, another in B",
        'machine: gpus differs: nothing in A, ["H200"] in B',
        "other programs were running: load 0 before A, 3.5 before B",
        "version of numpy differs: 2.0 in A, 2.1 in B",
        "version of torch differs: nothing in A, 2.9 in B",
        "commit differs: abc in A, def in B",
        "B was measured with uncommitted changes",
        "setting repeats differs: 3 in A, 5 in B",
        "u2netp failed in B: the network failed",
        "u2netp: runtime differs: native in A, openvino in B",
        "u2netp: only A has 1080p alpha pageable x2",
    ]


def test_two_models_are_compared_where_each_report_has_one() -> None:
    both = compare(report(configuration(100, 0.05)), report(configuration(300, 0.05), model="u2net"))
    assert both.rows[0].model == "u2netp / u2net"
    assert both.rows[0].verdict == "slower"
    assert "the models differ: u2netp and u2net" in both.differences
    more = report(configuration(100, 0.05))
    more["models"] += report(configuration(300, 0.05), model="u2net")["models"]
    found = compare(more, report(configuration(300, 0.05), model="u2net"))
    assert [row.model for row in found.rows] == ["u2net"]
    assert found.differences == ["only A has u2netp"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "could not be read"),
        ("{", "is not a JSON file"),
        ("[]", "is not a report of rmbg-trt bench"),
        ('{"program": "another"}', "is not a report of rmbg-trt bench"),
        (json.dumps({"program": "rmbg-trt bench", "format": 99}), "has format 99"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "report.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=message):
        read_report(file)
