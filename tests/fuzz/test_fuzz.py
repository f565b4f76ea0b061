# SPDX-License-Identifier: Apache-2.0
"""Every fuzz target runs: its seeds, then changed inputs for some seconds. ``make fuzz`` runs them for longer."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fuzz.targets import TARGETS
from tests.stand_in_build import environment, needs_a_build

ROOT = Path(__file__).parents[2]
SECONDS = os.environ.get("RMBG_FUZZ_SECONDS", "3")

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_handled(name: str) -> None:
    seeds = TARGETS[name].seeds()
    assert seeds
    for seed in seeds:
        TARGETS[name].run(seed)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed: NOTHING IS FUZZED")
@pytest.mark.parametrize("name", TARGETS)
def test_changed_inputs_are_handled(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.run", name, "--seconds", SECONDS, "--corpus", str(tmp_path / "corpus")]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(PYTHONPATH=path),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert "number_of_executed_units" in done.stderr


@pytest.fixture(scope="module")
def programs(built: Callable[..., Path]) -> Path:
    return built("fuzz") / "tests" / "fuzz"


class TestCore:
    pytestmark = needs_a_build

    @pytest.mark.parametrize("name", ["frames", "graphs", "model_file", "resample"])
    def test_changed_inputs_are_handled(self, name: str, programs: Path, tmp_path: Path) -> None:
        command = [programs / f"{name}_fuzz", f"-max_total_time={SECONDS}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, f"{done.stderr}\nlast input: {(tmp_path / 'last-input').read_bytes()!r}"
        assert int(done.stdout.split()[0]) > 20
