# SPDX-License-Identifier: Apache-2.0
"""The OpenVINO adapter: slots, the choice of precision, and what it reports when it cannot run a model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import reference

from rmbg_trt import Engine, UnavailableError, _core
from rmbg_trt.install import install_command
from rmbg_trt.networks import native as native_network
from rmbg_trt.networks import open_network
from rmbg_trt.networks import openvino as openvino_network
from rmbg_trt.runtimes.request import Request, UnsupportedNetworkError


def engine_of(model: Path, **options: Any) -> Engine:
    return Engine(model, **{"runtime": "openvino", "precision": "fp32", "color": "rgb", "slots": 1, **options})


def test_each_slot_has_a_request_of_its_own(small_model: Path) -> None:
    frames = [reference.photograph(name) for name in reference.PHOTOGRAPHS]
    with engine_of(small_model, slots=3) as engine:
        alone = [engine.run(frame) for frame in frames]
        for _ in range(3):
            for got, expected in zip(engine.map(frames), alone, strict=True):
                np.testing.assert_array_equal(got, expected)


def test_without_openvino_the_message_says_what_to_install(small_model: Path, without_openvino: None) -> None:
    with pytest.raises(UnavailableError, match=r"runtime .openvino.*" + re.escape(install_command("openvino"))):
        engine_of(small_model)


@pytest.mark.parametrize(
    ("asked", "native", "expected"),
    [
        ("auto", True, "fp32"),
        ("auto", False, "fp32"),
        ("fp32", True, "fp32"),
        ("fp32", False, "fp32"),
        ("bf16", True, "bf16"),
    ],
)
def test_the_choice_of_precision(monkeypatch: pytest.MonkeyPatch, asked: str, native: bool, expected: str) -> None:
    monkeypatch.setattr(_core, "cpu_info", lambda: {"bf16": native})
    precision, reason = openvino_network.choose_precision(asked)
    assert precision == expected
    assert expected in reason or "bf16" in reason


def test_bf16_is_never_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "cpu_info", lambda: {"bf16": False})
    with pytest.raises(UnavailableError, match=r"no bfloat16 arithmetic.*use fp32 or auto"):
        openvino_network.choose_precision("bf16")


def test_what_is_passed_over_is_in_the_reason(small_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, request: Request) -> None:
        raise UnsupportedNetworkError("a layer it does not know")

    monkeypatch.setattr(native_network, "open", refuse)
    request = Request("fp32", None, 1)
    opened, reason = open_network(small_model, device="cpu", runtime="auto", precision="fp32", request=request)
    assert opened.runtime == "openvino"
    assert "not native: a layer it does not know" in reason
    with pytest.raises(UnavailableError, match=r"runtime 'native' cannot run small.onnx: a layer it does not know"):
        open_network(small_model, device="cpu", runtime="native", precision="fp32", request=request)
