# SPDX-License-Identifier: Apache-2.0
"""What this machine has, what is missing and how to get it, and whether the main job really works here.

`examine` collects facts and changes nothing; `trial_run` takes the background out of a picture. Nothing heavy is
imported to find out whether it is there.
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
import statistics
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import models
from .errors import Error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TIMED_RUNS = 5
_OLDEST_DRIVER = {12: 525, 13: 580}  # major version of CUDA -> first major version of the driver that runs it
_X86_FEATURES = {  # ours -> any of these in /proc/cpuinfo
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


@dataclass(frozen=True)
class Processor:
    """The CPU, as far as this process may use it."""

    model: str
    cores: int  # usable: after affinity and the container's quota
    features: tuple[str, ...]
    memory_bytes: int | None


@dataclass(frozen=True)
class Gpu:
    """One GPU, as the driver's own tool reports it."""

    name: str
    memory_mib: int | None
    compute_capability: str | None


@dataclass(frozen=True)
class Nvidia:
    """Driver, GPUs and toolkit. `problem` is what the driver's tool said when it failed."""

    driver: str | None
    gpus: tuple[Gpu, ...]
    problem: str | None
    nvcc: str | None
    nvcc_version: str | None


@dataclass(frozen=True)
class Core:
    """The compiled core, and the devices which it can use itself. `problem` says why it is missing or sees no GPU."""

    version: str | None
    compiler: str | None
    cuda: bool
    cuda_version: str | None
    cuda_architectures: str
    devices: tuple[str, ...]
    problem: str | None


@dataclass(frozen=True)
class Package:
    """An optional package: a runtime or a file format."""

    name: str
    purpose: str
    installed: bool
    version: str | None
    used: bool  # whether this version of rmbg-trt can use it
    install: str  # the command


@dataclass(frozen=True)
class Cache:
    """The folder of models and plans."""

    folder: str
    writable: bool
    size_bytes: int
    models: Mapping[str, bool]  # name -> cached


@dataclass(frozen=True)
class Report:
    """All facts, and what follows from them."""

    system: str
    python: str
    processor: Processor
    nvidia: Nvidia
    core: Core
    packages: tuple[Package, ...]
    cache: Cache
    advice: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """The main job, done once for real. `info` is `Engine.info` as a dict."""

    ok: bool
    model: str
    reason: str
    start_ms: float | None = None  # making the engine
    first_ms: float | None = None  # the first frame: warm-up and capture
    frame_ms: float | None = None  # median of the frames after it
    info: Mapping[str, Any] | None = None


def examine() -> Report:
    """Collect all facts about this machine. Never raises for what is missing."""
    processor, nvidia, core, packages, cache = _processor(), _nvidia(), _core(), _packages(), _cache()
    return Report(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        processor=processor,
        nvidia=nvidia,
        core=core,
        packages=packages,
        cache=cache,
        advice=advise(processor, nvidia, core, packages, cache),
    )


