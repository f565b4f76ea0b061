# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt doctor``: tables or JSON, and an exit code that tells whether the main job works."""

from __future__ import annotations

import dataclasses
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rmbg_trt import doctor
from rmbg_trt.cli import app

PASS = doctor.Trial(True, "u2netp", "", 100.0, 20.0, 12.34, {"device": "cpu", "device_name": "a processor"})
FAIL = doctor.Trial(False, "u2netp", "no runtime is here: install [one]")
REPORT = doctor.Report(
    system="Linux 6 x86_64",
    python="CPython 3.11",
    processor=doctor.Processor("Some CPU", 3, ("avx2", "bf16"), 8 * 2**30),
    nvidia=doctor.Nvidia("580.95.05", (doctor.Gpu("NVIDIA H200", 143771, "9.0"),), None, "/cuda/bin/nvcc", "13.0.88"),
    core=doctor.Core("1.2.3", "GNU 12", True, "13.0", "90-real", (), "no permission"),
    packages=(
        doctor.Package("OpenVINO", "CPU", True, "2026.4.1", "get-openvino"),
        doctor.Package("TensorRT", "NVIDIA GPUs", False, None, 'pip install "rmbg-trt[tensorrt]"'),
        doctor.Package("PyTorch", "export", False, None, "get-torch"),
    ),
    cache=doctor.Cache("/some/cache", False, 4_574_861, {"u2net": False, "u2netp": True}),
    advice=("Set RMBG_TRT_HOME.",),
)


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run the command with a given report and trial; counts the trials."""

    def run(*arguments: str, trial: doctor.Trial = PASS, report: doctor.Report = REPORT, columns: str = "100") -> Any:
        command = importlib.import_module("rmbg_trt.cli.doctor")
        trials: list[str] = []

        def trial_run(model: str, *, progress: Any = None) -> doctor.Trial:
            trials.append(model)
            return dataclasses.replace(trial, model=model)

        monkeypatch.setattr(command, "examine", lambda: report)
        monkeypatch.setattr(command, "trial_run", trial_run)
        result: Any = CliRunner().invoke(app, ["doctor", *arguments], env={"COLUMNS": columns})
        result.trials = trials
        return result

    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path))
    return run


def test_the_tables_hold_the_facts(invoke: Any) -> None:
    result = invoke()
    assert result.exit_code == 0
    lines = {" ".join(line.split()) for line in result.stdout.splitlines()}
    assert {
        "Processor Some CPU",
        "Cores usable 3",
        "Features avx2 bf16",
        "Memory 8.0 GiB",
        "rmbg-trt 1.2.3 (CUDA 13.0, for 90-real; GNU 12)",
        "Driver 580.95.05",
        "GPU NVIDIA H200, 143771 MiB, compute capability 9.0",
        "Usable by the core none: no permission",
        "CUDA toolkit 13.0.88 at /cuda/bin/nvcc",
        "OpenVINO CPU 2026.4.1",
        'TensorRT NVIDIA GPUs missing pip install "rmbg-trt[tensorrt]"',
        "PyTorch export missing get-torch",
        "Folder /some/cache (NOT writable, 4.6 MB)",
        "u2net not cached; rmbg-trt models pull u2net",
        "u2netp cached",
        "! Set RMBG_TRT_HOME.",
        "device name a processor",
        "a 640x480 frame 12.3 ms (start 100 ms, first frame 20.0 ms)",
        "PASS removed the background of a test image with u2netp",
    } <= lines


def test_a_command_to_copy_is_not_broken_over_lines(invoke: Any) -> None:
    assert 'pip install "rmbg-trt[tensorrt]"' in invoke(columns="80").stdout


def test_a_failed_trial_is_exit_code_1_with_its_reason(invoke: Any) -> None:
    result = invoke("--model", "u2net", trial=FAIL)
    assert result.exit_code == 1
    assert result.stdout.rstrip().endswith("FAIL u2net: no runtime is here: install [one]")
    assert result.trials == ["u2net"]


def test_no_run_only_looks(invoke: Any) -> None:
    result = invoke("--no-run", trial=FAIL)
    assert result.exit_code == 0
    assert result.trials == []
    assert "PASS" not in result.stdout


@pytest.mark.parametrize(("trial", "code"), [(PASS, 0), (FAIL, 1)])
def test_json(trial: doctor.Trial, code: int, invoke: Any) -> None:
    result = invoke("--json", trial=trial)
    assert result.exit_code == code
    report = json.loads(result.stdout)
    assert report["processor"] == {
        "model": "Some CPU",
        "cores": 3,
        "features": ["avx2", "bf16"],
        "memory_bytes": 8 * 2**30,
    }
    assert report["nvidia"]["gpus"][0]["name"] == "NVIDIA H200"
    assert report["cache"]["models"] == {"u2net": False, "u2netp": True}
    assert (report["trial"]["ok"], report["trial"]["reason"]) == (trial.ok, trial.reason)


def test_json_without_a_run(invoke: Any) -> None:
    assert json.loads(invoke("--json", "--no-run").stdout)["trial"] is None


def test_a_bare_machine_is_described_too(invoke: Any) -> None:
    bare = dataclasses.replace(
        REPORT,
        processor=doctor.Processor("", 1, (), None),
        nvidia=doctor.Nvidia(None, (), None, None, None),
        core=doctor.Core(None, None, False, None, "", (), "ImportError: gone"),
        advice=(),
    )
    lines = {" ".join(line.split()) for line in invoke("--no-run", report=bare).stdout.splitlines()}
    assert {
        "Features none of those that matter",
        "Memory unknown",
        "rmbg-trt missing: ImportError: gone",
        "Driver none found",
        "CUDA toolkit none found",
    } <= lines


def test_this_very_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path))
    result = CliRunner().invoke(app, ["doctor", "--no-run", "--json"])
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["python"].endswith(".".join(map(str, sys.version_info[:3])))
    assert report["processor"]["cores"] >= 1
    assert report["cache"]["folder"] == str(tmp_path)
    assert {package["name"] for package in report["packages"]} >= {"OpenVINO", "TensorRT", "PyTorch"}


def test_help_has_an_example_and_imports_no_runtime() -> None:
    heavy = "{'PIL', 'openvino', 'torch', 'onnxruntime', 'rmbg_trt._core'}"
    code = f"""
import sys
from rmbg_trt.cli import app
try:
    app(["doctor", "--help"])
finally:
    assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)
"""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Example:" in done.stdout
    assert time.perf_counter() - start < 5  # about 0.4 s; the rest is for busy machines


def test_it_starts_where_the_compiled_core_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path))
    monkeypatch.setenv("RMBG_TRT_OFFLINE", "1")
    code = "import sys; sys.modules['rmbg_trt._core'] = None; from rmbg_trt.cli import app; app(['doctor'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "The compiled core does not load" in done.stdout
    assert "the installation of rmbg-trt is incomplete" in done.stdout
