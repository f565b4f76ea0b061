# SPDX-License-Identifier: Apache-2.0
"""The engine: a model that is ready for frames. Most users need only this class."""

from __future__ import annotations

import atexit
import dataclasses
import logging
import operator
import os
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, Self, Unpack

import numpy as np

from . import _core, models
from .background import Color
from .errors import InputError
from .frame import Array, DeviceFrame, HostFrame, open_frame
from .networks import open_network
from .options import Filter, FrameKeywords, FrameOptions, Stretch, check_refine, check_stretch
from .runtimes.request import EngineInfo, Request
from .ticket import Ticket, in_order

log = logging.getLogger("rmbg_trt")

__all__ = ["Engine", "EngineInfo", "Ticket"]


class Engine:
    """Removes the background from frames with one model.

    Thread-safe: any number of threads may share an engine, which processes up to ``slots`` frames at once. A forked
    process may go on using an engine with runtime "native". Any other engine raises ``Error`` there: create it in the
    child.

    Args:
        model: A catalogue name ("u2net", "u2netp"; downloaded once into the cache) or the path of a model: an
            ``.onnx`` file with one input (1, 3, H, W) float32, normalized like U²-Net's, and a first output
            (1, 1, h, w) in 0..1; or a checkpoint (``.safetensors``, ``.pth``), which the CPU runs as ONNX, converted
            once and cached. For a GPU also a TensorRT plan; from other models a plan is built once and cached.
        device: "auto", "cpu", "cuda" or "cuda:N". "auto" prefers a GPU; ``info`` says what was chosen and why.
            "cuda" uses the GPU or raises.
        runtime: "auto"; for the CPU "native" (this package's own network) or "openvino"; for a GPU "tensorrt",
            "tensorrt_rtx" or "torch".
        precision: "auto" (fp16 on a GPU; on the CPU the fastest precision that keeps the mattes of fp32), "fp32",
            "bf16" (compared with fp32 once, and refused if it loses too much), "fp16", or for the CPU "int8", which
            makes u2net faster: the model is quantized with photographs, which takes minutes, compared with fp32,
            refused if it loses too much, and cached (docs/precision.md).
        size: Network input, one side or (height, width), from 32 to 4096. None: the model's own (U²-Net was trained
            at 320 x 320), or 320 if it is open. Other sizes work for fully convolutional networks.
        color: Channel order of NumPy frames, results and colours: "bgr" (as OpenCV) or "rgb". PIL images are always
            RGB.
        slots: Frames in flight.
        filter: Resampling to the network's size and back: "lanczos" (the reference recipe), "bilinear" or "area",
            all bit-exact with Pillow.
        stretch: "minmax" stretches each matte to the full range (the reference recipe); "none" keeps the network's
            probability, which suits video and scenes that may be empty; (low, high) stretches this range of it.
        refine: Default of `FrameOptions.refine`.
        decontaminate: Default of `FrameOptions.decontaminate`.
        calibration: For precision "int8": a folder of photographs similar to the frames. If it has ``images/`` and
            ``masks/`` with the same names (or is a prepared set), int8 is judged by the masks, otherwise by the mattes
            of fp32. None: photographs that come with the package.
        compile: With runtime "torch": speed up the network with ``torch.compile``, which takes minutes at the start.

    Raises:
        InputError: An option has an invalid value, or there is no such model.
        ModelError: The model file is damaged or is not an image-to-matte network.
        UnavailableError: The device or runtime is not available; the message says what to install.

    Source:
        Qin et al., "U²-Net: Going Deeper with Nested U-Structure for Salient Object Detection", 2020. The recipe
        around the network is that of rembg.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "u2net",
        *,
        device: str = "auto",
        runtime: str = "auto",
        precision: str = "auto",
        size: int | tuple[int, int] | None = None,
        color: Color = "bgr",
        slots: int = 2,
        filter: Filter = "lanczos",
        stretch: Stretch | tuple[float, float] = "minmax",
        refine: bool = False,
        decontaminate: bool = False,
        calibration: str | os.PathLike[str] | None = None,
        compile: bool = False,
    ) -> None:
        self._color: Color = _one_of("color", color, ("bgr", "rgb"))
        _one_of("filter", filter, ("lanczos", "bilinear", "area"))
        stretched = check_stretch(stretch)
        if isinstance(slots, bool) or not isinstance(slots, int) or not 1 <= slots <= 64:
            raise InputError(f"slots is {slots!r}; expected a whole number from 1 to 64")
        photographs = _calibration(calibration, precision)
        request = Request(precision, _size(size), slots, compile=bool(compile), calibration=photographs)
        path = models.resolve(model)
        opened, reason = open_network(path, device=device, runtime=runtime, precision=precision, request=request)
        device_index = -1 if opened.device_index is None else opened.device_index
        self._pipeline = _core.Pipeline(opened.networks, filter=filter, device=device_index, **stretched)
        if refine:
            check_refine(self._pipeline)
        self._stretch = stretch
        self._options = FrameOptions(refine=bool(refine), decontaminate=bool(decontaminate))
        self._info = EngineInfo(
            model=os.fspath(model),
            model_path=str(path),
            device=opened.device,
            device_name=opened.device_name,
            runtime=opened.runtime,
            runtime_version=opened.runtime_version,
            precision=opened.precision,
            input_size=(self._pipeline.input.shape[2], self._pipeline.input.shape[3]),
            slots=slots,
            reason=reason,
        )
        log.info("%s", self._info)
        _open_engines.add(self)

    @property
    def info(self) -> EngineInfo:
        """What this engine runs on, and why."""
        modes = self._pipeline.modes()
        memory = _core.bytes_in_use("device") if self._pipeline.device >= 0 else 0
        return dataclasses.replace(self._info, mode="; ".join(dict.fromkeys(modes)), device_memory_bytes=memory)

    @property
    def options(self) -> FrameOptions:
        """The default options of a frame."""
        return self._options

    def run(
        self,
        frame: Any,
        *,
        out: Any = None,
        stream: Any = None,
        options: FrameOptions | None = None,
        **changes: Unpack[FrameKeywords],
    ) -> Any:
        """Removes the background from one frame and returns the result.

        A frame on the engine's GPU stays there: the call queues its work on a stream and returns without waiting.

        Args:
            frame: (H, W) gray, (H, W, 3) or (H, W, 4) uint8 in the engine's colour order, with any positive row
                stride (no copy is made); or a PIL image; or an array with DLPack or ``__cuda_array_interface__``, on
                the CPU or the engine's GPU. A fourth channel is alpha: the result is multiplied by it, and the network
                does not see it.
            out: Array for the result, of its shape and on the frame's device; rows may be padded. Not for PIL images.
            stream: For a frame on the GPU: the stream on which its content is ready, and on which the result will be.
                A stream of PyTorch, CuPy, PyCUDA or Numba, an object with ``__cuda_stream__``, or the handle: a number,
                a ``ctypes.c_void_p`` or a ``CUstream`` of cuda-python; 0 is the legacy default stream. None: the
                current stream of the frame's library if it is known, otherwise the legacy default stream. Unless the
                frame is from PyTorch or CuPy, keep it until the result is ready.
            options: All options of the frame. None: the engine's.
            **changes: Options that differ from these: ``output``, ``background``, ``premultiplied``, ``nv12``,
                ``refine``, ``decontaminate``; see `FrameOptions`.

        Returns:
            uint8: alpha (H, W), cutout (H, W, 4) or composite (H, W, 3), in the engine's colour order; ``out`` if
            it was given. For a PIL image, a PIL image, "L", "RGBA" or "RGB": upright (the EXIF orientation is applied),
            in the colours of its profile, with profile, resolution and EXIF data in ``info``. For a frame on the GPU,
            a DeviceArray, which any library can import through DLPack or ``__cuda_array_interface__``; ``.numpy()``
            copies it to the host. Keep every stream that imports or uses it until it and all arrays made from it are
            gone: its memory is reused after the work on those streams.

        Raises:
            InputError: The frame, an option or ``out`` is invalid. The engine stays usable.
            NetworkError: The network failed. The engine stays usable.

        Example:
            >>> cutout = engine.run(frame, output="cutout")
            >>> meeting = engine.run(frame, output="composite", background="blur")
        """
        return self._open(frame, out, stream, options, changes).run(self._pipeline)

    def submit(
        self,
        frame: Any,
        *,
        out: Any = None,
        stream: Any = None,
        options: FrameOptions | None = None,
        **changes: Unpack[FrameKeywords],
    ) -> Ticket[Any]:
        """Starts a frame and returns at once; blocks only while all slots are busy.

        Do not change the frame or ``out`` until the ticket is done. Arguments and errors are those of ``run``; network
        errors are raised by ``Ticket.result``. (For a frame on the GPU, ``run`` does not wait either.)
        """
        return self._open(frame, out, stream, options, changes).submit(self._pipeline)

    def map(
        self, frames: Iterable[Any], *, options: FrameOptions | None = None, **changes: Unpack[FrameKeywords]
    ) -> Iterator[Any]:
        """Yields the results of many frames in order, with ``slots`` frames in flight.

        Frames are taken as slots become free, so the iterable may be endless. An error of a frame or of the iterable is
        raised when its turn comes. Arguments are those of ``run``.
        """
        chosen = (options or self._options).replace(**changes)
        return in_order(frames, lambda frame: self.submit(frame, options=chosen), self._info.slots)

    def _open(
        self, frame: Any, out: Any, stream: Any, options: FrameOptions | None, changes: FrameKeywords
    ) -> HostFrame | DeviceFrame:
        chosen = (options or self._options).replace(**changes)
        return open_frame(self._pipeline, frame, self._color, chosen, out=out, stream=stream)

    def frame_buffer(self, height: int, width: int, channels: int = 3) -> Array:
        """Allocates the memory that the engine reads fastest: (height, width, channels) uint8, not initialized.

        It is aligned; for a GPU it is also page-locked, so that the GPU accesses it directly. With ``channels`` 1 the
        shape is (height, width).
        """
        shape = [height, width] if channels == 1 else [height, width, channels]
        return _core.host_buffer(shape, self._pipeline.device >= 0)

    def profile(self) -> dict[str, float]:
        """Measures where the time of a frame goes.

        On the CPU: wall-clock times of the last 256 frames. On a GPU: device times of 20 extra runs of a frame like the
        last one.

        Returns:
            Medians in milliseconds, 0 before the first frame: ``copy_in_ms``, ``preprocess_ms``, ``network_ms``,
            ``postprocess_ms``, ``copy_out_ms``, ``total_ms``; and ``frames``, the number of finished frames.
        """
        times = self._pipeline.measure(20) if self._pipeline.device >= 0 else self._pipeline.recent_times()
        names = ("copy_in_ms", "preprocess_ms", "network_ms", "postprocess_ms", "copy_out_ms", "total_ms")
        medians = {name: float(np.median([frame[name] for frame in times] or [0.0])) for name in names}
        return {**medians, "frames": self._pipeline.frames}

    def close(self) -> None:
        """Waits for the frames in flight and frees the memory. Later frames raise ``Error``. May be called twice."""
        self._pipeline.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Engine cannot be sent to another process; create it there, in a worker's initializer")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<rmbg_trt.Engine {self._info}>"


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> Any:
    if value not in choices:
        raise InputError(f"{name} is {value!r}; expected {' or '.join(map(repr, choices))}")
    return value


def _size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    try:
        sides = [operator.index(side) for side in (size if isinstance(size, (tuple, list)) else (size, size))]
    except TypeError:
        sides = []
    if len(sides) != 2 or not all(32 <= side <= 4096 for side in sides):
        raise InputError(f"size is {size!r}; expected one side or (height, width), each from 32 to 4096")
    return sides[0], sides[1]


def _calibration(folder: str | os.PathLike[str] | None, precision: str) -> Path | None:
    if folder is not None and precision != "int8":
        raise InputError(f"calibration is for precision 'int8', and precision is {precision!r}")
    try:
        return None if folder is None else Path(folder)
    except TypeError:
        raise InputError(f"calibration is {folder!r}; expected the path of a folder") from None


_open_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


@atexit.register
def _close_open_engines() -> None:
    """The slots' threads call Python, so they must end before the interpreter does."""
    for engine in list(_open_engines):
        engine.close()
