# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt export --precision int8`` as it is typed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests import make, small_models
from typer.testing import CliRunner

from rmbg_trt import Engine
from rmbg_trt.cli import app
from rmbg_trt.export import calibration, int8_job

pytest.importorskip("openvino")
if importlib.util.find_spec("nncf") is None:  # it is not to be imported here
    pytest.skip("NNCF is not installed", allow_module_level=True)


def _command(*arguments: object) -> Any:
    return CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)


def _run(*arguments: object) -> Any:
    return _command("export", *arguments)


@pytest.mark.slow
def test_a_model_is_made_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "CALIBRATE", 6)
    monkeypatch.setattr(calibration, "VARIED", 5)
    model, out = small_models.leaky(tmp_path / "leaky.onnx", 48, 64), tmp_path / "small.xml"
    done = _run(model, "-o", out, "--precision", "int8", "--size", 64)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{out}: int8, 0.0")
    assert "in float32: first/WithoutBiases, last/WithoutBiases" in done.stderr
    with Engine(out, device="cpu") as engine:
        assert (engine.info.precision, engine.info.input_size) == ("int8", (64, 64))
    shown = _run("--inspect", out)
    assert shown.exit_code == 0, shown.output
    assert all(words in " ".join(shown.stdout.split()) for words in ("OpenVINO", "int8", "4 images of the package"))


def test_options_arrive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = []

    class CaughtError(Exception):
        """Ends the command where the work would begin."""

    def export_int8(source: str, out: Path, **options: Any) -> None:
        options.pop("progress")
        calls.append((source, out, options))
        raise CaughtError

    monkeypatch.setattr(int8_job, "export_int8", export_int8)
    with pytest.raises(CaughtError):
        _run("u2net", "--precision", "int8", "--calibration", "photos", "--verify", "val", "--overwrite")
    options = {"calibration": Path("photos"), "verify": Path("val"), "size": None, "force": False, "overwrite": True}
    assert calls == [("u2net", Path("u2net.int8.xml"), options)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--precision", "int8", "--targets", "sm89"], "no options of plans"),
        (["--precision", "int8", "--runtime", "tensorrt"], "no options of plans"),
        (["--precision", "int8", "--dynamic", "160", "320", "640"], "no options of plans"),
        (["--calibration", "photos"], "--calibration is for --precision int8"),
    ],
)
def test_what_does_not_go_together(options: list[str], words: str) -> None:
    done = _run("u2net", *options)
    assert done.exit_code == 2
    assert words in done.stderr


@pytest.mark.parametrize("command", ["image", "video", "camera"])
@pytest.mark.parametrize("precision", ["int8", "auto"])
def test_every_command_hands_calibration_on(command: str, precision: str, tmp_path: Path) -> None:
    made = {"image": [tmp_path / "a.png", "-o", tmp_path / "b.png"], "video": [tmp_path / "a.mp4", "-o", "b.mov"]}
    for name in ("a.png", "a.mp4"):
        (tmp_path / name).write_bytes(b"looked at later")
    options = ["--precision", precision, "--calibration", tmp_path / "nowhere", "--model", "no/such.onnx"]
    done = CliRunner().invoke(
        app, [command, *map(str, made.get(command, ["--no-preview", "--record", "c.mov"])), *map(str, options)]
    )
    assert done.exit_code == 2
    said = " ".join(done.stderr.split())
    assert (
        "expected a folder of photographs" if precision == "int8" else "--calibration is for --precision int8"
    ) in said


def test_the_help_has_an_example() -> None:
    text = " ".join(_run("--help").stdout.split())
    assert "--precision int8 --calibration photos" in text


@pytest.mark.slow
def test_bench_and_evaluate_take_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both make the model once, with the folder that they are given, and neither tells where it lies."""
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path / "home"))
    photos, truth = tmp_path / "photos", tmp_path / "truth"
    for place, mode in ((photos, "RGB"), (truth, "L")):
        place.mkdir()
        for index in range(3):
            pixels = make.noise(64, 64, 3, seed=index)
            Image.fromarray(pixels).convert(mode).save(place / f"{index}.png")
    model = small_models.leaky(tmp_path / "leaky.onnx", 64, 64)
    int8 = ("--device", "cpu", "--precision", "int8", "--calibration", photos)
    done = _command("evaluate", "--pairs", photos, truth, model, *int8, "--fast", "--json")
    assert done.exit_code == 0, done.output
    evaluated = json.loads(done.stdout)
    assert evaluated["models"][0]["engine"]["precision"] == "int8"
    report = tmp_path / "bench.json"
    few = ("--frames", 2, "--repeats", 1, "--warmup", 0, "--slots", 1, "--sizes", "64x48", "--places", "pageable")
    done = _command("bench", model, *int8, *few, "--outputs", "alpha", "-o", report)
    assert done.exit_code == 0, done.output
    measured = json.loads(report.read_text())
    assert measured["settings"]["engine"]["calibration"] == "photos"
    (run,) = measured["models"]
    assert "of photos" in run["info"]["reason"]
    assert run["cold_start"]["plan"] == "from the cache"
    assert str(tmp_path) not in report.read_text()
