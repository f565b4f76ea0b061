# SPDX-License-Identifier: Apache-2.0
"""Facts about this machine: processor, NVIDIA driver and GPUs, the compiled core, optional packages and the cache.

Each `examine_*` function collects one kind of fact. It changes nothing, imports no optional package, loads no CUDA
library, and never raises because something is missing.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import importlib.metadata
import importlib.util
import math
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import models
from ..cache import cache_dir
from ..install import install_command

_X86_FEATURES = {  # our name -> the names in /proc/cpuinfo, any of which counts
    "avx2": ("avx2",),
    "avx512": ("avx512f",),
    "vnni": ("avx512_vnni", "avx_vnni"),
    "bf16": ("avx512_bf16",),
    "amx": ("amx_tile",),
}
_ARM_FEATURES = {"neon": ("asimd", "neon"), "bf16": ("bf16",), "i8mm": ("i8mm",), "sve": ("sve",)}
_MAC_FEATURES = {
    "avx2": ("hw.optional.avx2_0",),
    "avx512": ("hw.optional.avx512f",),
    "neon": ("hw.optional.neon", "hw.optional.arm64", "hw.optional.AdvSIMD"),
    "bf16": ("hw.optional.arm.FEAT_BF16",),
    "i8mm": ("hw.optional.arm.FEAT_I8MM",),
}
_RTX_DISTRIBUTIONS = ("tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu12-bindings", "tensorrt-rtx")
_PACKAGES = (  # name, purpose, our extra, modules, distributions
    ("OpenVINO", "int8, more networks on the CPU", "openvino", ("openvino",), ("openvino",)),
    ("TensorRT", "plans for NVIDIA GPUs", "tensorrt", ("tensorrt",), ("tensorrt-cu13", "tensorrt-cu12", "tensorrt")),
    ("TensorRT-RTX", "plans for RTX GPUs", "rtx", ("tensorrt_rtx", "tensorrt_rtx_bindings"), _RTX_DISTRIBUTIONS),
    ("PyTorch", "export; networks on NVIDIA GPUs", "export", ("torch",), ("torch",)),
    ("ONNX Runtime", "export", "export", ("onnxruntime",), ("onnxruntime", "onnxruntime-gpu")),
    ("Lightning", "training", "train", ("lightning",), ("lightning",)),
    ("pysodmetrics", "evaluation", "train", ("py_sod_metrics",), ("pysodmetrics",)),
    ("pillow-heif", "HEIC images", "heif", ("pillow_heif",), ("pillow-heif",)),
)


@dataclass(frozen=True)
class Processor:
    """The CPU, as far as this process may use it."""

    model: str
    cores: int  # usable: after affinity and the container's quota
    features: tuple[str, ...]
    memory_bytes: int | None


@dataclass(frozen=True)
class Gpu:
    """One GPU, as nvidia-smi reports it."""

    name: str
    memory_mib: int | None
    compute_capability: str | None


@dataclass(frozen=True)
class Nvidia:
    """Driver, GPUs and toolkit. `problem` is the output of nvidia-smi when it failed."""

    driver: str | None
    gpus: tuple[Gpu, ...]
    problem: str | None
    nvcc: str | None
    nvcc_version: str | None


@dataclass(frozen=True)
class Core:
    """The compiled core and the GPUs it can use. `problem` says why it is missing or sees no GPU."""

    version: str | None
    compiler: str | None
    cuda: bool
    cuda_version: str | None
    cuda_architectures: str
    devices: tuple[str, ...]
    problem: str | None


@dataclass(frozen=True)
class Package:
    """An optional package: a runtime or a file format. `install` is the command that installs it."""

    name: str
    purpose: str
    installed: bool
    version: str | None
    install: str


@dataclass(frozen=True)
class Cache:
    """The folder of models and plans. `models` says for each name whether it is cached."""

    folder: str
    writable: bool
    size_bytes: int
    models: Mapping[str, bool]


def examine_processor() -> Processor:
    """Ask the operating system about the CPU."""
    if platform.system() == "Darwin":
        _, text = _run_tool(["sysctl", "hw.optional", "hw.memsize", "machdep.cpu.brand_string"])
        model, features, memory = parse_sysctl(text)
    else:
        model, features = parse_cpuinfo(_read_text("/proc/cpuinfo"))
        found = re.search(r"^MemTotal:\s+(\d+) kB", _read_text("/proc/meminfo"), re.MULTILINE)
        memory = int(found[1]) * 1024 if found else None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = parse_cpu_quota(_read_text("/sys/fs/cgroup/cpu.max"))
    return Processor(model or platform.processor() or platform.machine(), min(cores, quota or cores), features, memory)


def parse_cpuinfo(text: str) -> tuple[str, tuple[str, ...]]:
    """Read (model, features) from the text of ``/proc/cpuinfo``, on x86 or Arm."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    flags = set(fields.get("flags", "").split())
    arm_flags = set(fields.get("Features", "").split())
    return fields.get("model name", ""), _among(_X86_FEATURES, flags) or _among(_ARM_FEATURES, arm_flags)


def parse_sysctl(text: str) -> tuple[str, tuple[str, ...], int | None]:
    """Read (model, features, memory in bytes) from the output of macOS's ``sysctl``."""
    pairs = (line.partition(":") for line in text.splitlines())
    fields = {key.strip(): value.strip() for key, _, value in pairs}
    features = _among(_MAC_FEATURES, {key for key, value in fields.items() if value == "1"})
    memory = fields.get("hw.memsize", "")
    return fields.get("machdep.cpu.brand_string", ""), features, int(memory) if memory.isdigit() else None