def advise(
    processor: Processor, nvidia: Nvidia, core: Core, packages: tuple[Package, ...], cache: Cache
) -> tuple[str, ...]:
    """Say what to do for this machine to be used as well as it can be. Advises nothing that would change nothing."""
    advice: list[str] = []
    by_name = {package.name: package for package in packages}
    gpu_packages = [p for p in packages if p.used and p.name in ("TensorRT", "TensorRT-RTX")]
    if core.version is None:
        advice.append(f"The compiled core does not load ({core.problem}): install rmbg-trt again.")
    if nvidia.problem:
        advice.append(f"The NVIDIA driver does not answer: {nvidia.problem}")
    needed = driver_needed(core.cuda_version)
    if nvidia.driver and needed and leading_number(nvidia.driver) < needed:
        advice.append(
            f"The NVIDIA driver {nvidia.driver} is too old for this build (CUDA {core.cuda_version}): "
            f"install {needed} or newer."
        )
    elif nvidia.gpus and core.cuda and not core.devices:
        advice.append(f"The core cannot use the GPU: {core.problem or 'it sees no device'}.")
    if nvidia.gpus and not gpu_packages:
        advice.append("There is an NVIDIA GPU, but no network of this version runs on it: the CPU does the work.")
    elif nvidia.gpus and core.version is not None and not core.cuda:
        advice.append(
            "There is an NVIDIA GPU, but this build of rmbg-trt has no CUDA code: install the CUDA toolkit (nvcc), "
            "and rmbg-trt again with CMAKE_ARGS=-DRMBG_CUDA=ON."
        )
    elif nvidia.gpus and not any(package.installed for package in gpu_packages):
        advice.append(f"To use the GPU: {gpu_packages[0].install}")
    openvino = by_name["OpenVINO"]
    if "bf16" in processor.features and openvino.used and not openvino.installed:
        advice.append(f"This processor multiplies in bfloat16, which OpenVINO puts to use: {openvino.install}")
    if not cache.writable:
        advice.append(f"The cache {cache.folder} cannot be written: set RMBG_TRT_HOME to another folder.")
    return tuple(advice)


# ---- processor -------------------------------------------------------------------------------------------------


def parse_cpuinfo(text: str) -> tuple[str, tuple[str, ...]]:
    """Take (model, features) out of the text of ``/proc/cpuinfo``, of an x86 or an Arm machine."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    flags = set(fields.get("flags", "").split())
    arm_flags = set(fields.get("Features", "").split())
    return fields.get("model name", ""), _among(_X86_FEATURES, flags) or _among(_ARM_FEATURES, arm_flags)


def parse_sysctl(text: str) -> tuple[str, tuple[str, ...], int | None]:
    """Take (model, features, memory in bytes) out of what macOS's ``sysctl`` prints."""
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


def _among(features: Mapping[str, tuple[str, ...]], flags: set[str]) -> tuple[str, ...]:
    return tuple(name for name, spellings in features.items() if flags.intersection(spellings))


def _processor() -> Processor:
    model = ""
    features: tuple[str, ...] = ()
    memory: int | None = None
    if platform.system() == "Darwin":
        _, text = _run(["sysctl", "hw.optional", "hw.memsize", "machdep.cpu.brand_string"])
        model, features, memory = parse_sysctl(text)
    else:
        model, features = parse_cpuinfo(_read("/proc/cpuinfo"))
        found = re.search(r"^MemTotal:\s+(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
        memory = int(found[1]) * 1024 if found else None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = parse_cpu_quota(_read("/sys/fs/cgroup/cpu.max"))
    return Processor(
        model=model or platform.processor() or platform.machine(),
        cores=min(cores, quota or cores),
        features=features,
        memory_bytes=memory,
    )


# ---- NVIDIA ----------------------------------------------------------------------------------------------------


def parse_nvidia_smi(text: str) -> tuple[str | None, tuple[Gpu, ...]]:
    """Take (driver, GPUs) out of the CSV lines "name, memory in MiB, driver[, compute capability]"."""
    driver: str | None = None
    gpus: list[Gpu] = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) < 3:
            continue
        driver = driver or row[2].strip()
        capability = row[3].strip() if len(row) > 3 else ""
        gpus.append(
            Gpu(
                name=row[0].strip(),
                memory_mib=int(row[1]) if row[1].strip().isdigit() else None,  # "[N/A]" on unified memory
                compute_capability=capability if re.fullmatch(r"\d+\.\d+", capability) else None,
            )
        )
    return driver, tuple(gpus)


def parse_driver_file(text: str) -> str | None:
    """Take the driver's version out of the text of ``/proc/driver/nvidia/version``."""
    found = re.search(r"^NVRM version:.*?\s(\d+\.\d+(?:\.\d+)*)\s", text, re.MULTILINE)
    return found[1] if found else None


