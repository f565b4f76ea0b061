# SPDX-License-Identifier: Apache-2.0
"""TensorRT 10, TensorRT 11 and TensorRT-RTX: importing one of them, its messages and its targets.

Features are detected by attributes, not by version.
"""

from __future__ import annotations

import functools
import importlib
import logging
import re
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InputError, UnavailableError
from ..install import install_command
from .devices import TENSORRT, TITLES, Gpu

log = logging.getLogger("rmbg_trt.tensorrt")

EXTRAS = {"tensorrt": "tensorrt", "tensorrt_rtx": "rtx"}
# Ways to import each; the last module has the classes. The wheel with the libraries comes before the bindings.
_IMPORTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "tensorrt": (("tensorrt",),),
    "tensorrt_rtx": (("tensorrt_rtx",), ("tensorrt_rtx_libs", "tensorrt_rtx_bindings")),
}
_LEVELS = {"INTERNAL_ERROR": "CRITICAL", "VERBOSE": "DEBUG"}  # other levels have the names of ``logging``
_ECHOES = ("::catchCudaError::", "BuildCanceled")  # messages after the actual error, or because we cancelled
CHECK_DRIVER = "check the NVIDIA driver and the GPU with nvidia-smi; another plan will not help"


@dataclass(frozen=True)
class TensorRt:
    """An imported runtime.

    Attributes:
        name: One of ``TENSORRT``.
        module: The vendor's Python module.
        version: Version of the module, such as "10.13.0.35".
        logger: The ``ILogger`` that all the vendor's objects of this process share; it keeps the last messages.
        reason: Why this runtime was chosen.
    """

    name: str
    module: Any
    version: str
    logger: Any = field(repr=False)
    reason: str = ""

    @property
    def title(self) -> str:
        """Name and version, for messages."""
        return f"{TITLES[self.name]} {self.version}"

    def errors(self) -> list[str]:
        """The error messages since ``clear()``, oldest first, without duplicates, each on one line."""
        messages = self.messages(logging.ERROR)
        return [text for text in messages if not any(echo in text for echo in _ECHOES)] or messages

    def messages(self, level: int) -> list[str]:
        """The last messages since ``clear()`` at this level of ``logging`` or above."""
        return list(dict.fromkeys(text for severity, text in list(self.logger.kept) if severity >= level))

    def clear(self) -> None:
        """Forgets the messages."""
        self.logger.kept.clear()

    def create(self, kind: str) -> Any:
        """Makes a ``Builder`` or ``Runtime``.

        Raises:
            UnavailableError: It cannot start; full TensorRT needs a driver.
        """
        try:
            return getattr(self.module, kind)(self.logger)
        except (TypeError, RuntimeError) as error:  # the bindings raise these for a null pointer
            said = self.errors() or [_one_line(str(error))]
            raise UnavailableError(f"{self.title} cannot start ({'; '.join(said)}); {CHECK_DRIVER}") from error


def load(name: str = "auto", gpu: Gpu | None = None) -> TensorRt:
    """Imports a runtime.

    Args:
        name: "tensorrt", "tensorrt_rtx", or "auto": full TensorRT if it is installed and there is a GPU, because it
            builds on the kind of GPU that will run the plan; otherwise TensorRT-RTX, which builds without a GPU.
        gpu: For "auto": the GPU to build plans on.

    Raises:
        InputError: There is no such runtime.
        UnavailableError: It is not installed, or its libraries do not load; the message has the command.
    """
    if name in TENSORRT:
        return replace(_load(name), reason="it was asked for")
    if name != "auto":
        raise InputError(f"runtime is {name!r}; expected auto, {' or '.join(TENSORRT)}")
    if gpu is None:
        passed_over = "TensorRT builds only on a GPU, and there is no usable one here"
    else:
        try:
            return replace(_load("tensorrt"), reason=f"there is a GPU, {gpu.name}, and TensorRT builds plans for it")
        except UnavailableError as error:
            passed_over = str(error)
    try:
        return replace(_load("tensorrt_rtx"), reason=f"TensorRT-RTX builds without a GPU; {passed_over}")
    except UnavailableError as error:
        on_a_gpu = "" if gpu else f"; on a machine with a GPU, also {install_command('tensorrt')}"
        raise UnavailableError(f"no runtime can build plans here: {passed_over}; {error}{on_a_gpu}") from error


def known_targets(runtime: TensorRt) -> tuple[str, ...]:
    """The compute capabilities ("sm75", "sm86", …) that need no GPU to build plans for; none for TensorRT."""
    members = getattr(getattr(runtime.module, "ComputeCapability", None), "__members__", ())
    return tuple(name.lower() for name in members if re.fullmatch(r"SM\d+", name))


def parse_target(runtime: TensorRt, text: str) -> str:
    """Normalizes "SM_86", "8.6" or "86" to "sm86".

    Raises:
        InputError: It is not a compute capability, or this runtime does not build for it.
    """
    known = known_targets(runtime)
    if not known:
        raise InputError(
            f"target is {text!r}, but {runtime.title} builds for a GPU of this machine (device); leave it out"
        )
    digits = re.fullmatch(r"(?:sm_?)?(\d{1,2})\.?(\d)", text.strip(), re.IGNORECASE)
    target = "sm{}{}".format(*digits.groups()) if digits else None
    if target not in known:
        raise InputError(f"target is {text!r}; {runtime.title} builds for {', '.join(known)}")
    return target


def _load(name: str) -> TensorRt:
    for modules in _IMPORTS[name]:
        try:
            module = [importlib.import_module(module) for module in modules][-1]
        except ImportError as error:
            if isinstance(error, ModuleNotFoundError) and error.name in modules:
                continue
            raise _broken(name, error) from error
        except OSError as error:
            raise _broken(name, error) from error
        if not hasattr(module, "Builder"):  # a folder of this name, or a wheel without its libraries
            raise _broken(name, f"the module {module.__name__} has no Builder")
        return _wrap(name, module)
    raise UnavailableError(f"{TITLES[name]} is not installed: {install_command(EXTRAS[name])}")


def _broken(name: str, reason: object) -> UnavailableError:
    text = _one_line(str(reason))
    return UnavailableError(
        f"{TITLES[name]} is installed but cannot be imported ({text}); repair it: {install_command(EXTRAS[name])}"
    )


@functools.cache
def _wrap(name: str, module: Any) -> TensorRt:
    # Cached for each module: the runtimes require one logger for all objects of a process.
    return TensorRt(name, module, str(getattr(module, "__version__", "of unknown version")), _make_logger(module))


def _make_logger(module: Any) -> Any:
    class Logger(module.ILogger):  # type: ignore[misc]
        """Sends TensorRT's messages to Python's log and keeps the last ones; called from any thread."""

        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.kept: deque[tuple[int, str]] = deque(maxlen=200)

        def log(self, severity: Any, text: str) -> None:
            level = getattr(logging, _LEVELS.get(severity.name, severity.name))
            if level < logging.INFO and not log.isEnabledFor(level):
                return  # a build emits thousands of these
            text = _one_line(text)
            if level >= logging.INFO:
                self.kept.append((level, text))
            log.log(logging.DEBUG if any(echo in text for echo in _ECHOES) else level, "%s", text)

    return Logger()


def _one_line(text: str, limit: int = 400) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
