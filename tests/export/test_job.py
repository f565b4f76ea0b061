# SPDX-License-Identifier: Apache-2.0
"""Exports from end to end: the files, their sidecars, the verification, and what must not be written."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from tests import make, small_models

from rmbg_trt import Engine
from rmbg_trt.errors import Error, InputError, ModelError, UnavailableError
from rmbg_trt.export import Options, Report, export, files, job
from rmbg_trt.export.images import SHIPPED
from rmbg_trt.export.inspect_file import inspect
from rmbg_trt.install import install_command
from rmbg_trt.recipe import read_sidecar
from rmbg_trt.runtimes.devices import plan_kind
from rmbg_trt.training.models import ModelConfig, build, save_checkpoint

SMALL = ((32, 32, 32), (48, 48, 48))
ONNX = Options(onnx_only=True, precision="fp32")


@pytest.fixture(scope="module")
def u2netp_plan(u2netp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path, list[Any]]:
    """The whole way with the official weights, verified on two of our photographs; half precision spoils the last."""
    out = tmp_path_factory.mktemp("plan") / "u2netp.plan"
    two = tmp_path_factory.mktemp("two")
    shipped = sorted(SHIPPED.glob("*.jpg"))
    for image in (shipped[0], shipped[-1]):
        shutil.copy(image, two)
    calls: list[Any] = []
    options = Options(runtime="tensorrt_rtx", images=two)
    report = export("u2netp", out, options, progress=lambda *call: calls.append(call))
    return report, out, calls


@pytest.mark.weights
def test_the_official_network_passes(u2netp_plan: tuple[Report, Path, list[Any]]) -> None:
    report, out, _ = u2netp_plan
    assert report.written
    assert report.checks.failures() == []
    assert {path.name for path in out.parent.iterdir()} == {
        f"u2netp.{kind}{suffix}" for kind in ("fp32.onnx", "fp16.onnx", "plan") for suffix in ("", ".json")
    }
    assert plan_kind(out.read_bytes()) == "tensorrt_rtx"
    assert 2.2e6 < out.stat().st_size <= 5.2e6  # the weights are in it, in half precision
    whats = [each.what for each in report.checks.comparisons]
    assert whats == ["source ONNX and PyTorch", "PyTorch and ONNX fp32 at 320x320", "fp32 and ONNX fp16"]
    official, _, half = report.checks.comparisons
    assert 0 < official.max_abs <= 1e-4  # two programs, not one
    assert half.mean_alpha < 0.1
    assert half.iou >= 0.999
    assert report.checks.activations is not None
    assert 10 < report.checks.activations.largest < 1000  # far from 65504
    assert report.fp32_layers == ["stage2d.rebnconv1d.conv_s1.centre", "stage2d.rebnconv1d.conv_s1"]


@pytest.mark.weights
def test_the_sidecar_says_it_all(u2netp_plan: tuple[Report, Path, list[Any]]) -> None:
    report, out, _ = u2netp_plan
    sidecar = read_sidecar(out)
    assert sidecar is not None
    assert (sidecar.input.name, sidecar.input.shape, sidecar.input.dtype) == ("input", (1, 3, 320, 320), "float32")
    assert (sidecar.output.name, sidecar.output.shape) == ("matte", (1, 1, 320, 320))
    assert (sidecar.precision, sidecar.runtime, sidecar.gpu) == ("fp16", "tensorrt_rtx", None)
    assert sidecar.source["architecture"] == "u2netp"
    assert sidecar.source["sha256"] == "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"
    assert sidecar.normalisation["mean"] == [0.485, 0.456, 0.406]
    assert sidecar.tools["torch"] == torch.__version__
    assert [each.get("passed", True) for each in sidecar.verification].count(False) == 0
    assert sidecar.fp32_layers == tuple(report.fp32_layers)
    fp32 = read_sidecar(report.artefacts[0].path)
    assert fp32 is not None
    assert (fp32.precision, fp32.runtime, fp32.fp32_layers) == ("fp32", None, ())


@pytest.mark.weights
def test_progress_names_every_stage(u2netp_plan: tuple[Report, Path, list[Any]]) -> None:
    _, _, calls = u2netp_plan
    assert list(dict.fromkeys(stage for stage, _, _ in calls)) == list(job.STAGES)
    for stage in job.STAGES:
        done = [done for name, done, total in calls if name == stage and total]
        assert done[-1] > 0
    assert max(done for name, done, _ in calls if name == "plan") == 1000


@pytest.mark.weights
def test_inspecting_a_plan_without_a_gpu(u2netp_plan: tuple[Report, Path, list[Any]]) -> None:
    _, out, _ = u2netp_plan
    rows = inspect(out)
    facts = dict(rows)
    assert facts["kind"] == "plan of TensorRT-RTX"
    assert facts["takes"] == "input [1, 3, 320, 320] float32"
    assert "architecture u2netp" in facts["made from"]
    verified = [value for what, value in rows if what == "verified"]
    assert verified[0].startswith("source ONNX and PyTorch: max ")
    assert verified[2].endswith("2 images, passed")
    assert any("the plan itself was not run" in value for value in verified)
    assert "sidecar" not in facts


@pytest.mark.weights
def test_the_engine_runs_what_was_exported(u2netp_plan: tuple[Report, Path, list[Any]]) -> None:
    report, _, _ = u2netp_plan
    frame = make.noise(60, 80, 3)
    with Engine(report.artefacts[0].path) as engine:
        assert engine.run(frame).shape == (60, 80)


# ---- checkpoints and other sources -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("checkpoint") / "best.safetensors"
    save_checkpoint(build("unet"), ModelConfig("unet", 1, (96, 64)), path)
    return path


@pytest.mark.slow
def test_a_checkpoint_in_its_own_size(checkpoint: Path, tmp_path: Path) -> None:
    report = export(str(checkpoint), tmp_path / "best.onnx", ONNX)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["best.onnx", "best.onnx.json"]
    assert report.shape.usual == (1, 3, 96, 64)
    assert [each.images for each in report.checks.comparisons] == [4], "the photographs that come with the package"
    facts = dict(inspect(tmp_path / "best.onnx"))
    assert facts["input"] == "input [1, 3, 96, 64] float"
    assert facts["architecture"] == "unet"
    assert "19 Conv" in facts["nodes"]
    assert dict(inspect(checkpoint))["architecture"] == "unet"


@pytest.mark.slow
def test_open_axes_and_batches(checkpoint: Path, tmp_path: Path) -> None:
    options = Options(
        precision="fp32",
        batch=(1, 2, 3),
        size=((32, 64, 96), (32, 48, 64)),
        runtime="tensorrt_rtx",
        targets=("sm89", "8.6"),
    )
    report = export(str(checkpoint), tmp_path / "best.plan", options)
    assert report.checks.failures() == []
    sizes = [each.what for each in report.checks.comparisons if each.what.startswith("PyTorch and ONNX")]
    assert [what.split()[-1] for what in sizes] == ["64x48", "32x32", "96x64"]
    sidecar = read_sidecar(tmp_path / "best.plan")
    assert sidecar is not None
    assert sidecar.input.shape == (-1, 3, -1, -1)
    assert (sidecar.input.smallest, sidecar.input.largest) == ((1, 3, 32, 32), (3, 3, 96, 64))
    assert sidecar.targets == ("sm89", "sm86")


def test_a_fixed_batch_of_three(small_model: Path, tmp_path: Path) -> None:
    report = export(str(small_model), tmp_path / "b.onnx", Options(onnx_only=True, batch=(3, 3, 3), size=SMALL))
    assert [artefact.path.name for artefact in report.artefacts] == ["b.fp32.onnx", "b.onnx"]
    assert report.checks.failures() == []


def test_a_graph_of_another_architecture(small_model: Path, tmp_path: Path) -> None:
    report = export(str(small_model), tmp_path / "small.plan", Options(runtime="tensorrt_rtx"))
    assert report.source.architecture is None
    assert report.shape.usual == (1, 3, 48, 64)
    assert [each.what for each in report.checks.comparisons] == ["source ONNX and ONNX fp32", "fp32 and ONNX fp16"]
    assert dict(inspect(tmp_path / "small.plan"))["made from"].endswith("architecture None")


def test_a_raw_plan_has_no_sidecar(small_model: Path, tmp_path: Path) -> None:
    export(str(small_model), tmp_path / "raw.plan", Options(runtime="tensorrt_rtx", precision="fp32"))
    (tmp_path / "raw.plan.json").unlink()
    assert dict(inspect(tmp_path / "raw.plan"))["sidecar"] == "none"


def test_a_sidecar_of_another_file_is_told(small_model: Path, tmp_path: Path) -> None:
    export(str(small_model), tmp_path / "x.onnx", ONNX)
    model = onnx.load(str(tmp_path / "x.onnx"))
    model.producer_version = "changed"
    onnx.save(model, str(tmp_path / "x.onnx"))
    assert "does not match" in dict(inspect(tmp_path / "x.onnx"))["sidecar"]


# ---- what must not be written ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose inner values leave half precision's range."""
    path = small_models.matte(tmp_path_factory.mktemp("big") / "big.onnx", 32, 32)
    model = onnx.load(str(path))
    model.graph.node[0].output[0] = "large"
    model.graph.node[0].name = "the_culprit"
    model.graph.node.insert(1, onnx.helper.make_node("Conv", ["large", "small"], ["sum"], name="reader"))
    weights = model.graph.initializer[0]
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * 5e4, "weights"))
    model.graph.initializer.append(numpy_helper.from_array(np.full((1, 1, 1, 1), 2e-5, np.float32), "small"))
    onnx.save(model, str(path))
    return path


