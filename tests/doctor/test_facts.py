# SPDX-License-Identifier: Apache-2.0
"""The doctor's facts: parsers on real output of real machines, and what is found on this one."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from rmbg_trt import doctor
from rmbg_trt.doctor import facts
from rmbg_trt.install import install_command

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
    assert facts.parse_cpuinfo(text) == (model, features)


def test_sysctl() -> None:
    text = "hw.optional.neon: 1\nhw.optional.arm.FEAT_BF16: 0\nhw.memsize: 17179869184\n"
    text += "machdep.cpu.brand_string: Apple M1\n"
    assert facts.parse_sysctl(text) == ("Apple M1", ("neon",), 17179869184)
    assert facts.parse_sysctl("sysctl: unknown oid") == ("", (), None)


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
    assert facts.parse_cpu_quota(text) == cores


# ---- NVIDIA


def test_nvidia_smi() -> None:
    text = "NVIDIA H200, 143771, 580.95.05, 9.0\nNVIDIA GB10, [N/A], 580.95.05, 12.1\n"
    driver, gpus = facts.parse_nvidia_smi(text)
    assert driver == "580.95.05"
    assert gpus == (doctor.Gpu("NVIDIA H200", 143771, "9.0"), doctor.Gpu("NVIDIA GB10", None, "12.1"))
    assert facts.parse_nvidia_smi("Tesla K80, 11441, 418.1") == ("418.1", (doctor.Gpu("Tesla K80", 11441, None),))
    assert facts.parse_nvidia_smi("No devices were found\n") == (None, ())


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
    assert facts.parse_driver_file(text) == version


def test_nvcc_version() -> None:
    text = "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 13.0, V13.0.88\n"
    assert facts.parse_nvcc(text) == "13.0.88"
    assert facts.parse_nvcc("command not found") is None


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
def test_an_error_of_nvidia_smi_is_reported(
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
    found = facts.find_package("Heavy", "x", "heavy", ("heavy_runtime",), ("heavy-runtime", "heavy-runtime-cu13"))
    assert (found.installed, found.version) == (True, "7.8.9")
    assert "heavy_runtime" not in sys.modules
    unknown = facts.find_package("Heavy", "x", "heavy", ("absent", "heavy_runtime"), ("no-such-distribution",))
    assert (unknown.installed, unknown.version) == (True, None)


def test_a_missing_package_tells_how_to_get_it() -> None:
    found = facts.find_package("Heavy", "x", "heavy", ("no_such_module", "no.such.module"), ("pytest",))
    assert (found.installed, found.version) == (False, None)
    assert found.install == install_command("heavy")


def test_every_extra_named_is_one_that_the_project_has() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    for name, _, extra, *_ in facts._PACKAGES:
        assert f"\n{extra} = [" in text, name


# ---- the core and the cache


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
