# SPDX-License-Identifier: Apache-2.0
"""Passes one frame to the core and returns its result: checks and converts what users give as a frame."""

from __future__ import annotations

import functools
import numbers
import sys
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from . import _core
from . import background as backgrounds
from .background import Color
from .errors import InputError
from .image import LoadedImage, load_pil, to_pil
from .options import FrameOptions
from .ticket import Ticket

Array: TypeAlias = NDArray[np.uint8]

LEGACY_STREAM = 1

_CHANNELS = {"alpha": 1, "cutout": 4, "composite": 3}


class HostFrame(NamedTuple):
    """A frame in host memory, ready for the core.

    Attributes:
        frame: (H, W), (H, W, 3) or (H, W, 4) uint8; or NV12.
        result: The array that the core writes.
        color: Channel order of both.
        options: The core's form of the options.
        source: The PIL image that the frame was; the result is one, too. None: the result is the array.
    """

    frame: Array
    result: Array
    color: Color
    options: _core.FrameOptions
    source: LoadedImage | None

    def run(self, pipeline: _core.Pipeline, track: _core.Track | None = None) -> Any:
        """Processes the frame and returns its result."""
        pipeline.run(self.frame, self.result, self.color, self.options, track)
        return self._finished()

    def submit(self, pipeline: _core.Pipeline, track: _core.Track | None = None) -> Ticket[Any]:
        """Starts the frame; blocks only while all slots are busy."""
        return Ticket(pipeline.submit(self.frame, self.result, self.color, self.options, track), self._finished)

    def _finished(self) -> Any:
        return self.result if self.source is None else to_pil(self.result, self.source)


class DeviceFrame(NamedTuple):
    """A frame in the memory of the engine's GPU.

    Attributes:
        frame: An array of any library, shaped as for a `HostFrame`.
        out: Array on the GPU for the result; None: a new ``_core.DeviceArray``.
        color: Channel order of both.
        options: The core's form of the options.
        stream: The ``cudaStream_t`` for the work.
    """

    frame: Any
    out: Any
    color: Color
    options: _core.FrameOptions
    stream: int

    def run(self, pipeline: _core.Pipeline, track: _core.Track | None = None) -> Any:
        """Queues the work on the stream and returns the result, which is ready when the stream has done the work."""
        return _core.run_on_device(pipeline, self.frame, self.out, self.color, self.options, self.stream, track)

    def submit(self, pipeline: _core.Pipeline, track: _core.Track | None = None) -> Ticket[Any]:
        """As ``run``, which does not wait for the GPU."""
        return Ticket.done_with(self.run(pipeline, track))


def open_frame(
    pipeline: _core.Pipeline, frame: Any, color: Color, options: FrameOptions, *, out: Any = None, stream: Any = None
) -> HostFrame | DeviceFrame:
    """Checks a user's frame and options, and decides where to process the frame: on the GPU if it is there.

    Args:
        pipeline: The pipeline that will run it.
        frame: As for ``Engine.run``, like ``options``, ``out`` and ``stream``.
        color: The engine's channel order.
        options: The options of the frame.
        out: Array for the result.
        stream: For a frame on the GPU.

    Raises:
        InputError: The frame, an option, ``out`` or ``stream`` is invalid. The core checks shapes and strides.
    """
    if not isinstance(options.output, str) or options.output not in _CHANNELS:
        raise InputError(f"output is {options.output!r}; expected 'alpha', 'cutout' or 'composite'")
    if pipeline.device >= 0 and _core.lies_on_gpu(frame):
        converted = _options_on_device(frame, options, color)
        return DeviceFrame(frame, out, color, converted, stream_handle(frame, stream))
    if stream is not None:
        raise InputError("stream= is for frames on the engine's GPU")
    return _open_on_host(frame, color, options, out)


def _open_on_host(frame: Any, color: Color, options: FrameOptions, out: Array | None) -> HostFrame:
    output, source = options.output, None
    if backgrounds.is_pil(frame):
        if options.nv12 is not None:
            raise InputError("nv12= is for frames of a video decoder, not for PIL images")
        if out is not None:
            raise InputError("out= is not for PIL images; pass the frame as a NumPy array")
        source = load_pil(frame, "the frame")
        array, color = source.pixels, "rgb"
        if output == "composite":
            options = options.replace(background=backgrounds.in_profile(options.background, source.icc_profile))
    else:
        array = _from_array(frame)
    height, width = size = _visible_size(array.shape, options)
    converted = _converted(options, backgrounds.for_output(options.background, output, size, color))
    if out is None:
        channels = _CHANNELS[output]
        out = np.empty((height, width) if channels == 1 else (height, width, channels), np.uint8)
    elif not isinstance(out, np.ndarray):
        raise InputError(f"out is {type(out).__name__}; expected a NumPy array of uint8")
    return HostFrame(array, out, color, converted, source)


