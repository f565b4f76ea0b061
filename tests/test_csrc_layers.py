# SPDX-License-Identifier: Apache-2.0
"""The stages of csrc/ in their order: each includes only what stands to its left, and only the bindings know Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[1] / "csrc"
MAY_INCLUDE = {
    "core": set(),
    "preprocess": {"core"},
    "network": {"core"},
    "postprocess": {"core", "preprocess"},
    "pipeline": {"core", "preprocess", "network", "postprocess"},
    "engine": {"core", "preprocess", "network", "postprocess", "pipeline"},
    "bindings": {"core", "preprocess", "network", "postprocess", "pipeline", "engine", "pybind11"},
}


@pytest.mark.skipif(not CSRC.is_dir(), reason="needs the sources")
@pytest.mark.parametrize("stage", MAY_INCLUDE)
def test_a_stage_includes_only_what_stands_to_its_left(stage: str) -> None:
    sources = [path for path in (CSRC / stage).rglob("*") if path.suffix in (".h", ".cpp", ".cu", ".cuh")]
    assert {path.name for path in CSRC.iterdir()} == set(MAY_INCLUDE)
    for path in sources:
        included = set(re.findall(r'^\s*#\s*include\s*[<"](\w+)/', path.read_text(encoding="utf-8"), re.MULTILINE))
        wrong = included - {stage} - MAY_INCLUDE[stage] - {"sys", "linux", "cuda"}
        assert not wrong, f"{path.relative_to(CSRC)} includes {wrong}"
    assert len(sources) > 5