def test_a_model_that_fails_is_not_written(overflowing: Path, tmp_path: Path) -> None:
    report = export(str(overflowing), tmp_path / "x.plan", Options(runtime="tensorrt_rtx"))
    assert not report.written
    assert list(tmp_path.iterdir()) == []
    assert "the_culprit" in "\n".join(report.checks.failures())
    assert "--precision fp32" in "\n".join(report.checks.failures())


def test_unless_it_is_forced(overflowing: Path, tmp_path: Path) -> None:
    report = export(str(overflowing), tmp_path / "x.plan", Options(runtime="tensorrt_rtx", force=True))
    assert report.written
    sidecar = read_sidecar(tmp_path / "x.plan")
    assert sidecar is not None
    assert sidecar.forced
    assert "FAILED" in dict(inspect(tmp_path / "x.plan"))["forced"]


def test_in_fp32_it_passes(overflowing: Path, tmp_path: Path) -> None:
    assert export(str(overflowing), tmp_path / "x.plan", Options(runtime="tensorrt_rtx", precision="fp32")).written


def test_what_cannot_be_checked_fails(tmp_path: Path) -> None:
    path = small_models.matte(tmp_path / "odd.onnx", 32, 32)
    model = onnx.load(str(path))
    model.graph.node[0].output[0] = "before"
    model.graph.node.insert(1, onnx.helper.make_node("Erf", ["before"], ["sum"], name="odd_one"))
    onnx.save(model, str(path))
    report = export(str(path), tmp_path / "x.onnx", Options(onnx_only=True))
    assert not report.written
    assert "odd_one" in "\n".join(report.checks.failures())


