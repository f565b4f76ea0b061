# SPDX-License-Identifier: Apache-2.0
"""Opens a clip to be decoded on the processor, or by an NVIDIA GPU's video decoder (NVDEC), which FFmpeg drives."""

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
    """The device that decodes a clip.

    FFmpeg copies a frame that a GPU decoded to host memory, as NV12, or P010 for ten bits. FFmpeg's NVDEC support does
    not cover ProRes, FFV1 and the like, and PyAV picks another decoder for AV1.

    Attributes:
        gpu: Number of the GPU; None is the processor.
        required: Whether it is an error if that GPU cannot decode; otherwise the processor takes over.
    """

    gpu: int | None = None
    required: bool = False

    @classmethod
    def choose(cls, name: str, device: str) -> Decoder:
        """Chooses a decoder.

        Args:
            name: "cpu"; "cuda", which must work; or "auto": the engine's GPU, if it has one.
            device: The engine's device, "cpu" or "cuda:N".

        Raises:
            InputError: There is no decoder of this name.
        """
        if name not in DECODERS:
            raise InputError(f"the decoder is {name!r}; expected {', '.join(DECODERS)}")
        on_gpu = device.startswith("cuda")
        if name == "cpu" or (name == "auto" and not on_gpu):
            return cls()
        return cls(int(device.partition(":")[2] or 0) if on_gpu else 0, required=name == "cuda")


PROCESSOR = Decoder()


def open_container(path: str, decoder: Decoder) -> InputContainer:
    """Opens a file so that ``decoder`` decodes its video, if it can decode the codec.

    Raises:
        UnavailableError: The GPU is required and not available.
        av.FFmpegError, OSError, ValueError: The file cannot be read.
    """
    if decoder.gpu is None:
        return av.open(path)
    try:
        context, options = _cuda_context(decoder.gpu)
        with context:
            fallback = not decoder.required
            accel = HWAccel("cuda", str(decoder.gpu), allow_software_fallback=fallback, options=options)
            return av.open(path, hwaccel=accel)
    except (av.FFmpegError, Error, OSError, ValueError, RuntimeError) as error:
        container = av.open(path)  # raises if the fault is the file's
        message = f"GPU {decoder.gpu} cannot decode video here ({reason(error)})"
        if decoder.required:
            container.close()
            raise UnavailableError(f"{message}; decoder 'cpu' or 'auto' decodes on the processor") from error
        log.warning("%s; the processor decodes %s", message, path)
        return container


def _cuda_context(gpu: int) -> tuple[AbstractContextManager[object], dict[str, object]]:
    """Returns a context manager to enter while FFmpeg opens a file on this GPU, and FFmpeg's options for the device.

    By default FFmpeg creates a CUDA context of its own, which takes hundreds of MB and does not share the engine's
    memory. Its option ``primary_ctx`` refuses a primary context that is in use with other flags than its own.
    ``current_ctx`` keeps the context that is current in this thread when the file is opened, for all later calls.

    Source:
        FFmpeg, libavutil/hwcontext_cuda.c, cuda_device_create and cuda_context_init.
    """
    if gpu >= len(_core.cuda_devices()):  # a build without CUDA has no context to share
        return nullcontext(), {}
    return _core.CudaDeviceScope(gpu, pushed=True), {"current_ctx": "1"}


def reason(error: Exception) -> str:
    """The system's or FFmpeg's reason for an error, without its file name."""
    return str(getattr(error, "strerror", None) or error)
