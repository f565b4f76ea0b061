# SPDX-License-Identifier: Apache-2.0
"""What "auto" takes on the CPU, with made networks of known speed and accuracy: no test depends on the processor."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import small_models

from rmbg_trt import Engine, ModelError, UnavailableError, _core
from rmbg_trt.networks import cpu_choice, measurements
from rmbg_trt.networks import native as native_network
from rmbg_trt.networks import openvino as openvino_network
from rmbg_trt.networks.cpu_choice import candidates, open_fastest
from rmbg_trt.networks.measurements import Candidate, Choice, MatteCheck, Measurement, check_mattes
from rmbg_trt.runtimes.request import Opened, Request, UnsupportedNetworkError

SIZE = (48, 64)
NATIVE, OPENVINO, BF16 = Candidate("native", "fp32"), Candidate("openvino", "fp32"), Candidate("native", "bf16")


def network(ms: float = 0.0, error: float = 0.0) -> _core.Network:
    """The red channel as probability, after a while; ``error`` is added to it. Unlike fakes.network it binds anew."""
    bound: list[Any] = []

    def enqueue(stream: int) -> None:
        time.sleep(ms / 1e3)
        source, target = bound
        unit = (source[0, 0] - source[0, 0].min()) / max(float(np.ptp(source[0, 0])), 1e-6)
        target[0, 0] = np.clip(unit + error * np.linspace(-1, 1, unit.shape[1], dtype=np.float32), 0, 1)

    def bind(source: Any, target: Any) -> None:
        bound[:] = [source, target]

    spec = _core.TensorSpec
    return _core.python_network(spec("input", (1, 3, *SIZE)), spec("output", (1, 1, *SIZE)), bind, enqueue)


class Machine:
    """Opens candidates as told, and remembers which were opened."""

    def __init__(self, answers: dict[Candidate, _core.Network | Exception]) -> None:
        self.answers = answers
        self.opened: list[Candidate] = []

    def open_one(self, candidate: Candidate) -> Opened:
        self.opened.append(candidate)
        answer = self.answers.get(candidate, UnavailableError("it is not installed"))
        if isinstance(answer, Exception):
            raise answer
        return Opened([answer], candidate.runtime, "1", "a processor", candidate.precision, "")

    def open(self, path: Path, *wanted: Candidate, asked: bool = False) -> tuple[Opened | None, list[str]]:
        return open_fastest(path, wanted, Request("auto", None, 1), asked=asked, open_one=self.open_one)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(measurements, "_in_this_process", {})
    return small_models.matte(tmp_path / "small.onnx", *SIZE)


def forget() -> None:
    """As a new process starts."""
    measurements._in_this_process.clear()


@pytest.mark.parametrize(("native_ms", "openvino_ms", "taken"), [(2, 12, "native"), (12, 2, "openvino")])
def test_the_faster_runtime_is_taken(model: Path, native_ms: float, openvino_ms: float, taken: str) -> None:
    machine = Machine({NATIVE: network(native_ms), OPENVINO: network(openvino_ms)})
    opened, _ = machine.open(model, NATIVE, OPENVINO)
    assert opened is not None
    assert opened.runtime == taken
    assert "measured once: native fp32 " in opened.reason


def test_as_fast_as_the_first_is_not_faster(model: Path) -> None:
    known = Choice((Measurement(NATIVE, 100, None), Measurement(OPENVINO, 97, None)), ())
    assert cpu_choice._required(known, [NATIVE, OPENVINO], model, asked=False).candidate == NATIVE


def test_a_second_start_opens_only_the_chosen_one(model: Path) -> None:
    answers: dict[Candidate, Any] = {NATIVE: network(12), OPENVINO: network(1)}
    first = Machine(answers).open(model, NATIVE, OPENVINO)[0]
    forget()
    again = Machine(answers)
    second = again.open(model, NATIVE, OPENVINO)[0]
    assert again.opened == [OPENVINO]
    assert first is not None
    assert second is not None
    assert second.reason == first.reason


def test_what_it_depends_on_is_in_the_name(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {measurements.choice_file(model, [NATIVE, OPENVINO], None)}
    names.add(measurements.choice_file(model, [NATIVE], None))
    names.add(measurements.choice_file(model, [NATIVE, OPENVINO], (64, 64)))
    names.add(measurements.choice_file(small_models.matte(tmp_path / "other.onnx", 64, 64), [NATIVE, OPENVINO], None))
    info = _core.cpu_info()
    for change in ({"isa": "another"}, {"workers": 99}):
        with monkeypatch.context() as patch:
            patch.setattr(_core, "cpu_info", lambda change=change: {**info, **change})
            names.add(measurements.choice_file(model, [NATIVE, OPENVINO], None))
    with monkeypatch.context() as patch:
        patch.setattr(measurements, "processor_name", lambda: "another")
        names.add(measurements.choice_file(model, [NATIVE, OPENVINO], None))
    with monkeypatch.context() as patch:
        patch.setattr(measurements, "_openvino_version", lambda: "1.0")
        names.add(measurements.choice_file(model, [NATIVE, OPENVINO], None))
    assert len(names) == 8


def test_fast_but_wrong_is_not_taken(model: Path) -> None:
    machine = Machine({NATIVE: network(8), BF16: network(1, error=0.2)})
    opened, _ = machine.open(model, NATIVE, BF16)
    assert opened is not None
    assert opened.precision == "fp32"


def test_fast_and_right_is_taken_and_its_check_is_said(model: Path) -> None:
    machine = Machine({NATIVE: network(8), BF16: network(1)})
    opened, _ = machine.open(model, NATIVE, BF16)
    assert opened is not None
    assert opened.precision == "bf16"
    assert "mean |Δalpha| 0.00 of 255, worst IoU 1.000" in opened.reason


def test_asked_for_it_is_compared_and_said(model: Path) -> None:
    machine = Machine({NATIVE: network(8), BF16: network(1, error=0.004)})
    opened, _ = machine.open(model, BF16, asked=True)
    assert opened is not None
    assert opened.reason.startswith("bf16 because it was asked for: mean |Δalpha| ")


def test_asked_for_but_useless_it_is_refused_and_the_refusal_is_kept(model: Path) -> None:
    machine = Machine({NATIVE: network(), BF16: network(error=0.9)})
    for _ in range(2):
        with pytest.raises(ModelError, match=r"small.onnx loses too much .*native bf16: agreement 0\.\d+; expected"):
            machine.open(model, BF16, asked=True)
        forget()
    assert machine.opened == [BF16, NATIVE]


def test_nan_in_reduced_precision_means_fp32(model: Path) -> None:
    machine = Machine({NATIVE: network(8), BF16: network(1, error=float("nan"))})
    opened, _ = machine.open(model, NATIVE, BF16)
    assert opened is not None
    assert opened.precision == "fp32"


def test_one_that_is_not_here_is_passed_over_also_at_the_second_start(model: Path) -> None:
    tanh = UnsupportedNetworkError("a Tanh")
    second = Candidate("openvino", "bf16")
    answers: dict[Candidate, Any] = {NATIVE: tanh, BF16: tanh, OPENVINO: network(), second: network()}
    for _ in range(2):
        opened, passed_over = Machine(answers).open(model, NATIVE, OPENVINO, BF16, second)
        assert opened is not None
        assert passed_over == ["native: a Tanh"]
        forget()
    assert Machine({}).open(model, NATIVE, OPENVINO)[0] is None


def test_without_a_choice_nothing_is_measured(model: Path) -> None:
    slow = Machine({NATIVE: UnsupportedNetworkError("a Tanh"), OPENVINO: network(60_000)})
    assert slow.open(model, NATIVE, OPENVINO)[0] is not None
    assert slow.open(model, OPENVINO)[0] is not None
    assert not (model.parent / "cache" / "choices").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"measured": [{"ms": 1}], "passed_over": []}'])
def test_a_damaged_entry_is_measured_again(model: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine({NATIVE: network(1), OPENVINO: network(9)})
    machine.open(model, NATIVE, OPENVINO)
    file = measurements.choice_file(model, [NATIVE, OPENVINO], None)
    file.write_text(text)
    forget()
    opened, _ = machine.open(model, NATIVE, OPENVINO)
    assert opened is not None
    assert opened.runtime == "native"
    assert "cannot be used and is made again" in caplog.text
    assert len(json.loads(file.read_text())["measured"]) == 2


def test_a_cache_that_cannot_be_written_costs_one_measurement_a_process(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (model.parent / "cache").write_text("no folder")
    machine = Machine({NATIVE: network(1), OPENVINO: network(9)})
    for _ in range(2):
        machine.open(model, NATIVE, OPENVINO)
    assert machine.opened == [NATIVE, OPENVINO, NATIVE]
    assert "cannot be kept" in caplog.text


def test_openvino_gone_since_the_last_start(model: Path) -> None:
    answers: dict[Candidate, Any] = {NATIVE: network(9), OPENVINO: network(1)}
    Machine(answers).open(model, NATIVE, OPENVINO)
    forget()
    del answers[OPENVINO]
    opened, passed_over = Machine(answers).open(model, NATIVE, OPENVINO)
    assert opened is not None
    assert (opened.runtime, passed_over) == ("native", ["openvino: it is not installed"])


def test_a_check_by_hand() -> None:
    """Eight images; the second network says one half more everywhere where the first says nothing."""

    def none(x: Any) -> Any:
        return np.tile(np.float32([0, 1]), (1, 1, SIZE[0], SIZE[1] // 2))

    def more(x: Any) -> Any:
        return np.maximum(none(x), np.float32(0.501))

    same = check_mattes(none, none, SIZE)
    assert (same.images, same.mean_alpha, same.worst_iou, same.agreement) == (8, 0, 1, 1)
    # A per-image stretch hides an offset, so alpha stays what it was.
    assert check_mattes(none, more, SIZE) == same
    broken = check_mattes(none, lambda x: 1 - none(x), SIZE)
    assert broken.worst_iou < 0.1
    assert broken.mean_alpha > 100


def test_a_change_that_nobody_sees_is_no_disagreement() -> None:
    """A soft subject at one half, and one a little clearer: a change of 2 of 255 moves only the first across."""

    def subject(alpha: float) -> Any:
        def predict(x: Any) -> Any:
            probability = np.zeros((1, 1, *SIZE), np.float32)
            probability[..., SIZE[1] // 2 :] = alpha / 255
            probability[..., -2:] = 1
            return probability

        return predict

    assert check_mattes(subject(127), subject(129), SIZE).worst_iou == 1
    assert check_mattes(subject(121), subject(134), SIZE).worst_iou < 0.5


def test_bounds_of_auto() -> None:
    good = MatteCheck(8, 0.1, 0.996, "a.jpg", 1.0)
    assert cpu_choice.keeps(good, asked=False)
    for worse in ({"mean_alpha": 0.21}, {"worst_iou": 0.994}):
        assert not cpu_choice.keeps(MatteCheck(**{**dataclasses.asdict(good), **worse}), asked=False)
    assert cpu_choice.keeps(MatteCheck(8, 9, 0.5, "a.jpg", 0.98), asked=True)
    assert not cpu_choice.keeps(MatteCheck(8, 0, 1, "a.jpg", 0.97), asked=True)


def test_the_candidates() -> None:
    assert NATIVE in candidates("auto", "auto")
    assert OPENVINO in candidates("auto", "auto")
    assert Candidate("openvino", "bf16") not in candidates("auto", "auto")
    assert candidates("auto", "fp32") == [NATIVE, OPENVINO]
    assert candidates("openvino", "auto") == [OPENVINO]
    assert candidates("openvino", "bf16") == [Candidate("openvino", "bf16")]


# The engine, on any processor: what it has is told to it.


@pytest.fixture
def processor(model: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Says whether the processor has bfloat16. OpenVINO then computes in fp32, which every processor can."""
    info, compile_model = _core.cpu_info(), openvino_network.compile_model

    def use(bf16: bool) -> None:
        monkeypatch.setattr(_core, "cpu_info", lambda: {**info, "bf16": bf16})
        monkeypatch.setattr(
            openvino_network, "compile_model", lambda core, source, precision: compile_model(core, source, "fp32")
        )

    return use


