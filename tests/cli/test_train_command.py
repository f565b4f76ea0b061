# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt train`` as it is typed; and the whole chain from images to a plan and an engine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from tests.training.made_pairs import make_set
from typer.testing import CliRunner

from rmbg_trt import Engine
from rmbg_trt.cli import app
from rmbg_trt.runtimes.devices import plan_kind

SMALL = ("--size", "48", "--batch", "2", "--workers", "0", "--device", "cpu")


def _run(*arguments: object) -> Any:
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("made"))


def test_settings_arrive_and_are_shown(made: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("lr: 0.5\nepochs: 3\nloss: dice\n")
    done = _run(
        *("train", made, "--config", file, "--lr", "0.25", "--set", "epochs=4", "--set", "augment.flip=0"),
        *("--model", "unet", "--init", "u2netp", "--batch", 3, "--seed", 5, "--precision", "bf16", "--show-settings"),
    )
    assert done.exit_code == 0
    shown = yaml.safe_load(done.stdout)
    expected = {"data": str(made), "lr": 0.25, "epochs": 4, "loss": "dice", "architecture": "unet", "init": "u2netp"}
    assert {**shown, **expected, "batch": 3, "seed": 5, "precision": "bf16"} == shown
    assert shown["augment"]["flip"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["DATA"], "name a folder for the run: -o RUN"),
        (["-o", "RUN"], "no data"),
        (["DATA", "-o", "RUN", "--set", "x=1"], "there is no setting x"),
        (["DATA", "-o", "RUN", "--loss", "l2"], "loss is 'l2'"),
        (["--resume", "RUN", "DATA", "--lr", "1"], "it takes no data, lr"),
        (["--resume", "RUN", "--set", "lr=1"], "it takes no --set"),
    ],
)
def test_wrong_command_lines(made: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    named = {"DATA": str(made), "RUN": str(tmp_path / "run")}
    done = _run("train", *(named.get(each, each) for each in arguments))
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_job_that_cannot_be_done(tmp_path: Path) -> None:
    done = _run("train", tmp_path, "-o", tmp_path / "run")
    assert (done.exit_code, "holds no pairs.csv" in done.stderr) == (1, True)
    done = _run("train", "--resume", tmp_path)
    assert (done.exit_code, "holds no run" in done.stderr) == (1, True)


@pytest.mark.slow
def test_a_finished_run_is_prolonged_and_a_diverged_one_fails(made: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert _run("train", made, "-o", run, "--model", "unet", "--epochs", 1, *SMALL).exit_code == 0
    done = _run("train", "--resume", run, "--epochs", 2)
    assert (done.exit_code, "epoch 2/2: loss" in done.stderr) == (0, True)
    done = _run("train", made, "-o", tmp_path / "bad", "--model", "unet", "--epochs", 1, "--lr", 1e6, *SMALL)
    assert done.exit_code == 1
    assert re.search(r"(diverged|the loss is nan).*smaller lr", " ".join(done.stderr.split()))
    assert "rmbg-trt export" not in done.stderr


@pytest.mark.slow
def test_ctrl_c_writes_a_checkpoint_and_says_how_to_go_on(made: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-c", "from rmbg_trt.cli import main; main()"]
    arguments = ["train", str(made), "-o", str(run), "--model", "unet", "--epochs", "1000", *SMALL]
    with subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            deadline = time.monotonic() + 120
            while not (run / "metrics.csv").exists() and time.monotonic() < deadline:
                time.sleep(0.1)
            os.kill(process.pid, signal.SIGINT)
            said = process.stderr.read()
        finally:
            process.kill()
    assert process.returncode == 130, said
    assert f"rmbg-trt train --resume {run}" in said
    assert (run / "last.ckpt").is_file()
    assert not list(run.glob("*.part"))


@pytest.mark.slow
@pytest.mark.weights
def test_the_whole_chain(tmp_path: Path, u2netp_path: Path) -> None:
    """prepare, train, evaluate, export to a plan, and the engine, on made images."""
    made = make_set(tmp_path / "raw", train=10, val=4, side=96)
    prepared, run, results, plan = (tmp_path / name for name in ("set", "run", "results", "best.plan"))
    done = _run("prepare", "--pairs", made / "images", made / "masks", "--val", 0.3, "--test", 0, "-o", prepared)
    assert done.exit_code == 0, done.stderr

    done = _run(
        *("train", prepared, "-o", run, "--init", u2netp_path, "--epochs", 1, "--lr", 1e-5, "--batch", 4, "--size", 96),
        *("--set", "freeze_batch_norm=true", "--workers", 1, "--device", "cpu"),
    )
    assert done.exit_code == 0, done.stderr
    assert re.search(r"epoch 1/1: loss \d", done.stderr)
    best = run / "best.safetensors"
    assert done.stdout.strip() == str(best)

    done = _run("evaluate", prepared, best, u2netp_path, "-o", results, "--device", "cpu")
    assert done.exit_code == 0, done.stderr
    summary = json.loads((results / "summary.json").read_text())
    assert len(summary["models"]) == 2

    done = _run("export", best, "-o", plan, "--runtime", "tensorrt_rtx")
    assert done.exit_code == 0, done.stderr
    assert plan_kind(plan.read_bytes()[:64]) == "tensorrt_rtx"

    image = np.asarray(Image.open(next((made / "images").iterdir())))
    with (
        Engine(best, device="cpu", color="rgb") as engine,
        Engine(plan.with_name("best.fp32.onnx"), color="rgb") as onnx,
    ):
        alpha = engine.run(image)
        assert (alpha.shape, alpha.dtype) == ((96, 96), np.uint8)
        assert alpha.max() == 255
        difference = np.abs(alpha.astype(int) - onnx.run(image))
    assert difference.max() <= 1