def parse_cpu_quota(text: str) -> int | None:
    """Read a cgroup's ``cpu.max`` ("200000 100000": two cores) as whole cores, or None for no limit."""
    quota, _, period = text.strip().partition(" ")
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:
        return None
    return max(1, math.ceil(int(quota) / int(period)))


def examine_nvidia() -> Nvidia:
    """Ask NVIDIA's own tools for the driver, the GPUs and the CUDA toolkit."""
    driver = parse_driver_file(_read_text("/proc/driver/nvidia/version"))
    gpus: tuple[Gpu, ...] = ()
    problem: str | None = None
    smi = shutil.which("nvidia-smi")
    if smi:
        for fields in ("name,memory.total,driver_version,compute_cap", "name,memory.total,driver_version"):
            code, text = _run_tool([smi, f"--query-gpu={fields}", "--format=csv,noheader,nounits"])
            if code == 0:
                break  # older drivers do not know compute_cap
        if code == 0:
            seen, gpus = parse_nvidia_smi(text)
            driver = seen or driver
        else:
            problem = " ".join(text.split())[:200] or f"nvidia-smi ended with code {code}"
    nvcc = find_nvcc()
    return Nvidia(driver, gpus, problem, nvcc, parse_nvcc(_run_tool([nvcc, "--version"])[1]) if nvcc else None)


def parse_nvidia_smi(text: str) -> tuple[str | None, tuple[Gpu, ...]]:
    """Read (driver, GPUs) from the CSV lines "name, memory in MiB, driver[, compute capability]"."""
    driver: str | None = None
    gpus: list[Gpu] = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) < 3:
            continue
        driver = driver or row[2].strip()
        memory_mib = int(row[1]) if row[1].strip().isdigit() else None  # "[N/A]" on unified memory
        capability = row[3].strip() if len(row) > 3 else ""
        gpus.append(Gpu(row[0].strip(), memory_mib, capability if re.fullmatch(r"\d+\.\d+", capability) else None))
    return driver, tuple(gpus)


def parse_driver_file(text: str) -> str | None:
    """Read the driver's version from the text of ``/proc/driver/nvidia/version``."""
    found = re.search(r"^NVRM version:.*?\s(\d+\.\d+(?:\.\d+)*)\s", text, re.MULTILINE)
    return found[1] if found else None


def parse_nvcc(text: str) -> str | None:
    """Read the toolkit's version from the output of ``nvcc --version``."""
    found = re.search(r"release \d+\.\d+, V(\d+(?:\.\d+)+)", text)
    return found[1] if found else None


def find_nvcc() -> str | None:
    """Find the CUDA compiler: on PATH, else in ``$CUDA_HOME``, ``$CUDA_PATH`` or ``/usr/local/cuda``."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    found = (shutil.which("nvcc", path=str(Path(home) / "bin")) for home in homes if home)
    return shutil.which("nvcc") or next((path for path in found if path), None)


def examine_core() -> Core:
    """Load the compiled core and ask how it was built and which GPUs it sees."""
    try:
        core = importlib.import_module(".._core", __package__)
        built = core.build_info()
        devices = core.cuda_devices() if built["cuda"] else []
        return Core(
            version=built["version"],
            compiler=built["compiler"],
            cuda=built["cuda"],
            cuda_version=built["cuda_version"],
            cuda_architectures=built["cuda_architectures"],
            devices=tuple(str(device["name"]) for device in devices),
            problem=built.get("cuda_problem"),
        )
    except Exception as error:  # a broken build or driver is what the doctor is there to report
        return Core(None, None, False, None, "", (), f"{type(error).__name__}: {error}")


def examine_packages() -> tuple[Package, ...]:
    """Look for every optional package, without importing it."""
    return tuple(find_package(*package) for package in _PACKAGES)


def find_package(
    name: str, purpose: str, extra: str, modules: tuple[str, ...], distributions: tuple[str, ...]
) -> Package:
    """Look for a package by its modules. ``extra``, one of ours, installs it."""
    installed = any(_module_exists(module) for module in modules)
    version = None
    for distribution in distributions if installed else ():
        try:
            version = importlib.metadata.version(distribution)
            break
        except importlib.metadata.PackageNotFoundError:
            continue
    return Package(name, purpose, installed, version, install_command(extra))


def examine_cache() -> Cache:
    """Look at the cache without creating it."""
    folder = cache_dir()
    writable, size = False, 0
    with contextlib.suppress(OSError):
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())  # the rest would be created
        writable = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
        for parent, _, names in os.walk(folder):
            size += sum((Path(parent) / name).stat().st_size for name in names)
    return Cache(str(folder), writable, size, {name: models.is_cached(name) for name in models.CATALOGUE})


def _read_text(path: str) -> str:
    """The text of a file; empty if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _run_tool(command: list[str]) -> tuple[int, str]:
    """Run a tool: (exit code, output), or (-1, why it did not run)."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, str(error)
    return done.returncode, done.stdout or done.stderr


def _among(features: Mapping[str, tuple[str, ...]], flags: set[str]) -> tuple[str, ...]:
    return tuple(name for name, spellings in features.items() if flags.intersection(spellings))


def _module_exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
