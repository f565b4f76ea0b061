# SPDX-License-Identifier: Apache-2.0
"""What the doctor reads out of real reports of real machines, and its trial run on stand-in engines."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rmbg_trt import doctor, models
from rmbg_trt.errors import UnavailableError

posix = pytest.mark.skipif(os.name != "posix", reason="needs shell scripts as stand-ins")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def tool(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


# ---- processor

X86 = """\
processor\t: 0
model name\t: AMD EPYC 9R14
flags\t\t: fpu sse2 avx avx2 avx512f avx512bw avx512_vnni avx512_bf16

processor\t: 1
model name\t: something else
flags\t\t: fpu
"""
SAPPHIRE_RAPIDS = "model name : Xeon\nflags : avx2 avx512f avx_vnni avx512_bf16 amx_bf16 amx_tile amx_int8\n"
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd bf16 i8mm\nCPU implementer\t: 0x41\n"


@pytest.mark.parametrize(
    ("text", "model", "features"),
    [
        (X86, "AMD EPYC 9R14", ("avx2", "avx512", "vnni", "bf16")),
        (SAPPHIRE_RAPIDS, "Xeon", ("avx2", "avx512", "vnni", "bf16", "amx")),
        (ARM, "", ("neon", "bf16", "i8mm")),
        ("model name : old\nflags : fpu avx\n", "old", ()),
        ("", "", ()),
    ],
)
def test_cpuinfo(text: str, model: str, features: tuple[str, ...]) -> None:
    assert doctor.parse_cpuinfo(text) == (model, features)


def test_sysctl() -> None:
    text = "hw.optional.neon: 1\nhw.optional.arm.FEAT_BF16: 0\nhw.memsize: 17179869184\n"
    text += "machdep.cpu.brand_string: Apple M1\n"
    assert doctor.parse_sysctl(text) == ("Apple M1", ("neon",), 17179869184)
    assert doctor.parse_sysctl("sysctl: unknown oid") == ("", (), None)


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", None),
        ("200000 100000\n", 2),
        ("150000 100000", 2),
        ("1000 100000", 1),
        ("", None),
        ("1 0", None),
    ],
)
def test_cpu_quota(text: str, cores: int | None) -> None:
    assert doctor.parse_cpu_quota(text) == cores


# ---- NVIDIA


def test_nvidia_smi() -> None:
    text = "NVIDIA H200, 143771, 580.95.05, 9.0\nNVIDIA GB10, [N/A], 580.95.05, 12.1\n"
    driver, gpus = doctor.parse_nvidia_smi(text)
    assert driver == "580.95.05"
    assert gpus == (doctor.Gpu("NVIDIA H200", 143771, "9.0"), doctor.Gpu("NVIDIA GB10", None, "12.1"))
    assert doctor.parse_nvidia_smi("Tesla K80, 11441, 418.1") == ("418.1", (doctor.Gpu("Tesla K80", 11441, None),))
    assert doctor.parse_nvidia_smi("No devices were found\n") == (None, ())


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC 12.3.0",
            "535.183.01",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (x)", "580.95.05"),
        ("", None),
    ],
)
def test_driver_file(text: str, version: str | None) -> None:
    assert doctor.parse_driver_file(text) == version


def test_nvcc_version() -> None:
    text = "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 13.0, V13.0.88\n"
    assert doctor.parse_nvcc(text) == "13.0.88"
    assert doctor.parse_nvcc("command not found") is None


@posix
def test_nvcc_is_found_on_path_before_cuda_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = tool(tmp_path / "bin", "nvcc", "true")
    at_home = tool(tmp_path / "cuda" / "bin", "nvcc", "true")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert doctor.find_nvcc() == str(on_path)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert doctor.find_nvcc() == str(at_home)


@posix
@pytest.mark.parametrize(
    ("script", "gpus", "problem"),
    [
        ("echo 'NVIDIA H200, 143771, 580.95.05, 9.0'", ("NVIDIA H200",), None),
        ("case $1 in *compute_cap*) exit 2;; esac; echo 'Tesla V100, 16160, 418.1'", ("Tesla V100",), None),
        (
            "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18",
            (),
            "Failed to initialize NVML: Driver/library version mismatch",
        ),
        ("exit 9", (), "nvidia-smi ended with code 9"),
    ],
    ids=["new", "old", "mismatch", "silent"],
)
def test_what_nvidia_smi_says_is_reported(
    script: str, gpus: tuple[str, ...], problem: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool(tmp_path / "bin", "nvidia-smi", script)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = doctor.examine().nvidia
    assert tuple(gpu.name for gpu in found.gpus) == gpus
    assert found.problem == problem


# ---- packages


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with a package that must not be imported, and its metadata."""
    folder = tmp_path / "site"
    (folder / "heavy_runtime").mkdir(parents=True)
    (folder / "heavy_runtime" / "__init__.py").write_text("raise SystemError('imported')")
    (folder / "heavy_runtime_cu13-7.8.9.dist-info").mkdir()
    (folder / "heavy_runtime_cu13-7.8.9.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: heavy-runtime-cu13\nVersion: 7.8.9\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.usefixtures("packages")
def test_a_package_is_found_without_importing_it() -> None:
    found = doctor.find_package("Heavy", "x", "heavy", ("heavy_runtime",), ("heavy-runtime", "heavy-runtime-cu13"))
    assert (found.installed, found.version) == (True, "7.8.9")
    assert "heavy_runtime" not in sys.modules
    unknown = doctor.find_package("Heavy", "x", "heavy", ("absent", "heavy_runtime"), ("no-such-distribution",))
    assert (unknown.installed, unknown.version) == (True, None)


def test_a_missing_package_tells_how_to_get_it() -> None:
    found = doctor.find_package("Heavy", "x", "heavy", ("no_such_module", "no.such.module"), ("pytest",))
    assert (found.installed, found.version) == (False, None)
    assert found.install == 'pip install "rmbg-trt[heavy]"'


def test_every_extra_named_is_one_that_the_project_has() -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    for package in doctor.examine().packages:
        extra = package.install.partition("[")[2].partition("]")[0]
        assert f"\n{extra} = [" in text


# ---- the core, the cache, the advice


def core_module(monkeypatch: pytest.MonkeyPatch, built: dict[str, Any], devices: Any) -> None:
    module = types.ModuleType("rmbg_trt._core")
    module.build_info = lambda: built  # type: ignore[attr-defined]
    module.cuda_devices = devices  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rmbg_trt._core", module)


BUILT: dict[str, Any] = {
    "version": "1.2.3",
    "compiler": "GNU 12",
    "cuda": True,
    "cuda_version": "13.0",
    "cuda_architectures": "90-real",
    "cuda_problem": None,
}


def test_the_core_and_its_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    core_module(monkeypatch, BUILT, lambda: [{"name": "NVIDIA H200", "index": 0}])
    core = doctor.examine().core
    assert (core.version, core.cuda, core.cuda_version, core.devices) == ("1.2.3", True, "13.0", ("NVIDIA H200",))
    assert core.problem is None


def test_a_core_without_cuda_is_not_asked_for_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    core_module(monkeypatch, {**BUILT, "cuda": False, "cuda_version": None}, None)
    assert doctor.examine().core.devices == ()
    assert doctor.examine().core.version == "1.2.3"


def test_a_core_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rmbg_trt._core", None)
    report = doctor.examine()
    assert report.core.version is None
    assert "_core" in str(report.core.problem)
    assert report.advice[0].startswith("The compiled core does not load")


def test_the_cache(home: Path) -> None:
    cache = doctor.examine().cache
    assert (cache.folder, cache.writable, cache.size_bytes) == (str(home), True, 0)
    assert cache.models == {"u2net": False, "u2netp": False}
    assert not home.exists()  # looking changes nothing
    (home / "models").mkdir(parents=True)
    (home / "models" / "u2netp.onnx").write_bytes(bytes(1000))
    cache = doctor.examine().cache
    assert cache.size_bytes == 1000
    assert not cache.models["u2netp"]  # a damaged file is not a cached model


def test_a_cache_that_cannot_be_written(home: Path) -> None:
    home.write_text("in the way")
    report = doctor.examine()
    assert not report.cache.writable
    assert any("set RMBG_TRT_HOME" in advice for advice in report.advice)


NO_GPU = doctor.Nvidia(None, (), None, None, None)
GPU = doctor.Nvidia("580.95.05", (doctor.Gpu("NVIDIA H200", 143771, "9.0"),), None, None, None)
NO_CUDA = doctor.Core("1", "g", False, None, "", (), None)
CUDA = doctor.Core("1", "g", True, "13.0", "90", ("NVIDIA H200",), None)
CACHE = doctor.Cache("/cache", True, 0, {})
OPENVINO = doctor.Package("OpenVINO", "", True, "1", True, "get-openvino")
NO_OPENVINO = dataclasses.replace(OPENVINO, installed=False)
TENSORRT = doctor.Package("TensorRT", "", True, "1", True, "get-tensorrt")
NO_TENSORRT = dataclasses.replace(TENSORRT, installed=False)
UNUSED_TENSORRT = dataclasses.replace(NO_TENSORRT, runs_networks=False)


@pytest.mark.parametrize(
    ("nvidia", "core", "packages", "expected"),
    [
        (NO_GPU, NO_CUDA, (OPENVINO, NO_TENSORRT), []),
        (GPU, CUDA, (OPENVINO, TENSORRT), []),
        (GPU, CUDA, (OPENVINO, NO_TENSORRT), ["To use the GPU: get-tensorrt"]),
        (GPU, CUDA, (OPENVINO, UNUSED_TENSORRT), ["no network of this version runs on it"]),
        (GPU, NO_CUDA, (OPENVINO, TENSORRT), ["CMAKE_ARGS=-DRMBG_CUDA=ON"]),
        (NO_GPU, NO_CUDA, (NO_OPENVINO, TENSORRT), []),
        (
            dataclasses.replace(GPU, driver="550.54.15"),
            dataclasses.replace(CUDA, devices=(), problem="driver too old"),
            (OPENVINO, TENSORRT),
            [r"driver 550\.54\.15 is too old for this build \(CUDA 13\.0\): install 580 or newer"],
        ),
        (
            GPU,
            dataclasses.replace(CUDA, devices=(), problem="no permission"),
            (OPENVINO, TENSORRT),
            ["cannot use the GPU: no permission"],
        ),
        (
            dataclasses.replace(NO_GPU, problem="NVML mismatch"),
            NO_CUDA,
            (OPENVINO, TENSORRT),
            ["does not answer: NVML mismatch"],
        ),
    ],
)
def test_advice(
    nvidia: doctor.Nvidia,
    core: doctor.Core,
    packages: tuple[doctor.Package, ...],
    expected: list[str],
) -> None:
    advice = doctor.advise(nvidia, core, packages, CACHE)
    assert len(advice) == len(expected)
    for line, pattern in zip(advice, expected, strict=True):
        assert re.search(pattern, line)


@pytest.mark.parametrize(("cuda", "driver"), [("12.9", 525), ("13.0", 580), ("11.8", None), (None, None), ("", None)])
def test_the_driver_needed(cuda: str | None, driver: int | None) -> None:
    assert doctor.driver_needed(cuda) == driver


# ---- the trial run


@dataclasses.dataclass(frozen=True)
class Info:
    device: str = "cpu"
    reason: str = "because"


def right_alpha(frame: Any) -> Any:
    """The ball of `trial_picture`, found by its colour."""
    return np.where(frame[..., 2] > 100, 255, 0).astype(np.uint8)


def engine_module(monkeypatch: pytest.MonkeyPatch, run: Any, made: list[Any]) -> None:
    class Engine:
        info = Info()

        def __init__(self, model: Any) -> None:
            made.append(model)

        def __enter__(self) -> Engine:
            return self

        def __exit__(self, *_: object) -> None:
            made.append("closed")

        def run(self, frame: Any) -> Any:
            return run(frame)

    module = types.ModuleType("rmbg_trt.engine")
    module.Engine = Engine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rmbg_trt.engine", module)


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "model.onnx").write_bytes(b"x")
    return str(tmp_path / "model.onnx")


