# SPDX-License-Identifier: Apache-2.0
"""Where a clip is decoded: on the processor, or by an NVIDIA GPU's own decoder (NVDEC), which FFmpeg drives.

A frame that the GPU decoded comes back as NV12, or P010 where it has ten bits, with its time, colour and rotation; from
there on its way is that of any other frame. FFmpeg has no such decoder for ProRes, FFV1 and the like, and PyAV takes
another one for AV1.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from .. import _core
from ..errors import Error, InputError, UnavailableError

log = logging.getLogger(__name__)

DECODERS = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Decoder:
    """What is to decode.

    Attributes:
        gpu: Number of the GPU, or None for the processor.
        required: Whether it is an error where that GPU cannot be had; else the processor takes over.
    """

    gpu: int | None = None
    required: bool = False

    @classmethod
    def choose(cls, asked: str, device: str) -> Decoder:
        """What a user asked for, beside an engine.

        Args:
            asked: "cpu"; "cuda", which must work; or "auto": the GPU that the engine works on, if it does.
            device: Of the engine: "cpu" or "cuda:N".

        Raises:
            InputError: There is no such decoder.
        """
        if asked not in DECODERS:
            raise InputError(f"the decoder is {asked!r}; expected {', '.join(DECODERS)}")
        on_gpu = device.startswith("cuda")
        if asked == "cpu" or (asked == "auto" and not on_gpu):
            return cls()
        return cls(int(device.partition(":")[2] or 0) if on_gpu else 0, required=asked == "cuda")


PROCESSOR = Decoder()


def open_container(path: str, decoder: Decoder) -> InputContainer:
    """Opens a file whose video that decoder decodes, if it knows that kind of video.

    Raises:
        UnavailableError: The GPU is required and cannot be had.
        av.FFmpegError, OSError, ValueError: The file cannot be read.
    """
    if decoder.gpu is None:
        return av.open(path)
    try:
        context, options = _context(decoder.gpu)
        fallback = not decoder.required
        with context:
            accel = HWAccel("cuda", str(decoder.gpu), allow_software_fallback=fallback, options=options)
            return av.open(path, hwaccel=accel)
    except (av.FFmpegError, Error, OSError, ValueError, RuntimeError) as error:  # of the GPU, or of the file
        container = av.open(path)
        reason = f"GPU {decoder.gpu} cannot decode video here ({getattr(error, 'strerror', None) or error})"
        if decoder.required:
            container.close()
            raise UnavailableError(f"{reason}; decoder 'cpu' or 'auto' decodes on the processor") from error
        log.warning("%s; the processor decodes %s", reason, path)
        return container


def _context(gpu: int) -> tuple[AbstractContextManager[object], dict[str, object]]:
    """Something to hold while FFmpeg opens a file on this GPU, and FFmpeg's options for the device.

    Left alone, FFmpeg makes a CUDA context of its own: hundreds of MB, and memory that is not the engine's. Its
    ``primary_ctx`` refuses a primary context that is in use with other flags than its own. ``current_ctx`` takes what
    is current in this thread while the file is opened; later calls, from any thread, use that context.

    Source:
        FFmpeg, libavutil/hwcontext_cuda.c, cuda_device_create and cuda_context_init.
    """
    if gpu >= len(_core.cuda_devices()):  # a build without CUDA, which has no context to share
        return nullcontext(), {}
    return _core.CudaDeviceScope(gpu, pushed=True), {"current_ctx": "1"}
