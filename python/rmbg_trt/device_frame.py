# SPDX-License-Identifier: Apache-2.0
"""Frames that lie on a GPU: the stream they are worked on, and their way through the core, without a wait."""

from __future__ import annotations

import numbers
import sys
from typing import Any

from . import _core
from . import background as backgrounds
from .background import BackgroundLike, Color
from .errors import InputError
from .frame_job import RECIPE, Quality, picture_size

LEGACY_STREAM = 1


def run(
    pipeline: _core.Pipeline,
    frame: Any,
    color: Color,
    *,
    output: str,
    background: BackgroundLike | None,
    premultiplied: bool,
    out: Any,
    stream: Any,
    nv12: str | None = None,
    quality: Quality = RECIPE,
) -> Any:
    """Puts a frame's work on a stream and returns at once; the arguments are those of ``Engine.run``.

    Returns:
        ``out``, or a new ``_core.DeviceArray``; its content is there once the stream has got that far.

    Raises:
        InputError: Something is not what it should be.
    """
    value, sigma = _background(frame, background, output, color, nv12)
    handle = stream_handle(frame if stream is None else None, stream)
    options = (bool(premultiplied), value, sigma, handle, nv12 or "")
    asked = (quality.refine, quality.decontaminate, quality.track)
    return _core.run_on_device(pipeline, frame, out, color, output, *options, *asked)


def stream_handle(frame: Any, stream: Any) -> int:
    """The ``cudaStream_t`` that a frame is to be worked on, as a number (1 is the legacy default stream).

    Args:
        frame: Where ``stream`` is None: the library that made it is asked for its current stream.
        stream: A stream of PyTorch, CuPy, PyCUDA or Numba, an object with ``__cuda_stream__``, or a ``cudaStream_t``:
            an int, a ``ctypes.c_void_p`` or a ``CUstream`` of cuda-python. 0 and the null pointer are the legacy
            default stream, as everywhere in CUDA.

    Raises:
        InputError: It is none of these.
    """
    if stream is None:
        return _current_stream(frame)
    if hasattr(stream, "__cuda_stream__"):
        protocol = stream.__cuda_stream__
        return int((protocol() if callable(protocol) else protocol)[1]) or LEGACY_STREAM
    # PyTorch, CuPy, and PyCUDA and Numba; or the handle itself.
    for handle in (*(getattr(stream, name, None) for name in ("cuda_stream", "ptr", "handle")), stream):
        number = _as_number(handle)
        if number is not None:
            return number or LEGACY_STREAM
    raise InputError(
        f"stream is {type(stream).__name__}; expected a stream of PyTorch, CuPy, PyCUDA or Numba, an object with "
        "__cuda_stream__, or a cudaStream_t as a number"
    )


def _as_number(handle: Any) -> int | None:
    """A handle as a number; None where it is no handle."""
    if hasattr(handle, "value"):  # a ctypes pointer, whose null is None
        handle = handle.value or 0
    if isinstance(handle, numbers.Number):
        is_whole = isinstance(handle, numbers.Integral) and not isinstance(handle, bool)
    else:
        is_whole = hasattr(handle, "__int__")  # CUstream of cuda-python, which is no number
    return int(handle) if is_whole and int(handle) >= 0 else None


def _current_stream(frame: Any) -> int:
    known = _core.current_stream(frame)
    if known:
        return known
    module = type(frame).__module__.partition(".")[0]
    if module == "torch":
        return int(sys.modules["torch"].cuda.current_stream(frame.device).cuda_stream) or LEGACY_STREAM
    if module == "cupy":
        return int(sys.modules["cupy"].cuda.get_current_stream().ptr) or LEGACY_STREAM
    interface = getattr(frame, "__cuda_array_interface__", None) or {}
    return int(interface.get("stream") or LEGACY_STREAM)


def _background(
    frame: Any, background: BackgroundLike | None, output: str, color: Color, nv12: str | None
) -> tuple[Any, float]:
    """(None, a colour or a picture on the GPU; the blur's standard deviation in pixels)."""
    if background is None and output != "composite":
        return None, 0.0
    if output == "composite" and background is not None and _core.lies_on_gpu(background):
        return background, 0.0
    over = backgrounds.for_output(background, output, picture_size(tuple(frame.shape), nv12), color)
    if over.value is not None and not isinstance(over.value, tuple):
        raise InputError(
            "the frame is on the GPU and the background picture is not; expected a picture of the frame's size on the "
            "same GPU, a colour, or 'blur'"
        )
    return over.value, over.blur_sigma
