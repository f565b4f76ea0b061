# SPDX-License-Identifier: Apache-2.0
"""The default answer is the same on every processor: each instruction set that this one offers, and one core."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rmbg_trt import _core

LEVELS = ("generic", "avx2", "avx512", "avx512_bf16", "amx")
ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.slow, pytest.mark.weights]


def run_recipe_tests(*, core: int | None = None, **environment: str) -> None:
    """The tests of the default precision, in a process with fewer means."""

    def bind() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_recipe.py", "-k", "as_it_comes"],
        env={**os.environ, "RMBG_FEW_PHOTOGRAPHS": "1", **environment},
        cwd=ROOT,
        preexec_fn=bind,
        capture_output=True,
        text=True,
        check=False,
        timeout=580,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("isa", LEVELS)
def test_each_instruction_set(isa: str, u2netp_path: Path, u2net_path: Path) -> None:
    best = _core.cpu_info()["isa"]
    if LEVELS.index(isa) >= LEVELS.index(best):
        pytest.skip(f"this processor's default is {best}, which tests/test_recipe.py runs")
    run_recipe_tests(RMBG_ISA=isa)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs sched_setaffinity")
def test_one_core(u2netp_path: Path, u2net_path: Path) -> None:
    run_recipe_tests(core=min(os.sched_getaffinity(0)))
