# SPDX-License-Identifier: Apache-2.0
"""Opens a clip to be decoded on the processor, or by an NVIDIA GPU's video decoder (NVDEC), which FFmpeg drives."""

from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from fractions import Fraction

import av
from av.codec.context import CodecContext
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from .. import _core
from ..errors import Error, InputError, UnavailableError
from .location import Location

log = logging.getLogger(__name__)

DECODERS = ("auto", "cpu", "cuda")
_READS_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders of these ignore alpha


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


def open_container(
    location: str | os.PathLike[str] | Location, decoder: Decoder, rate: Fraction | None = None
) -> InputContainer:
    """Opens a clip so that ``decoder`` decodes its video, if it can decode the codec.

    Args:
        location: Where it is.
        decoder: The device.
        rate: Frames per second of a sequence of images.

    Raises:
        UnavailableError: The GPU is required and not available.
        av.FFmpegError, Error, OSError, ValueError: The clip cannot be read.
    """
    location = Location.of(location)
    # a pipe can be opened only once, so nothing is tried on it
    if decoder.gpu is None or (location.kind == "pipe" and not decoder.required):
        return location.open(rate)
    try:
        context, options = _cuda_context(decoder.gpu)
        with context:
            fallback = not decoder.required
            accel = HWAccel("cuda", str(decoder.gpu), allow_software_fallback=fallback, options=options)
            return location.open(rate, hwaccel=accel)
    except (av.FFmpegError, Error, OSError, ValueError, RuntimeError) as error:
        container = location.open(rate)  # raises if the fault is the clip's
        message = f"GPU {decoder.gpu} cannot decode video here ({reason(error)})"
        if decoder.required:
            container.close()
            raise UnavailableError(f"{message}; decoder 'cpu' or 'auto' decodes on the processor") from error
        log.warning("%s; the processor decodes %s", message, location.name)
        return container


def codec_context(stream: VideoStream) -> VideoCodecContext:
    """What decodes a stream: its own context, or one of libvpx for VP8 and VP9 with alpha."""
    name = _READS_ALPHA.get(stream.codec_context.name)
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if name is None or tags.get("alpha_mode") != "1":
        return stream.codec_context
    try:
        context = CodecContext.create(name, "r")
    except (av.FFmpegError, ValueError):
        log.warning("this PyAV has no decoder %s; the clip's alpha is ignored", name)
        return stream.codec_context
    assert isinstance(context, VideoCodecContext)
    return context


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
    if isinstance(error, av.ExitError):  # how FFmpeg's time limits end
        return "no answer within the time limit"
    return str(getattr(error, "strerror", None) or error)