def parse_nvcc(text: str) -> str | None:
    """Take the toolkit's version out of what ``nvcc --version`` prints."""
    found = re.search(r"release \d+\.\d+, V(\d+(?:\.\d+)+)", text)
    return found[1] if found else None


def driver_needed(cuda_version: str | None) -> int | None:
    """The first major driver version that runs this CUDA version, or None where that is not known."""
    return _OLDEST_DRIVER.get(leading_number(cuda_version)) if cuda_version else None


def leading_number(version: str) -> int:
    """The major number of a version; 0 if there is none."""
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0


def _nvidia() -> Nvidia:
    driver = parse_driver_file(_read("/proc/driver/nvidia/version"))
    gpus: tuple[Gpu, ...] = ()
    problem: str | None = None
    smi = shutil.which("nvidia-smi")
    if smi:
        for fields in ("name,memory.total,driver_version,compute_cap", "name,memory.total,driver_version"):
            code, text = _run([smi, f"--query-gpu={fields}", "--format=csv,noheader,nounits"])
            if code == 0:
                break  # older drivers do not know compute_cap
        if code == 0:
            seen, gpus = parse_nvidia_smi(text)
            driver = seen or driver
        else:
            problem = " ".join(text.split())[:200] or f"nvidia-smi ended with code {code}"
    nvcc = find_nvcc()
    return Nvidia(driver, gpus, problem, nvcc, parse_nvcc(_run([nvcc, "--version"])[1]) if nvcc else None)


def find_nvcc() -> str | None:
    """The CUDA compiler: on PATH, else in ``$CUDA_HOME``, ``$CUDA_PATH`` or ``/usr/local/cuda``."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    found = (shutil.which("nvcc", path=str(Path(home) / "bin")) for home in homes if home)
    return shutil.which("nvcc") or next((path for path in found if path), None)


def _core() -> Core:
    try:
        core = importlib.import_module("._core", __package__)
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
    except Exception as error:  # a broken build or driver is what the doctor is there to tell
        return Core(None, None, False, None, "", (), f"{type(error).__name__}: {error}")


# ---- packages and cache ----------------------------------------------------------------------------------------


def find_package(
    name: str, purpose: str, extra: str, modules: tuple[str, ...], distributions: tuple[str, ...], used: bool = True
) -> Package:
    """Look for a package without importing it. `extra` is ours: ``pip install "rmbg-trt[extra]"`` brings it."""
    installed = any(_module_exists(module) for module in modules)
    version = None
    for distribution in distributions if installed else ():
        try:
            version = importlib.metadata.version(distribution)
            break
        except importlib.metadata.PackageNotFoundError:
            continue
    return Package(name, purpose, installed, version, used, f'pip install "rmbg-trt[{extra}]"')


def _module_exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _packages() -> tuple[Package, ...]:
    from .networks import RUNTIMES

    trt_names = ("tensorrt-cu13", "tensorrt-cu12", "tensorrt")
    rtx_names = ("tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu12-bindings", "tensorrt-rtx")
    rtx_modules = ("tensorrt_rtx", "tensorrt_rtx_bindings")
    trains = "torch" in RUNTIMES or _module_exists("rmbg_trt.training")
    return (
        find_package("OpenVINO", "CPU", "cpu", ("openvino",), ("openvino",), "openvino" in RUNTIMES),
        find_package("TensorRT", "NVIDIA GPUs", "tensorrt", ("tensorrt",), trt_names, "tensorrt" in RUNTIMES),
        find_package("TensorRT-RTX", "RTX GPUs", "rtx", rtx_modules, rtx_names, "tensorrt_rtx" in RUNTIMES),
        find_package("PyTorch", "training", "train", ("torch",), ("torch",), trains),
        find_package("ONNX Runtime", "comparisons", "bench", ("onnxruntime",), ("onnxruntime", "onnxruntime-gpu")),
        find_package("pillow-heif", "HEIC pictures", "heif", ("pillow_heif",), ("pillow-heif",)),
    )


def _cache() -> Cache:
    folder = models.cache_dir()
    writable, size = False, 0
    with contextlib.suppress(OSError):
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())  # the rest would be made
        writable = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
        for parent, _, names in os.walk(folder):
            size += sum((Path(parent) / name).stat().st_size for name in names)
    return Cache(
        folder=str(folder),
        writable=writable,
        size_bytes=size,
        models={name: models.is_cached(name) for name in models.CATALOGUE},
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _run(command: list[str]) -> tuple[int, str]:
    """Run a tool that reports something; (exit code, what it printed), or (-1, why it did not run)."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, str(error)
    return done.returncode, done.stdout or done.stderr


