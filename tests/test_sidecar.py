# SPDX-License-Identifier: Apache-2.0
"""The JSON beside an exported model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rmbg_trt.errors import ModelError
from rmbg_trt.recipe import Sidecar, Tensor, read_sidecar, write_sidecar


def _sidecar() -> Sidecar:
    sides = (1, 3, 64, 64), (2, 3, 320, 320), (4, 3, 640, 640)
    return Sidecar(
        artefact="u2net.plan",
        sha256="00" * 32,
        input=Tensor("input", (-1, 3, -1, -1), "float32", *sides),
        output=Tensor("matte", (-1, 1, -1, -1)),
        precision="fp16",
        normalisation={"mean": [0.485, 0.456, 0.406]},
        source={"name": "best.safetensors", "architecture": None},
        tools={"torch": "2.13.0"},
        runtime="tensorrt_rtx",
        runtime_version="1.7",
        targets=("sm86", "sm89"),
        verification=[{"max_abs": 1e-6}],
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_sidecar(tmp_path / "u2net.plan", _sidecar())
    assert (tmp_path / "u2net.plan.json").is_file()
    assert read_sidecar(tmp_path / "u2net.plan") == _sidecar()


def test_a_plan_of_trtexec_has_none(tmp_path: Path) -> None:
    assert read_sidecar(tmp_path / "raw.plan") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a readable sidecar"),
        ("[]", "not a sidecar of this version"),
        ('{"format": "something else"}', "not a sidecar of this version"),
        ('{"format": "rmbg-trt sidecar 1", "artefact": "x"}', "a field is wrong"),
    ],
)
def test_damaged_ones(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.plan.json").write_text(content)
    with pytest.raises(ModelError, match=f"{message}.*export the model again, or remove it"):
        read_sidecar(tmp_path / "x.plan")


def test_unknown_fields_are_told(tmp_path: Path) -> None:
    write_sidecar(tmp_path / "x.plan", _sidecar())
    path = tmp_path / "x.plan.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "color": 1}))
    with pytest.raises(ModelError, match=r"a field is wrong .*color"):
        read_sidecar(tmp_path / "x.plan")


def test_not_a_number_is_no_json(tmp_path: Path) -> None:
    sidecar = _sidecar()
    sidecar.verification.append({"max_abs": float("nan")})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_sidecar(tmp_path / "x.plan", sidecar)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("verification", {"max_abs": 1}), ("verification", [{"iou": "good"}]), ("tools", "torch"), ("normalisation", [])],
)
def test_fields_of_another_kind(field: str, value: object, tmp_path: Path) -> None:
    write_sidecar(tmp_path / "x.plan", _sidecar())
    path = tmp_path / "x.plan.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(ModelError, match=f"a field is wrong .*{field}"):
        read_sidecar(tmp_path / "x.plan")
