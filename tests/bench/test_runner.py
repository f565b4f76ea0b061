# SPDX-License-Identifier: Apache-2.0
"""A whole benchmark, with networks that are Python functions, and once for real."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rmbg_trt import Engine
from rmbg_trt.bench import Bench, Settings, compare, machine, read_report
from rmbg_trt.bench.runner import _labels
from rmbg_trt.errors import InputError, NetworkError

SMALL = Settings(
    sizes=((24, 40), (48, 80)), places=("pageable", "pinned", "device"), outputs=("alpha", "composite"), slots=(1, 2),
    frames=6, repeats=2, warmup=1, rates=(100.0,), rate_seconds=0.1, cold_start=False,
)  # fmt: skip


def by_name(report: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in report["models"][0]["configurations"]}


def test_a_whole_report(fake_engine: Callable[..., Engine]) -> None:
    told: list[tuple[str, str, int, int]] = []
    bench = Bench(["made.onnx"], SMALL, open_engine=lambda model, **options: fake_engine(**options))
    bench.run(lambda *step: told.append(step))
    report = json.loads(json.dumps(bench.report()))  # it is JSON
    [model] = report["models"]
    found = by_name(report)
    assert list(found) == [
        "40x24 alpha pageable x1",
        "80x48 alpha pageable x1",
        "40x24 alpha pinned x1",
        "40x24 composite pageable x1",
        "40x24 alpha pageable x2",
    ]
    for each in found.values():
        assert each["frames"] == 12
        assert [len(turn["samples_ms"]) for turn in each["turns"]] == [6, 6]
        assert each["noise"] is not None
        stages, latency = each["stages_ms"], each["latency_ms"]
        assert latency["min"] <= latency["p50"] <= latency["p95"] <= latency["max"]
        assert 0 < stages["network"]["p50"] < latency["p50"] if each["in_flight"] == 1 else True
        assert each["stages_are_of_the_same_frames"] == (each["in_flight"] == 1)
    alone = found["40x24 alpha pageable x1"]
    assert alone["stages_ms"]["host"]["min"] > 0
    assert model["not_run"] == [{"what": "frames in device memory", "why": "the engine runs on the CPU"}]
    assert model["scaling"]["sizes"] == ["40x24", "80x48"]
    [rate] = model["open_loop"]
    assert (rate["arrived"], rate["in_flight"], len(rate["turns"])) == (20, 2, 2)
    assert model["info"]["runtime"] == "fake"
    assert report["complete"] is True
    assert told[-1] == ("made.onnx", "done", 12, 12)
    # By turns: over everything, and back again.
    names = [what for _, what, _, total in told if total and what != "done"]
    assert names[:6] == names[:5:-1]


def test_the_report_names_no_folder(fake_engine: Callable[..., Engine], tmp_path: Path) -> None:
    folder = tmp_path / "secret folder"
    folder.mkdir()
    from PIL import Image

    Image.new("RGB", (50, 50), "green").save(folder / "photo.png")
    settings = dataclasses.replace(SMALL, image=folder / "photo.png", repeats=1, rates=())
    bench = Bench([folder / "model.onnx"], settings, open_engine=lambda model, **options: fake_engine(**options))
    bench.run()
    text = json.dumps(bench.report())
    assert "secret folder" not in text
    assert str(Path.home()) not in text
    assert "photo.png" in text


def test_a_model_that_fails_does_not_stop_the_others(fake_engine: Callable[..., Engine]) -> None:
    def open_engine(model: str, **options: Any) -> Engine:
        if model == "broken":
            raise InputError("there is no such model")
        return fake_engine(**options)

    settings = dataclasses.replace(SMALL, rates=())
    bench = Bench(["broken", "good"], settings, open_engine=open_engine)
    bench.run()
    broken, good = bench.report()["models"]
    assert broken["error"] == "there is no such model"
    assert broken["configurations"] == []
    assert good["error"] is None
    assert len(good["configurations"]) == 5


def test_a_network_that_fails_on_the_way_leaves_what_was_measured(fake_engine: Callable[..., Engine]) -> None:
    calls = 0

    def predict(tensor: Any) -> float:
        nonlocal calls
        calls += 1
        if calls > 20:
            raise RuntimeError("out of luck")
        return 0.5

    bench = Bench(["made"], SMALL, open_engine=lambda model, **options: fake_engine(predict, **options))
    bench.run()
    [model] = bench.report()["models"]
    assert "out of luck" in model["error"]
    assert [each["name"] for each in model["configurations"]] == ["40x24 alpha pageable x1", "80x48 alpha pageable x1"]


def test_after_ctrl_c_the_report_has_what_there_is(fake_engine: Callable[..., Engine]) -> None:
    def stop(model: str, what: str, done: int, total: int) -> None:
        if done == 3 and total:
            raise KeyboardInterrupt

    bench = Bench(["made"], SMALL, open_engine=lambda model, **options: fake_engine(**options))
    with pytest.raises(KeyboardInterrupt):
        bench.run(stop)
    report = bench.report()
    assert report["complete"] is False
    assert len(report["models"][0]["configurations"]) == 3
    assert all(len(each["turns"]) == 1 for each in report["models"][0]["configurations"])


def test_nothing_that_can_be_measured_is_an_error(fake_engine: Callable[..., Engine]) -> None:
    settings = dataclasses.replace(SMALL, places=("device",))
    bench = Bench(["made"], settings, open_engine=lambda model, **options: fake_engine(**options))
    bench.run()
    assert bench.runs[0].error == "there is nothing to measure: the engine runs on the CPU"


def test_an_error_that_is_none_of_ours_is_not_hidden(fake_engine: Callable[..., Engine]) -> None:
    def open_engine(model: str, **options: Any) -> Engine:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        Bench(["made"], SMALL, open_engine=open_engine).run()
    assert issubclass(NetworkError, Exception)


def test_labels_are_as_short_as_tells_models_apart() -> None:
    assert _labels(["u2net", "a/best.onnx"]) == {"u2net": "u2net", "a/best.onnx": "best.onnx"}
    assert list(_labels(["x/a/best.onnx", "x/b/best.onnx"]).values()) == ["a/best.onnx", "b/best.onnx"]
    assert list(_labels(["u2net", "u2net"]).values()) == ["u2net"]


def test_once_for_real_with_cold_starts(small_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    settings = Settings(
        sizes=((120, 160), (240, 320)), places=("pageable",), outputs=("alpha",), slots=(1,), frames=8, repeats=2,
        engine={"device": "cpu", "size": None},
    )  # fmt: skip
    bench = Bench([small_model], settings)
    bench.run()
    report = bench.report()
    [model] = report["models"]
    assert model["error"] is None
    assert model["info"]["input_size"] == (48, 64)
    start = model["cold_start"]
    assert len(start["starts"]) == 2
    for each in start["starts"]:
        steps = [each[step] for step in ("python_ms", "import_ms", "engine_ms", "first_frame_ms")]
        assert min(steps) > 0
        assert each["total_ms"] == pytest.approx(sum(steps), abs=0.01)
    memory = start["memory_mib"]
    if memory["peak"] is not None and memory["python"] is not None:
        assert memory["python"] < memory["imported"] < memory["engine"] <= memory["peak"] + 1
    (tmp_path / "report.json").write_text(json.dumps(report))
    read = read_report(tmp_path / "report.json")
    assert {row.verdict for row in compare(read, read).rows} == {"within the noise"}


def test_a_cold_start_that_fails_says_what_the_child_said(tmp_path: Path) -> None:
    file = tmp_path / "damaged.onnx"
    file.write_bytes(b"no model")
    bench = Bench([file], dataclasses.replace(SMALL, cold_start=True, engine={"device": "cpu"}))
    bench.run()
    assert "damaged.onnx" in str(bench.runs[0].error)
    assert bench.runs[0].starts == []


def test_the_machine_tells_what_matters_and_nothing_private() -> None:
    import getpass
    import socket

    found = machine.machine()
    assert found["cores"] >= 1
    assert found["cpu"]
    assert {"python", "rmbg-trt", "compiler", "numpy"} <= set(machine.software())
    commit = machine.commit()
    assert commit is None or len(commit["hash"]) == 12
    values = [str(value) for value in found.values()]
    assert socket.gethostname() not in values
    assert getpass.getuser() not in values


def test_another_checkout_around_the_environment_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "project" / "venv" / "rmbg_trt" / "bench"
    installed.mkdir(parents=True)
    if machine._git(tmp_path, "init", "project") is None:
        pytest.skip("no git")
    monkeypatch.setattr(machine, "__file__", str(installed / "machine.py"))
    monkeypatch.chdir(tmp_path / "project")
    assert machine.commit() is None