# ---- the main job ----------------------------------------------------------------------------------------------


def trial_picture(height: int = 480, width: int = 640) -> NDArray[np.uint8]:
    """Draw a bright, shaded ball before a dark gradient: (height, width, 3) uint8, BGR."""
    import numpy as np

    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    picture = np.stack([40 + 40 * y / height, 50 + 30 * x / width, np.full_like(x, 45)], axis=-1)
    radius = 0.3 * min(height, width)
    distance = np.hypot(x - width / 2, y - height / 2) / radius
    shade = np.clip(1.2 - np.hypot(x - width / 2 + radius / 3, y - height / 2 + radius / 3) / (2 * radius), 0, 1)
    ball = np.stack([60 * shade, 140 * shade, 255 * shade], axis=-1)
    return np.where((distance <= 1)[..., None], ball, picture).astype(np.uint8)


def check_alpha(alpha: Any, picture: NDArray[np.uint8]) -> str:
    """Say what is wrong with the alpha of `trial_picture`, or nothing."""
    import numpy as np

    alpha = np.asarray(alpha)
    if alpha.shape != picture.shape[:2] or alpha.dtype != np.uint8:
        return f"got an alpha of shape {alpha.shape}, {alpha.dtype}; expected {picture.shape[:2]}, uint8"
    height, width = alpha.shape
    ball = float(alpha[height // 2 - height // 8 : height // 2 + height // 8, width // 2 - 20 : width // 2 + 20].mean())
    corners = float(np.mean([alpha[:40, :40], alpha[:40, -40:], alpha[-40:, :40], alpha[-40:, -40:]]))
    if ball < 128 or corners > 64:
        return f"the alpha is wrong: {ball:.0f} of 255 on the object, {corners:.0f} on the background"
    return ""


def trial_run(model: str = "u2netp", *, progress: models.Progress | None = None) -> Trial:
    """Make an engine, and take the background out of a picture. Never raises for what fails: it is in the result.

    Args:
        model: a catalogue name or a model file.
        progress: ``progress(bytes_done, bytes_total)`` while the model is fetched.
    """
    picture = trial_picture()
    try:
        from .engine import Engine

        models.resolve(model, progress=progress)  # the engine would do it too, but without a bar
        start = time.perf_counter()
        with Engine(model) as engine:
            start_ms = 1e3 * (time.perf_counter() - start)
            alpha, first_ms = _timed(engine, picture)
            frame_ms = statistics.median(_timed(engine, picture)[1] for _ in range(_TIMED_RUNS))
            info = asdict(engine.info)
    except Error as error:
        return Trial(False, model, str(error))
    except ImportError as error:
        return Trial(False, model, f"rmbg-trt is not installed as a whole ({error}): install it again")
    except Exception as error:  # whatever a runtime or a driver throws is a result here
        return Trial(False, model, f"unexpected {type(error).__name__}: {error}")
    wrong = check_alpha(alpha, picture)
    return Trial(not wrong, model, wrong or str(info.get("reason", "")), start_ms, first_ms, frame_ms, info)


def _timed(engine: Any, picture: NDArray[np.uint8]) -> tuple[Any, float]:
    start = time.perf_counter()
    alpha = engine.run(picture)
    return alpha, 1e3 * (time.perf_counter() - start)