def test_files_that_are_there_are_kept(small_model: Path, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_text("mine")
    with pytest.raises(InputError, match=r"x\.onnx already exists; give --overwrite"):
        export(str(small_model), tmp_path / "x.onnx", ONNX)
    assert (tmp_path / "x.onnx").read_text() == "mine"
    export(str(small_model), tmp_path / "x.onnx", Options(onnx_only=True, precision="fp32", overwrite=True))
    onnx.checker.check_model(str(tmp_path / "x.onnx"))


def test_the_source_is_never_overwritten(small_model: Path, tmp_path: Path) -> None:
    source = tmp_path / "x.fp32.onnx"
    source.write_bytes(small_model.read_bytes())
    with pytest.raises(InputError, match="is the source itself"):
        export(str(source), tmp_path / "x.plan", Options(runtime="tensorrt_rtx", overwrite=True))


@pytest.mark.parametrize("name", ["no/such.onnx", "file/x.onnx"])
def test_places_that_cannot_be_written(name: str, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "no").touch()
    started = time.perf_counter()
    with pytest.raises(Error, match="could not be written"):
        export(str(checkpoint), tmp_path / name, ONNX)
    assert time.perf_counter() - started < 5, "found out before the work"


def test_a_full_disk_leaves_no_half_files(small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = files.atomic_file

    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

    @contextlib.contextmanager
    def full(path: Path) -> Iterator[Full]:
        with real(path):
            yield Full()

    monkeypatch.setattr(files, "atomic_file", full)
    with pytest.raises(Error, match=r"x\.onnx could not be written: No space left"):
        export(str(small_model), tmp_path / "x.onnx", ONNX)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (Options(runtime="tensorrt_rtx", targets=("sm33",)), InputError, "sm33"),
        (Options(runtime="tensorrt_rtx", timing_cache=Path("t")), InputError, "no timing cache"),
        (Options(runtime="tensorrt"), UnavailableError, re.escape(install_command("tensorrt"))),
        (Options(runtime="tensorrt_rtx", size=SMALL, images=Path("no_such_folder")), InputError, "no_such_folder"),
        (Options(onnx_only=True), InputError, "an ONNX file, which ends in .onnx"),
    ],
)
def test_options_that_do_not_fit(
    options: Options, error: type[Exception], message: str, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        export(str(checkpoint), tmp_path / "x.plan", options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int8"}, "precision is 'int8'; expected fp16 or fp32"),
        ({"size": ((16, 16, 16), (32, 32, 32))}, "height is 16"),
        ({"batch": (0, 0, 0)}, "batch is 0"),
    ],
)
def test_options_that_are_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Options(**options)


