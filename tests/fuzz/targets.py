# SPDX-License-Identifier: Apache-2.0
"""Fuzz targets of the Python side: what reads files and values of others. Each takes bytes, and may raise only ours.

Seeds are made here, so that the repository holds no binary files. What a fuzzer once found is a test beside the code.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tests import make, small_models

from rmbg_trt import Error, InputError, _core


class Target(NamedTuple):
    """``run(data)`` handles one input; ``seeds()`` are sound ones."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


class BrokenRuleError(Exception):
    """An input was accepted, and what came out is wrong."""


@functools.cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="rmbg-fuzz-"))


def _file(data: bytes, name: str) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def _refusable(call: Callable[[], Any]) -> Any:
    """The result, or None where the input is refused with an error of ours that says something."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except Error as error:
        if len(str(error).strip()) < 10:
            raise BrokenRuleError(f"the message says nothing: {error!r}") from error
        return None


# Images

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "ICO", "TGA", "PPM", "AVIF", "JPEG2000")


def _image_seeds() -> list[bytes]:
    seeds = []
    exif = Image.Exif()
    exif[0x0112] = 6
    for mode, channels in (("RGB", 3), ("RGBA", 4), ("L", 1)):
        pixels = make.noise(9, 13, channels) if channels > 1 else make.noise(9, 13)
        image = Image.fromarray(pixels, mode)
        for name in _FORMATS:
            for more in ({}, {"exif": exif.tobytes(), "dpi": (72, 72), "icc_profile": _profile()}):
                file = io.BytesIO()
                try:
                    image.save(file, name, **more)
                except (OSError, KeyError, ValueError):
                    continue
                seeds.append(file.getvalue())
    deep = io.BytesIO()
    Image.fromarray(np.arange(120, dtype=np.uint16).reshape(10, 12) * 500).save(deep, "TIFF")
    return [*seeds, deep.getvalue()]


def _profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def read_image(data: bytes) -> None:
    from rmbg_trt.image import read

    loaded = _refusable(lambda: read.read_image(io.BytesIO(data), max_pixels=1_000_000, name="fuzzed"))
    if loaded is not None and 0 in loaded.pixels.shape:
        raise BrokenRuleError(f"an image of shape {loaded.pixels.shape}")


# Models

_LARGEST = 10_000  # pixels of a network's input: more finds nothing new, and costs time


def _onnx_seeds() -> list[bytes]:
    path = _folder() / "seed.onnx"
    return [
        small_models.matte(path, 8, 12).read_bytes(),
        small_models.rigid(path, 8, 12).read_bytes(),
        small_models.matte(path, "height", "width", outputs=2).read_bytes(),
    ]


def read_onnx(data: bytes) -> None:
    """Reads a network, compiles it for the CPU and, where it is small, runs it."""
    from rmbg_trt.runtimes.native import import_graph
    from rmbg_trt.runtimes.onnx_file import read_network
    from rmbg_trt.runtimes.request import UnsupportedNetworkError

    path = _file(data, "fuzzed.onnx")
    file = _refusable(lambda: read_network(path, None))
    if file is None or np.prod(file.size) > _LARGEST:
        return
    try:
        model = _refusable(lambda: _core.CpuModel(import_graph(file)))
    except UnsupportedNetworkError:
        return
    if model is not None:
        model.network().run(np.zeros((1, 3, *file.size), np.float32))


def _checkpoint_seeds() -> list[bytes]:
    import torch
    from safetensors.torch import save

    import rmbg_trt.training.models  # noqa: F401, slow; no input is to be blamed for it

    tensors = {"conv.weight": torch.zeros(2, 3, 3, 3), "conv.bias": torch.zeros(2)}
    pickled = io.BytesIO()
    torch.save({"state_dict": tensors, "epoch": 3}, pickled)
    return [save(tensors, {"format": "pt"}), pickled.getvalue(), b"<html>not found</html>", b""]


def read_checkpoint(data: bytes) -> None:
    from rmbg_trt.training.models import load_checkpoint

    for name in ("fuzzed.pth", "fuzzed.safetensors"):
        path = _file(data, name)
        _refusable(functools.partial(load_checkpoint, path))


def _inspect_seeds() -> list[bytes]:
    import rmbg_trt.export.inspect_file  # noqa: F401, slow; no input is to be blamed for it

    sidecar = {
        "format": "rmbg-trt sidecar 1",
        "artefact": "fuzzed.onnx",
        "sha256": "0" * 64,
        "precision": "fp16",
        "normalisation": {"color": "rgb"},
        "input": {"name": "input", "shape": [1, 3, 8, 12], "dtype": "float32", "largest": [1, 3, 9, 9]},
        "output": {"name": "output", "shape": [1, 1, 8, 12]},
        "source": {"name": "u2netp"},
        "tools": {"torch": "2"},
        "targets": ["8.6"],
        "fp32_layers": ["a"],
        "verification": [{"max_abs": 0.1, "mean_alpha": 0.2, "iou": None, "worst_image": "x"}],
        "forced": True,
    }
    text = json.dumps(sidecar).encode()
    return [b"\0" + text, *(bytes([kind]) + b"ftrt" + text for kind in (1, 2)), b"\1vtrt\0\0\0\1", b"\2" + text]


def inspect_file(data: bytes) -> None:
    """A sidecar beside an empty model, a plan, or a model with a name of its own: all that `export --inspect` reads."""
    from rmbg_trt.export.inspect_file import inspect
    from rmbg_trt.recipe import sidecar_path

    kind, rest = (data[0] % 3 if data else 0), data[1:]
    model = _file(b"ftrt" if kind == 0 else rest, "fuzzed.plan" if kind < 2 else "inspected.onnx")
    beside = sidecar_path(model)
    beside.unlink(missing_ok=True)
    if kind == 0:
        beside.write_bytes(rest)
    _refusable(lambda: inspect(model))


# Video


def _video_seeds() -> list[bytes]:
    from tests.video.clips import make_clip

    kinds = {
        "mp4": {},
        "mkv": {"audio": True},
        "avi": {"codec": "mpeg4"},
        "webm": {"codec": "libvpx-vp9"},
        "mov": {"options": {"x264-params": "interlaced=1"}},
        "nut": {"codec": "ffv1", "pixel_format": "yuv420p10le", "matrix": 9, "transfer": 16},
    }
    clips = [make_clip(_folder() / f"seed.{kind}", 3, **more).read_bytes() for kind, more in kinds.items()]
    animation = io.BytesIO()
    images = [Image.new("RGBA", (16, 12), (40 * number, 90, 30, 200)) for number in range(3)]
    images[0].save(animation, "WEBP", save_all=True, append_images=images[1:], duration=40)
    return [*clips, animation.getvalue()]


def read_video(data: bytes) -> None:
    """Opens a clip and reads its first frames."""
    from rmbg_trt.video.source import Source

    path = _file(data, "fuzzed.mp4")

    def read() -> None:
        with Source(path, tone_map=len(data) % 2 == 1) as source:
            source.keep_depth = len(data) % 3 == 1
            for number, frame in enumerate(source.frames()):
                if 0 in frame.pixels.shape:
                    raise BrokenRuleError(f"a frame of shape {frame.pixels.shape}")
                if number == 4:
                    break

    _refusable(read)


# Values


def _text_seeds() -> list[bytes]:
    texts = ("blur", "blur:8", "red", "#00ff7f80", "rgb(1, 2, 3)", "hsl(120, 100%, 50%)", "sunset.jpg", "0,255,0")
    return [text.encode() for text in texts]


def parse_background(data: bytes) -> None:
    from rmbg_trt import background

    text = data.decode("utf-8", "replace")
    if len(text) > 200 or "/" in text or "\\" in text:  # a path is another target's
        return
    parsed = _refusable(lambda: background.parse(text, 4, 6, "rgb"))
    if parsed is not None and isinstance(parsed.value, tuple) and not all(0 <= byte <= 255 for byte in parsed.value):
        raise BrokenRuleError(f"{text!r} is {parsed.value}")


def _config_seeds() -> list[bytes]:
    texts = ("data: set\nlr: 0.001\naugment: {flip: 0.5}\n", "data: set\nscale: [1, 2]\n", "lr=0.1\0augment.flip=0")
    return [text.encode() for text in texts]


def read_config(data: bytes) -> None:
    """A configuration file, or overrides, which zero bytes separate."""
    from rmbg_trt.training.config import load_config, to_yaml

    file = _file(data, "fuzzed.yaml")
    for config in (
        _refusable(lambda: load_config(file)),
        _refusable(lambda: load_config(None, data.decode("utf-8", "replace").split("\0"), data="set")),
    ):
        if config is not None:
            to_yaml(config)


# Arrays of other libraries


class _Described:
    """An array as a description tells it. No address of it is ever read."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.__cuda_array_interface__ = description


