# SPDX-License-Identifier: Apache-2.0
"""The doctor's report: all facts about this machine with advice that follows from them, and a trial run.

The trial removes the background of one synthetic image whose alpha is known, and checks the result.
"""

from __future__ import annotations

import platform
import re
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import models
from ..errors import Error
from .facts import (
    Cache,
    Core,
    Nvidia,
    Package,
    Processor,
    examine_cache,
    examine_core,
    examine_nvidia,
    examine_packages,
    examine_processor,
)

if TYPE_CHECKING:
    from ..engine import Engine

_OLDEST_DRIVER = {12: 525, 13: 580}  # major version of CUDA -> first major version of the driver that runs it
_TIMED_RUNS = 5


@dataclass(frozen=True)
class Report:
    """All facts, and the advice."""

    system: str
    python: str
    processor: Processor
    nvidia: Nvidia
    core: Core
    packages: tuple[Package, ...]
    cache: Cache
    advice: tuple[str, ...]


def examine() -> Report:
    """Collect all facts about this machine. Never raises because something is missing."""
    nvidia, core, packages, cache = examine_nvidia(), examine_core(), examine_packages(), examine_cache()
    return Report(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        processor=examine_processor(),
        nvidia=nvidia,
        core=core,
        packages=packages,
        cache=cache,
        advice=advise(nvidia, core, packages, cache),
    )


def advise(nvidia: Nvidia, core: Core, packages: tuple[Package, ...], cache: Cache) -> tuple[str, ...]:
    """Say what to change so that this machine is used as well as it can be; nothing if there is nothing to gain."""
    advice: list[str] = []
    gpu_packages = [package for package in packages if package.name in ("TensorRT", "TensorRT-RTX")]
    if core.version is None:
        advice.append(f"The compiled core does not load ({core.problem}): install rmbg-trt again.")
    if nvidia.problem:
        advice.append(f"The NVIDIA driver does not answer: {nvidia.problem}")
    needed = driver_needed(core.cuda_version)
    if nvidia.driver and needed and _major(nvidia.driver) < needed:
        advice.append(
            f"The NVIDIA driver {nvidia.driver} is too old for this build (CUDA {core.cuda_version}): "
            f"install {needed} or newer."
        )
    elif nvidia.gpus and core.cuda and not core.devices:
        advice.append(f"The core cannot use the GPU: {core.problem or 'it sees no device'}.")
    if nvidia.gpus and core.version is not None and not core.cuda:
        advice.append(
            "There is an NVIDIA GPU, but this build of rmbg-trt has no CUDA code: install the CUDA toolkit (nvcc), "
            "and rmbg-trt again with CMAKE_ARGS=-DRMBG_CUDA=ON."
        )
    elif nvidia.gpus and not any(package.installed for package in gpu_packages):
        advice.append(f"To use the GPU: {gpu_packages[0].install}")
    if not cache.writable:
        advice.append(f"The cache {cache.folder} cannot be written: set RMBG_TRT_HOME to another folder.")
    return tuple(advice)


def driver_needed(cuda_version: str | None) -> int | None:
    """The first major driver version that runs this CUDA version, or None where that is not known."""
    return _OLDEST_DRIVER.get(_major(cuda_version)) if cuda_version else None


def _major(version: str) -> int:
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0


@dataclass(frozen=True)
class Trial:
    """The result of a trial run. `info` is `Engine.info` as a dict."""

    ok: bool
    model: str
    reason: str
    start_ms: float | None = None  # opening the engine
    first_ms: float | None = None  # the first frame: warm-up and capture
    frame_ms: float | None = None  # median of the frames after it
    info: Mapping[str, Any] | None = None


def trial_run(model: str = "u2netp", *, progress: models.Progress | None = None) -> Trial:
    """Open an engine and remove the background of an image. Failures are in the result; nothing is raised.

    Args:
        model: a catalogue name or a model file.
        progress: ``progress(bytes_done, bytes_total)`` while the model is fetched.
    """
    frame = trial_frame()
    try:
        # Not at the top: the engine needs the compiled core, and the doctor must start where that does not load.
        from ..engine import Engine

        models.resolve(model, progress=progress)  # the engine would do it too, but without a progress bar
        start = time.perf_counter()
        with Engine(model) as engine:
            start_ms = 1e3 * (time.perf_counter() - start)
            alpha, first_ms = _timed(engine, frame)
            frame_ms = statistics.median(_timed(engine, frame)[1] for _ in range(_TIMED_RUNS))
            info = asdict(engine.info)
    except Error as error:
        return Trial(False, model, str(error))
    except ImportError as error:
        return Trial(False, model, f"the installation of rmbg-trt is incomplete ({error}): install it again")
    except Exception as error:  # whatever a runtime or a driver raises is a result here
        return Trial(False, model, f"unexpected {type(error).__name__}: {error}")
    wrong = check_alpha(alpha, frame)
    return Trial(not wrong, model, wrong or str(info.get("reason", "")), start_ms, first_ms, frame_ms, info)


def _timed(engine: Engine, frame: NDArray[np.uint8]) -> tuple[Any, float]:
    start = time.perf_counter()
    alpha = engine.run(frame)
    return alpha, 1e3 * (time.perf_counter() - start)


def trial_frame(height: int = 480, width: int = 640) -> NDArray[np.uint8]:
    """Draw a bright, shaded ball in front of a dark gradient: (height, width, 3) uint8, BGR."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    frame = np.stack([40 + 40 * y / height, 50 + 30 * x / width, np.full_like(x, 45)], axis=-1)
    radius = 0.3 * min(height, width)
    distance = np.hypot(x - width / 2, y - height / 2) / radius
    shade = np.clip(1.2 - np.hypot(x - width / 2 + radius / 3, y - height / 2 + radius / 3) / (2 * radius), 0, 1)
    ball = np.stack([60 * shade, 140 * shade, 255 * shade], axis=-1)
    return np.where((distance <= 1)[..., None], ball, frame).astype(np.uint8)


def check_alpha(alpha: Any, frame: NDArray[np.uint8]) -> str:
    """Say what is wrong with the alpha of `trial_frame`; empty if it is right."""
    alpha = np.asarray(alpha)
    if alpha.shape != frame.shape[:2] or alpha.dtype != np.uint8:
        return f"got an alpha of shape {alpha.shape}, {alpha.dtype}; expected {frame.shape[:2]}, uint8"
    height, width = alpha.shape
    ball = float(alpha[height // 2 - height // 8 : height // 2 + height // 8, width // 2 - 20 : width // 2 + 20].mean())
    corners = float(np.mean([alpha[:40, :40], alpha[:40, -40:], alpha[-40:, :40], alpha[-40:, -40:]]))
    if ball < 128 or corners > 64:
        return f"the alpha is wrong: {ball:.0f} of 255 on the object, {corners:.0f} on the background"
    return ""
