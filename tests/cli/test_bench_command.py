# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt bench`` as it is typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rmbg_trt.cli import app

pytest.importorskip("openvino")

SHORT = ("--device", "cpu", "--sizes", "64x48,128x96", "--places", "pageable", "--outputs", "alpha")
FEW = ("--frames", "5", "--repeats", "2", "--warmup", "1")


def _run(*arguments: object) -> Any:
    return CliRunner(env={"COLUMNS": "400"}).invoke(app, ["bench", *map(str, arguments)], catch_exceptions=False)


@pytest.mark.slow
def test_a_short_benchmark_and_its_comparison(small_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    reports = [tmp_path / "a", tmp_path / "b.json"]
    for file in reports:
        more = ("-o", file, "--rate", "50", "--rate-seconds", "0.2", "--no-cold-start")
        done = _run(small_model, *SHORT, *FEW, "--slots", "1,2", *more)
        assert done.exit_code == 0, done.output
        assert "128x96 alpha pageable x1" in done.stdout
        assert "50/s 64x48 x2" in done.stdout
    content = json.loads((reports[0] / "report.json").read_text(encoding="utf-8"))
    assert content["complete"] is True
    assert content["settings"]["rates"] == [50.0]
    assert [each["frames"] for each in content["models"][0]["configurations"]] == [10, 10, 12]
    assert content["models"][0]["cold_start"] is None
    assert len(list(reports[0].glob("small.onnx_*.png"))) == 5
    done = _run("--compare", *reports, "-o", tmp_path / "compared.json")
    assert done.exit_code == 0, done.output
    compared = json.loads((tmp_path / "compared.json").read_text())
    assert [row["unit"] for row in compared["rows"]] == ["ms", "ms", "ms", "frames/s"]
    for row in compared["rows"]:
        assert row["verdict"] in done.stdout
        assert row["ratio"] == pytest.approx(row["b"] / row["a"])
    printed = _run("--compare", *reports, "--json")
    assert json.loads(printed.stdout) == compared


def test_frames_of_an_image(small_model: Path) -> None:
    photo = Path(__file__).parents[2] / "docs" / "images" / "astronaut.jpg"
    done = _run(small_model, *SHORT, *FEW, "--slots", "1", "--no-cold-start", "--image", photo, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["program"] == "rmbg-trt bench"


def test_a_model_that_cannot_be_opened_does_not_stop_the_others(small_model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"nothing")
    done = _run(damaged, small_model, "nosuch", *SHORT, *FEW, "--slots", "1", "--no-cold-start")
    assert done.exit_code == 1
    assert "Error: damaged.onnx: " in done.stderr
    assert "Error: nosuch: " in done.stderr
    assert "128x96 alpha pageable x1" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sizes", "huge"), "a frame size is 'huge'"),
        (("--places", "cloud"), "places has cloud"),
        (("--outputs", "mask"), "outputs has mask"),
        (("--slots", "two"), "--slots is 'two'"),
        (("--rate", "0"), "a rate is"),
        (("--size", "wide"), "--size is 'wide'"),
        (("--calibration", "."), "--calibration is for --precision int8"),
        (("--seconds", "0"), "seconds must be more than 0"),
        (("--quick", "--full"), "contradict each other"),
        (("--image", "a.png", "--video", "b.mp4"), "not from both"),
        (("--compare", "a.json", "b.json", "-o", "folder"), "the comparison is one file: -o FILE.json"),
        (("u2netp", "--compare", "a.json", "b.json"), "give no models and nothing to measure"),
    ],
)
def test_a_wrong_command_line_is_refused_before_any_work(arguments: tuple[str, ...], message: str) -> None:
    done = _run(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_files_that_cannot_be_used_end_it_before_any_work(small_model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments in (
        ("-o", tmp_path / "file" / "a.json"),
        ("-o", tmp_path / "file"),
        ("-o", tmp_path / "file" / "folder"),
        ("--image", tmp_path / "missing.png"),
        ("--compare", tmp_path / "a.json", tmp_path / "b.json"),
    ):
        models = () if "--compare" in arguments else (small_model, *SHORT)
        done = _run(*models, *arguments)
        assert done.exit_code == 1, arguments
        assert "Error: " in done.stderr


def test_help_has_examples() -> None:
    shown = " ".join(_run("--help").stdout.split())
    assert "rmbg-trt bench --compare a.json b.json" in shown
    assert "--rate 30" in shown


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
def test_ctrl_c_shows_and_writes_what_there_is(small_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    script = "from rmbg_trt.cli import main; main()"
    arguments = [
        "bench",
        small_model,
        *SHORT,
        "--slots",
        "1,2",
        "--seconds",
        "0.1",
        "--repeats",
        "1",
        "--no-cold-start",
    ]
    # Three configurations, then frames that arrive for ten minutes: that is where it is stopped.
    arguments += ["--rate", "20", "--rate-seconds", "600", "-o", file, "--verbose"]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "20 frames/s" in line:
            break
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Interrupted" in err
    assert "alpha pageable x1" in out
    content = json.loads(file.read_text())
    assert content["complete"] is False
    assert len(content["models"][0]["configurations"]) == 3
