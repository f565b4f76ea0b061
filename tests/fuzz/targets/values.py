# SPDX-License-Identifier: Apache-2.0
"""Fuzz targets: text of users, and arrays of other libraries."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from tests.fuzz.targets.base import BrokenRuleError, new_file, refusable

from rmbg_trt import Error, InputError, _core


def text_seeds() -> list[bytes]:
    texts = ("blur", "blur:8", "red", "#00ff7f80", "rgb(1, 2, 3)", "hsl(120, 100%, 50%)", "sunset.jpg", "0,255,0")
    return [text.encode() for text in texts]


def parse_background(data: bytes) -> None:
    from rmbg_trt import background

    text = data.decode("utf-8", "replace")
    if len(text) > 200 or "/" in text or "\\" in text:  # a path is another target's
        return
    parsed = refusable(lambda: background.parse(text, 4, 6, "rgb"))
    if parsed is not None and isinstance(parsed.value, tuple) and not all(0 <= byte <= 255 for byte in parsed.value):
        raise BrokenRuleError(f"{text!r} is {parsed.value}")


def config_seeds() -> list[bytes]:
    texts = ("data: set\nlr: 0.001\naugment: {flip: 0.5}\n", "data: set\nscale: [1, 2]\n", "lr=0.1\0augment.flip=0")
    return [text.encode() for text in texts]


def read_config(data: bytes) -> None:
    """A configuration file, or overrides, which zero bytes separate."""
    from rmbg_trt.training.config import load_config, to_yaml

    file = new_file(data, "fuzzed.yaml")
    for config in (
        refusable(lambda: load_config(file)),
        refusable(lambda: load_config(None, data.decode("utf-8", "replace").split("\0"), data="set")),
    ):
        if config is not None:
            to_yaml(config)


class _Described:
    """An array as a description tells it. No address of it is ever read."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.__cuda_array_interface__ = description


def array_seeds() -> list[bytes]:
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