def test_the_trial_picture_has_an_object() -> None:
    picture = doctor.trial_picture(101, 203)
    assert (picture.shape, picture.dtype) == ((101, 203, 3), np.uint8)
    assert picture[50, 101, 2] > 200  # BGR: the ball is orange
    assert picture[50, 101, 0] < 80
    assert picture[:10].max() < 100
    assert doctor.check_alpha(right_alpha(doctor.trial_picture()), doctor.trial_picture()) == ""


def test_a_trial_that_works(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    made: list[Any] = []
    engine_module(monkeypatch, right_alpha, made)
    trial = doctor.trial_run(model)
    assert made == [model, "closed"]
    assert (trial.ok, trial.reason, trial.info) == (True, "because", {"device": "cpu", "reason": "because"})
    assert trial.start_ms is not None
    assert trial.frame_ms is not None
    assert 0 < trial.frame_ms < 5000


@pytest.mark.parametrize(
    ("alpha", "reason"),
    [
        (
            lambda frame: right_alpha(frame)[:, 1:],
            r"got an alpha of shape \(480, 639\), uint8; expected \(480, 640\), uint8",
        ),
        (lambda frame: right_alpha(frame).astype(np.float32), "float32"),
        (lambda frame: 255 - right_alpha(frame), "0 of 255 on the object, 255 on the background"),
        (lambda frame: np.zeros(frame.shape[:2], np.uint8), "0 of 255 on the object"),
        (lambda frame: np.full(frame.shape[:2], 255, np.uint8), "255 on the background"),
    ],
)
def test_a_trial_with_a_wrong_alpha_fails(alpha: Any, reason: str, monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    engine_module(monkeypatch, alpha, [])
    trial = doctor.trial_run(model)
    assert not trial.ok
    assert re.search(reason, trial.reason)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnavailableError("no runtime: install one"), "no runtime: install one"),
        (ImportError("No module named 'x'"), "not installed as a whole (No module named 'x')"),
        (MemoryError("too big"), "unexpected MemoryError: too big"),
    ],
)
def test_a_trial_that_raises_is_a_result(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    def run(frame: Any) -> Any:
        raise error

    made: list[Any] = []
    engine_module(monkeypatch, run, made)
    trial = doctor.trial_run(model)
    assert not trial.ok
    assert reason in trial.reason
    assert made[-1] == "closed"


def test_a_trial_without_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    engine_module(monkeypatch, right_alpha, [])
    monkeypatch.setenv("RMBG_TRT_OFFLINE", "1")
    trial = doctor.trial_run("u2netp")
    assert not trial.ok
    assert "RMBG_TRT_OFFLINE" in trial.reason


def test_ctrl_c_ends_a_trial(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    def run(frame: Any) -> Any:
        raise KeyboardInterrupt

    engine_module(monkeypatch, run, [])
    with pytest.raises(KeyboardInterrupt):
        doctor.trial_run(model)


@pytest.mark.weights
@pytest.mark.network
@pytest.mark.slow
def test_the_real_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rmbg_trt._core")
    monkeypatch.delenv("RMBG_TRT_HOME")  # the user's cache keeps the weights from run to run
    try:
        models.resolve("u2netp")
    except UnavailableError as error:
        pytest.skip(f"no weights: {error}")
    trial = doctor.trial_run("u2netp")
    assert trial.ok, trial.reason
    assert trial.info is not None
    assert trial.info["input_size"] == (320, 320)