def _options_on_device(frame: Any, options: FrameOptions, color: Color) -> _core.FrameOptions:
    background = options.background
    if options.output == "composite" and background is not None and _core.lies_on_gpu(background):
        return _converted(options, backgrounds.Background(background))
    size = _visible_size(tuple(frame.shape), options) if options.output == "composite" else (0, 0)
    over = backgrounds.for_output(background, options.output, size, color)
    if over.value is not None and not isinstance(over.value, tuple):
        raise InputError(
            "the frame is on the GPU and the background image is not; expected an image of the frame's size on the "
            "same GPU, a colour, or 'blur'"
        )
    return _converted(options, over)


def _converted(options: FrameOptions, over: backgrounds.Background) -> _core.FrameOptions:
    """The core's form of the options. They are converted only here."""
    fields = (
        options.output,
        bool(options.premultiplied),
        options.nv12 or "",
        bool(options.refine),
        bool(options.decontaminate),
    )
    if over.value is None or isinstance(over.value, tuple):
        return _without_image(*fields, over.value, over.blur_sigma)
    return _core.FrameOptions(*fields, over.value, over.blur_sigma)


_without_image = functools.lru_cache(maxsize=64)(_core.FrameOptions)  # saves up to a microsecond of each call


def _visible_size(shape: tuple[int, ...], options: FrameOptions) -> tuple[int, int]:
    """(height, width) of the image in an array of this shape; (0, 0) if it is not an image."""
    height, width = shape[:2] if len(shape) >= 2 else (0, 0)
    return height // 3 * 2 if options.nv12 else height, width


def _from_array(frame: Any) -> Array:
    """Returns a NumPy array unchanged, and imports another CPU array through DLPack without a copy."""
    if isinstance(frame, np.ndarray):
        return frame
    if _core.lies_on_gpu(frame):
        raise InputError(
            "the frame is on a GPU and this engine runs on the CPU; use device='cuda', or copy the frame to the host"
        )
    if hasattr(frame, "__dlpack_device__"):
        kind = int(frame.__dlpack_device__()[0])
        if kind == 1:
            return _from_dlpack(frame)
        raise InputError(f"the frame is on another device (DLPack type {kind}) and this engine runs on the CPU")
    if hasattr(frame, "__array__"):
        return np.asarray(frame)
    raise InputError(f"frame is {type(frame).__name__}; expected a NumPy array (H, W, 3) uint8 or a PIL image")


def _from_dlpack(frame: Any) -> Array:
    try:
        return cast(Array, np.from_dlpack(frame))
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        detach = "detach() it first, and " if getattr(frame, "requires_grad", False) else ""
        raise InputError(
            f"frame is a {type(frame).__name__} of {getattr(frame, 'dtype', 'unknown dtype')} that NumPy cannot take "
            f"over ({reason}); expected uint8 ({detach}for floats in 0..1: (frame * 255).round().to(torch.uint8))"
        ) from error


def stream_handle(frame: Any, stream: Any) -> int:
    """The ``cudaStream_t`` for the work on a frame, as a number (1 is the legacy default stream).

    Args:
        frame: If ``stream`` is None, its library is asked for the current stream.
        stream: A stream of PyTorch, CuPy, PyCUDA or Numba, an object with ``__cuda_stream__``, or a ``cudaStream_t``:
            an int, a ``ctypes.c_void_p`` or a ``CUstream`` of cuda-python. 0 and the null pointer are the legacy
            default stream, as in CUDA.

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
    """A handle as a number; None if it is not a handle."""
    if hasattr(handle, "value"):  # a ctypes pointer, whose null is None
        handle = handle.value or 0
    if isinstance(handle, numbers.Number):
        is_whole = isinstance(handle, numbers.Integral) and not isinstance(handle, bool)
    else:
        is_whole = hasattr(handle, "__int__")  # CUstream of cuda-python, which is not a number
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