def test_a_network_that_mixes_the_images_of_a_batch_is_found_out(tmp_path: Path) -> None:
    path = small_models.matte(tmp_path / "mix.onnx", 32, 48)
    model = onnx.load(str(path))
    model.graph.node[1].output[0] = "p"
    model.graph.node.append(onnx.helper.make_node("ReduceMax", ["p"], ["most"], name="most", keepdims=1))
    model.graph.node.append(onnx.helper.make_node("Div", ["p", "most"], ["matte"], name="stretch"))
    onnx.save(model, str(path))
    options = Options(onnx_only=True, precision="fp32", batch=(3, 3, 3))
    assert export(str(path), tmp_path / "one.onnx", ONNX).written
    assert not export(str(path), tmp_path / "three.onnx", options).written


def test_our_own_half_precision_model_is_no_source_of_weights(overflowing: Path, tmp_path: Path) -> None:
    """Its biases are without their centres: as a graph it may be exported again, as weights it must not."""
    from rmbg_trt.training.models import import_onnx

    model = onnx.load(str(overflowing))
    model.graph.node.append(onnx.helper.make_node("Max", ["matte", "matte"], ["other"], name="max"))
    with pytest.raises(ModelError, match="it has Max"):
        import_onnx(model)


def test_a_batch_can_be_exported_again(small_model: Path, tmp_path: Path) -> None:
    options = Options(onnx_only=True, precision="fp32", batch=(3, 3, 3))
    export(str(small_model), tmp_path / "three.onnx", options)
    assert export(str(tmp_path / "three.onnx"), tmp_path / "again.onnx", ONNX).written


def test_a_folder_where_the_plan_should_be(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "x.plan").mkdir()
    with pytest.raises(Error, match=r"x\.plan could not be written: it is a folder"):
        export(str(checkpoint), tmp_path / "x.plan", Options(runtime="tensorrt_rtx", overwrite=True))
    assert [path.name for path in tmp_path.iterdir()] == ["x.plan"]


def test_a_name_that_is_too_long(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(Error, match="could not be written: File name too long"):
        export(str(checkpoint), tmp_path / ("x" * 300 + ".onnx"), ONNX)


def test_a_plan_does_not_end_in_onnx(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a plan; for ONNX give --onnx-only"):
        export(str(checkpoint), tmp_path / "x.onnx", Options(runtime="tensorrt_rtx"))


def test_a_source_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"hello")
    with pytest.raises(ModelError, match="not a readable PyTorch file"):
        export(str(tmp_path / "x.pth"), tmp_path / "x.plan", Options(runtime="tensorrt_rtx"))


SCRIPT = """
import os, signal, sys, threading
from pathlib import Path
from rmbg_trt.cli import main
from rmbg_trt.export import job
real = job._convert
def slow(*arguments):
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    return real(*arguments)
job._convert = slow
sys.argv = ["rmbg-trt", "export", sys.argv[1], "-o", sys.argv[2], "--runtime", "tensorrt_rtx"]
main()
"""


@pytest.mark.slow
def test_ctrl_c_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.plan"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(checkpoint), str(target)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ,
    )
    assert done.returncode == 130, done.stderr
    assert "Interrupted." in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_inspecting_an_onnx_file_that_could_not_be_exported(tmp_path: Path) -> None:
    """Two inputs in half precision: of no use to us, but what is inside can be told."""
    value = onnx.helper.make_tensor_value_info
    add = onnx.helper.make_node("Add", ["a", "b"], ["c"])
    sides = [value(name, onnx.TensorProto.FLOAT16, [2]) for name in "abc"]
    graph = onnx.helper.make_graph([add], "x", sides[:2], sides[2:])
    onnx.save(onnx.helper.make_model(graph), str(tmp_path / "x.onnx"))
    rows = inspect(tmp_path / "x.onnx")
    assert [value for what, value in rows if what == "input"] == ["a [2] float16", "b [2] float16"]
