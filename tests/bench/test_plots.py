# SPDX-License-Identifier: Apache-2.0
"""Plots and tables of a report: each is there, of what it says, and left out where there is nothing to show."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console
from tests.bench.test_runner import SMALL

from rmbg_trt import Engine
from rmbg_trt.bench import Bench, plots, tables
from rmbg_trt.errors import UnavailableError
from rmbg_trt.install import install_command


@pytest.fixture
def report(fake_engine: Callable[..., Engine]) -> dict[str, Any]:
    settings = dataclasses.replace(SMALL, rate_seconds=0.05)
    bench = Bench(["a/made model.onnx"], settings, open_engine=lambda model, **options: fake_engine(**options))
    bench.run()
    return bench.report()


@pytest.mark.slow
def test_every_plot_is_an_image(report: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    written = plots.write_plots(report, tmp_path / "plots")
    kinds = ("stages", "distribution", "frame_size", "throughput", "open_loop")
    assert [path.name for path in written] == [f"made_model.onnx_{kind}.png" for kind in kinds]
    for path in written:
        image = Image.open(path).convert("RGB")
        assert image.width > 600
        colors = image.getcolors(image.width * image.height)
        assert colors is not None
        assert len(colors) > 20, "an empty plot"


def test_what_was_not_measured_is_not_plotted(report: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    [model] = report["models"]
    model["configurations"] = model["configurations"][:1]
    model["open_loop"], model["scaling"] = [], None
    assert [path.name for path in plots.write_plots(report, tmp_path)] == [
        "made_model.onnx_stages.png",
        "made_model.onnx_distribution.png",
    ]
    model["configurations"] = []
    assert plots.write_plots(report, tmp_path / "none") == []


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=re.escape(install_command("bench"))):
        plots.check_packages()


def test_tables_fit_a_narrow_terminal_and_lose_no_digit(report: dict[str, Any]) -> None:
    [model] = report["models"]
    for each in model["configurations"]:
        each["name"] = "2160p composite pageable x2"
        each["latency_ms"].update(p50=1234.5, p99=2345.6)
    model["open_loop"][0].update(held=False, dropped=3, served_per_second=12.345)
    text = io.StringIO()
    Console(file=text, width=80).print(tables.of_model(model))
    shown = text.getvalue()
    assert "…" not in shown
    assert shown.count("2160p composite") == 10  # a long name goes on in the next line, a number never does
    assert shown.count(" 1234 ") == 5
    assert "It does not keep up with 100 frames/s: 12.35 are served, 3 were dropped" in shown.replace("\n", " ")
    assert "not run: frames in device memory: the engine runs on the CPU" in shown