def test_bf16_where_the_processor_has_it(
    processor: Callable[[bool], None], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(True)
    with Engine(model, device="cpu", precision="bf16", runtime="openvino") as engine:
        assert engine.info.precision == "bf16"
        assert "bf16 because it was asked for: mean |Δalpha| 0.00" in engine.info.reason


@pytest.mark.parametrize("runtime", ["auto", "openvino"])
def test_bf16_is_not_emulated(processor: Callable[[bool], None], model: Path, runtime: str) -> None:
    processor(False)
    with pytest.raises(UnavailableError, match=r"no bfloat16 arithmetic \(AVX512-BF16 or AMX\)"):
        Engine(model, device="cpu", precision="bf16", runtime=runtime)


@pytest.mark.parametrize("bf16", [False, True])
def test_auto_is_fp32_where_nothing_faster_keeps_the_matte(
    processor: Callable[[bool], None], model: Path, bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(bf16)

    def unsupported(path: Path, request: Request) -> Opened:
        raise UnsupportedNetworkError("a layer it does not know")

    monkeypatch.setattr(native_network, "open", unsupported)
    with Engine(model, device="cpu") as engine:
        assert (engine.info.runtime, engine.info.precision) == ("openvino", "fp32")
        assert "not native: a layer it does not know" in engine.info.reason
