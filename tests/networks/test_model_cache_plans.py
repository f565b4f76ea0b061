# SPDX-License-Identifier: Apache-2.0
"""The cache of plans: built once for each thing it depends on, whole or absent; with a real build by TensorRT-RTX."""

from __future__ import annotations

import dataclasses
import io
import logging
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests import small_models
from tests.runtimes import fake_gpu
from tests.runtimes.fake_gpu import H200, L4

from rmbg_trt import _core, models
from rmbg_trt.cache import prune
from rmbg_trt.errors import Error, ModelError, UnavailableError
from rmbg_trt.export import Options
from rmbg_trt.install import install_command
from rmbg_trt.networks import model_cache
from rmbg_trt.networks.model_cache import open_built
from rmbg_trt.recipe import Sidecar, Tensor, read_sidecar, sidecar_path, write_sidecar
from rmbg_trt.runtimes.devices import plan_kind
from rmbg_trt.runtimes.request import Request, build_progress
from rmbg_trt.runtimes.tensorrt import load

REQUEST = Request("auto", None, 1, device_index=0)
L4_FIRST = {**L4, "index": 0}


class FakeExport:
    """Stands for ``rmbg_trt.export.export``: writes a plan and what else an export leaves, and notes the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Path, Options]] = []
        self.failures: list[str] = []
        self.plan = fake_gpu.plan()
        self.before: Callable[[], None] = lambda: None

    def __call__(self, source: str, out: Path, options: Options, *, progress: Any) -> Any:
        self.calls.append((source, out, options))
        progress("plan", 1, 2)
        self.before()
        if not self.failures:
            out.with_name(f"{out.stem}.fp32.onnx").write_bytes(b"large")
            out.write_bytes(self.plan)
            tensor = Tensor("x", (1, 3, 32, 48))
            about = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
            fields = (out.name, "0", tensor, tensor, options.precision, about, {}, {})
            write_sidecar(out, Sidecar(*fields, runtime=options.runtime))
        return SimpleNamespace(written=not self.failures, checks=SimpleNamespace(failures=lambda: self.failures))


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch) -> FakeExport:
    fake = FakeExport()
    monkeypatch.setattr(model_cache, "export", fake)
    return fake


@pytest.fixture
def trt(machine: Callable[..., Any]) -> Any:
    module = fake_gpu.make("tensorrt")
    machine(H200, tensorrt=module)
    return module


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return small_models.matte(tmp_path / "small.onnx", 32, 48)


def cached() -> list[str]:
    folder = models.cache_dir() / "plans"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_built_once(trt: Any, export: FakeExport, model: Path) -> None:
    opened = open_built(model, "tensorrt", REQUEST)
    assert (opened.runtime, opened.precision, opened.device) == ("tensorrt", "fp16", "cuda:0")
    assert opened.reason.endswith("the plan is built now and kept")
    [(source, out, options)] = export.calls
    assert source == str(model)
    assert options == Options(precision="fp16", runtime="tensorrt", device="cuda:0")
    [plan, sidecar] = cached()
    assert plan.startswith("small-fp16-tensorrt-")
    assert sidecar == f"{plan}.json"
    assert not out.parent.exists(), "the folder in which it was made, with the ONNX files, is gone"
    again = open_built(model, "tensorrt", REQUEST)
    assert again.reason.endswith("the plan is from the cache")
    assert len(export.calls) == 1


def test_what_is_asked_for_is_built(trt: Any, export: FakeExport, model: Path) -> None:
    export.plan = fake_gpu.plan(inputs={"input": ["FLOAT", [1, 3, 64, 96]]})
    opened = open_built(model, "tensorrt", Request("fp32", (64, 96), 2, device_index=0))
    assert (opened.precision, len(opened.networks)) == ("fp32", 2)
    [(_, _, options)] = export.calls
    assert options == Options(precision="fp32", size=((64,) * 3, (96,) * 3), runtime="tensorrt", device="cuda:0")


def test_what_a_plan_depends_on(trt: Any, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, options, gpu = load("tensorrt"), Options(), H200
    known = [model_cache.plan_path(model, runtime, options, gpu)]
    assert model_cache.plan_path(model, runtime, options, gpu) == known[0]

    def differs(*arguments: Any) -> None:
        path = model_cache.plan_path(*arguments)
        assert path not in known
        known.append(path)

    differs(model, dataclasses.replace(runtime, version="10.14"), options, gpu)
    differs(model, dataclasses.replace(runtime, name="tensorrt_rtx"), options, gpu)
    differs(model, runtime, Options(precision="fp32"), gpu)
    differs(model, runtime, Options(size=((64,) * 3, (96,) * 3)), gpu)
    differs(model, runtime, Options(size=((96,) * 3, (64,) * 3)), gpu)
    differs(model, runtime, Options(targets=("sm89",)), gpu)
    differs(model, runtime, options, {**gpu, "name": "NVIDIA H100"})
    differs(model, runtime, options, {**gpu, "compute_capability": (9, 1)})
    with monkeypatch.context() as patch:
        patch.setattr(_core, "build_info", lambda: {"driver_version": "999.1"})
        differs(model, runtime, options, gpu)
    with monkeypatch.context() as patch:
        patch.setattr(model_cache, "__version__", "99")
        differs(model, runtime, options, gpu)
    with model.open("ab") as file:
        file.write(b"\0")
    differs(model, runtime, options, gpu)
    moved = model_cache.plan_path(model.rename(model.with_name("other.onnx")), runtime, options, gpu)
    assert moved.name.split("-")[1:] == known[-1].name.split("-")[1:], "the content counts, not the name"


def test_a_catalogue_model_is_not_hashed_again(trt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = models.model_path("u2netp")
    model_cache.plan_path(path, load("tensorrt"), Options(), H200)  # the file is not even there
    with pytest.raises(ModelError, match="cannot be read"):
        model_cache.plan_path(path.with_name("mine.onnx"), load("tensorrt"), Options(), H200)


@pytest.mark.parametrize("damage", [lambda plan: plan[:10], lambda plan: b"", lambda plan: b"vtrt" + plan[4:]])
def test_a_damaged_plan_is_built_again(
    trt: Any, export: FakeExport, model: Path, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    open_built(model, "tensorrt", REQUEST)
    plan = models.cache_dir() / "plans" / cached()[0]
    plan.write_bytes(damage(plan.read_bytes()))
    with caplog.at_level(logging.WARNING, "rmbg_trt"):
        opened = open_built(model, "tensorrt", REQUEST)
    assert opened.reason.endswith("built now and kept")
    assert plan.read_bytes() == export.plan
    assert "is made again" in caplog.text
    assert len(export.calls) == 2


def test_a_plan_without_its_sidecar_is_built_again(trt: Any, export: FakeExport, model: Path) -> None:
    open_built(model, "tensorrt", REQUEST)
    (models.cache_dir() / "plans" / cached()[1]).unlink()
    assert open_built(model, "tensorrt", REQUEST).precision == "fp16"
    assert len(export.calls) == 2


def test_a_new_plan_that_does_not_run(trt: Any, export: FakeExport, model: Path) -> None:
    export.plan = b"ftrt{"
    with pytest.raises(UnavailableError, match=r"that TensorRT 10\.13.* built does not run on NVIDIA H200: .*damaged"):
        open_built(model, "tensorrt", REQUEST)
    assert cached() == []
    assert len(export.calls) == 1


@pytest.mark.parametrize(("precision", "hint"), [("auto", "use precision='fp32'"), ("fp32", "fp32 plan")])
def test_a_failed_verification_keeps_nothing(
    trt: Any, export: FakeExport, model: Path, precision: str, hint: str
) -> None:
    export.failures = ["the IoU is 0.5"]
    with pytest.raises(ModelError, match=r"failed verification: the IoU is 0\.5") as raised:
        open_built(model, "tensorrt", dataclasses.replace(REQUEST, precision=precision))
    assert hint in str(raised.value)
    assert ("use precision" in str(raised.value)) == (precision == "auto")
    assert cached() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ModelError("damaged"), MemoryError])
def test_an_interrupted_build_keeps_nothing(trt: Any, export: FakeExport, model: Path, error: Any) -> None:
    def interrupt() -> None:
        raise error

    export.before = interrupt
    with pytest.raises(error if isinstance(error, type) else type(error)):
        open_built(model, "tensorrt", REQUEST)
    assert cached() == []


def test_two_engines_at_once_build_one_plan(trt: Any, export: FakeExport, model: Path) -> None:
    started = threading.Barrier(4)

    def work(_: int) -> Any:
        started.wait()
        return open_built(model, "tensorrt", REQUEST)

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(work, range(4)))) == 4
    assert len(export.calls) == 1


def test_another_process_that_was_faster(trt: Any, export: FakeExport, model: Path) -> None:
    plan = model_cache.plan_path(model, load("tensorrt"), Options(runtime="tensorrt"), H200)

    def other() -> None:
        plan.write_bytes(b"theirs")
        sidecar_path(plan).write_text("{}")

    export.before = other
    open_built(model, "tensorrt", REQUEST)
    assert plan.read_bytes() == export.plan, "the last one wins"
    assert cached() == [plan.name, sidecar_path(plan).name]


def test_a_cache_that_cannot_be_written(trt: Any, export: FakeExport, model: Path) -> None:
    models.cache_dir().write_text("a file")
    with pytest.raises(Error, match=r"plans cannot be written"):
        open_built(model, "tensorrt", REQUEST)


def test_without_the_packages_for_building(trt: Any, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rmbg_trt.export.source.PACKAGES", ("no_such_package",))
    with pytest.raises(UnavailableError, match=r"needs no_such_package: " + re.escape(install_command("export"))):
        open_built(model, "tensorrt", REQUEST)
    assert cached() == []


def test_a_cached_plan_needs_no_packages_for_building(
    trt: Any, export: FakeExport, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_built(model, "tensorrt", REQUEST)
    monkeypatch.setattr("rmbg_trt.export.source.PACKAGES", ("no_such_package",))
    assert open_built(model, "tensorrt", REQUEST).reason.endswith("from the cache")


def test_without_the_runtime(machine: Callable[..., Any], export: FakeExport, model: Path) -> None:
    machine(H200)
    with pytest.raises(UnavailableError, match=r"TensorRT is not installed: " + re.escape(install_command("tensorrt"))):
        open_built(model, "tensorrt", REQUEST)
    assert export.calls == []


# Which GPU a plan is for.


def rtx_targets(machine: Callable[..., Any], export: FakeExport, model: Path, gpu: dict[str, Any]) -> tuple[str, ...]:
    machine(gpu, tensorrt_rtx=fake_gpu.make("tensorrt_rtx", "1.7"))
    export.plan = fake_gpu.plan("vtrt")
    open_built(model, "tensorrt_rtx", REQUEST)
    return export.calls[-1][2].targets


def test_rtx_builds_for_this_gpu(machine: Callable[..., Any], export: FakeExport, model: Path) -> None:
    assert rtx_targets(machine, export, model, L4_FIRST) == ("sm89",)
    assert rtx_targets(machine, export, model, {**H200, "compute_capability": (12, 0)}) == ("sm120",)
    orin = {**H200, "compute_capability": (8, 7)}
    assert rtx_targets(machine, export, model, orin) == (), "no kernels of its own: the portable plan"


def test_rtx_is_not_for_this_gpu(machine: Callable[..., Any], export: FakeExport, model: Path) -> None:
    with pytest.raises(UnavailableError, match=r"is for sm75, .*, sm120, and NVIDIA H200 is sm90; take TensorRT"):
        rtx_targets(machine, export, model, H200)
    assert export.calls == []


SECOND = dataclasses.replace(REQUEST, device_index=1)


def test_each_kind_of_gpu_has_its_own_plan(machine: Callable[..., Any], export: FakeExport, model: Path) -> None:
    machine(H200, L4, tensorrt=fake_gpu.make("tensorrt"))
    assert [open_built(model, "tensorrt", each).device for each in (REQUEST, SECOND)] == ["cuda:0", "cuda:1"]
    assert [options.device for _, _, options in export.calls] == ["cuda:0", "cuda:1"]
    assert len(cached()) == 2 * 2


def test_two_gpus_of_a_kind_share_a_plan(machine: Callable[..., Any], export: FakeExport, model: Path) -> None:
    machine(H200, {**H200, "index": 1}, tensorrt=fake_gpu.make("tensorrt"))
    assert open_built(model, "tensorrt", SECOND).device == "cuda:1"
    assert open_built(model, "tensorrt", REQUEST).reason.endswith("from the cache")
    assert [options.device for _, _, options in export.calls] == ["cuda:1"], "built where it is to run first"


# A real one.


def no_driver() -> bool:
    return not _core.cuda_devices() and shutil.which("nvidia-smi") is None


@pytest.mark.skipif(not no_driver(), reason="there may be a GPU")
def test_a_real_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path / "home"))
    fake_gpu.use_gpus(monkeypatch, L4_FIRST)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="another plan will not help"):  # it cannot run without a driver
            open_built(model, "tensorrt_rtx", REQUEST)
        [name, sidecar] = cached()
        plan = models.cache_dir() / "plans" / name
        assert (sidecar, plan_kind(plan.read_bytes())) == (f"{name}.json", "tensorrt_rtx")
        about = read_sidecar(plan)
        assert about is not None
        assert (about.artefact, about.precision, about.targets, about.forced) == (name, "fp16", ("sm89",), False)
        assert about.input.shape == (1, 3, 32, 48)
        monkeypatch.setattr(model_cache, "export", None)  # the second time it is not built


def test_a_real_build_of_a_damaged_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path / "home"))
    fake_gpu.use_gpus(monkeypatch, L4_FIRST)
    file = tmp_path / "bad.onnx"
    file.write_bytes(b"\0" * 100)
    with pytest.raises(ModelError, match="not a readable ONNX"):
        open_built(file, "tensorrt_rtx", REQUEST)
    assert cached() == []


# What is seen and what is kept.


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_progress(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stream: type[io.StringIO]) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream())
    with caplog.at_level(logging.INFO, "rmbg_trt"), build_progress("plan of small") as tell:
        for stage, done, total in (("load", 0, 0), ("plan", 0, 0), ("plan", 500, 1000), ("plan", 1000, 1000)):
            tell(stage, done, total)
    shown = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert ("plan of small (once): plan" in shown) == (stream is Terminal)
    assert (shown == "") == (stream is not Terminal)
    told = [record.getMessage() for record in caplog.records]
    assert told == ["making the plan of small: load", "making the plan of small: plan"]


def test_progress_without_rich(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with caplog.at_level(logging.INFO, "rmbg_trt"), build_progress("plan of small") as tell:
        tell("load", 0, 0)
    assert "small: load" in caplog.text


def test_importing_the_cache_needs_nothing_heavy(in_python: Callable[..., str]) -> None:
    script = "import sys, rmbg_trt.networks.model_cache; print({'torch', 'onnx', 'rich'} & set(sys.modules))"
    assert in_python(script) == "set()"


def test_old_plans_go(trt: Any, export: FakeExport, model: Path) -> None:
    open_built(model, "tensorrt", REQUEST)
    [first, _] = cached()
    folder = models.cache_dir() / "plans"
    for age in range(model_cache.KEPT_PLANS):
        for name in (f"{age:02}.plan", f"{age:02}.plan.json"):
            (folder / name).touch()
            os.utime(folder / name, (1e9 - age, 1e9 - age))
    os.utime(folder / first, (1, 1))
    open_built(model, "tensorrt", REQUEST)  # it is used, and so the newest
    assert (folder / first).stat().st_mtime > 1e9, "though file systems need not note that a file is read"
    other = small_models.matte(model.with_name("other.onnx"), 32, 48, outputs=2)
    open_built(other, "tensorrt", REQUEST)
    plans = [name for name in cached() if name.endswith(".plan")]
    assert len(plans) == model_cache.KEPT_PLANS
    assert first in plans
    assert f"{model_cache.KEPT_PLANS - 1:02}.plan" not in plans
    assert len(cached()) == 2 * len(plans), "sidecars go with their plans"


def test_prune_keeps_the_ones_used_last(tmp_path: Path) -> None:
    for age in range(5):
        for name in (f"{age}.plan", f"{age}.plan.json"):
            (tmp_path / name).touch()
            os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    for name in (".building-old", ".building-new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.plan").touch()
    os.utime(tmp_path / ".building-old", (1e9, 1e9))
    (tmp_path / "note.txt").touch()
    prune(tmp_path, ".plan", 2)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".building-new", "0.plan", "0.plan.json", "1.plan", "1.plan.json", "note.txt"]
    prune(tmp_path / "not there", ".plan", 2)