def _array_seeds() -> list[bytes]:
    sound = {"shape": [4, 6, 3], "typestr": "|u1", "data": [4096, False], "version": 3, "strides": None, "stream": 1}
    strided = {**sound, "strides": [64, 3, 1], "shape": [4, 6, 4], "version": 2}
    return [json.dumps(each).encode() for each in (sound, strided)]


def import_array(data: bytes) -> None:
    """The CUDA array interface, from JSON: lists become tuples, as libraries give them."""
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(fields, dict):
        return
    described = _Described({key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()})
    for color in ("bgr", "rgb"):
        _core_refusable(lambda color=color: _core._foreign_view(described, color))
    _core_refusable(lambda: _core._import_device_array(described, 1))


def import_dlpack(data: bytes) -> None:
    """A DLPack tensor whose every field is the fuzzer's."""
    from tests.bindings import dlpack_fakes as fakes

    words = np.frombuffer(data[8 : 8 + len(data[8:]) // 8 * 8], np.int64)
    head = data[:8].ljust(8, b"\0")
    dims = head[0] % 6
    shape = np.resize(words if words.size else np.ones(1, np.int64), max(dims, 1)).copy()
    strides = np.resize(words[::-1] if words.size else np.ones(1, np.int64), max(dims, 1)).copy()
    tensor = fakes.DLTensor(
        *(4096 if head[1] & 1 else None, head[2] % 16, head[3] % 4, dims if head[1] & 2 else head[0] - 128),
        *(head[4] % 4, head[5], head[6] % 3),
        shape.ctypes.data_as(fakes.ctypes.POINTER(fakes.ctypes.c_int64)),
        strides.ctypes.data_as(fakes.ctypes.POINTER(fakes.ctypes.c_int64)) if head[1] & 4 else None,
        head[7],
    )
    if tensor.ndim > dims:  # the arrays would be read beyond their ends
        return
    managed = fakes.Managed(tensor, None, fakes.Deleter(0))

    class Producer:
        def __dlpack_device__(self) -> tuple[int, int]:
            return tensor.device_type, tensor.device_id

        def __dlpack__(self, **_: Any) -> Any:
            return fakes.new_capsule(managed, b"dltensor")

    _core_refusable(lambda: _core._foreign_view(Producer()))


def _core_refusable(call: Callable[[], Any]) -> None:
    with contextlib.suppress(InputError, Error, TypeError, BufferError, OverflowError, ValueError):
        call()


TARGETS = {
    "image": Target(read_image, _image_seeds),
    "onnx": Target(read_onnx, _onnx_seeds),
    "checkpoint": Target(read_checkpoint, _checkpoint_seeds),
    "inspect": Target(inspect_file, _inspect_seeds),
    "video": Target(read_video, _video_seeds),
    "background": Target(parse_background, _text_seeds),
    "config": Target(read_config, _config_seeds),
    "array": Target(import_array, _array_seeds),
    "dlpack": Target(import_dlpack, lambda: [bytes(range(1, 64))]),
}
