# SPDX-License-Identifier: Apache-2.0
"""Our arrays on a GPU as other libraries see them, by both protocols. The memory is the host's; no GPU is needed."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numpy as np
import pytest
from tests.bindings import dlpack_fakes as dl

from rmbg_trt import InputError, _core

HANDLE = 0x7F0012345678
TYPES = {"uint8": ("|u1", dl.UINT8), "float32": ("<f4", dl.FLOAT32), "float16": ("<f2", dl.FLOAT16)}
Log = list[tuple[str, int]]


def made(shape: tuple[int, ...] = (4, 5, 3), dtype: str = "uint8", stream: int = 0) -> tuple[Any, Log]:
    log: Log = []
    return _core._host_backed_device_array(shape, dtype, log, stream), log


@pytest.mark.parametrize("dtype", TYPES)
def test_it_describes_itself(dtype: str) -> None:
    array, _ = made((4, 5, 3), dtype)
    assert (array.shape, array.dtype, array.device, len(array)) == ((4, 5, 3), dtype, 0, 4)
    assert array.nbytes == 60 * np.dtype(dtype).itemsize
    assert repr(array) == f"DeviceArray(shape=(4, 5, 3), dtype={dtype}, device=cuda:0)"
    assert array.__dlpack_device__() == (dl.CUDA, 0)


@pytest.mark.parametrize("stream", [0, 1, 2, HANDLE])
@pytest.mark.parametrize("dtype", TYPES)
def test_cuda_array_interface(dtype: str, stream: int) -> None:
    array, log = made((4, 5, 3), dtype, stream)
    assert array.__cuda_array_interface__ == {
        "version": 3,
        "shape": (4, 5, 3),
        "typestr": TYPES[dtype][0],
        "data": (array.ptr, False),
        "strides": None,
        "stream": stream or None,
    }
    # 2 is another stream in each thread: the reader's is put behind the work, wherever that is.
    assert log == [("make_wait", 2)] * (stream == 2) + [("used_on", stream)] * (stream != 0)


@pytest.mark.parametrize(
    ("max_version", "kind"),
    [
        (None, dl.Managed),
        ((0, 8), dl.Managed),
        ((1, 0), dl.ManagedVersioned),
        ((1, 3), dl.ManagedVersioned),
        ((2, 0), dl.ManagedVersioned),
    ],
)
@pytest.mark.parametrize("dtype", TYPES)
def test_the_tensor_in_a_capsule(dtype: str, max_version: tuple[int, int] | None, kind: type) -> None:
    array, _ = made((4, 5, 3), dtype)
    capsule = array.__dlpack__(max_version=max_version)
    managed = dl.tensor_in(capsule)
    assert type(managed) is kind
    tensor = managed.tensor
    assert (tensor.data, tensor.byte_offset) == (array.ptr, 0)
    assert (tensor.device_type, tensor.device_id) == (dl.CUDA, 0)
    assert (tensor.code, tensor.bits, tensor.lanes) == TYPES[dtype][1]
    assert tensor.ndim == 3
    assert (tensor.shape[:3], tensor.strides[:3]) == ([4, 5, 3], [15, 3, 1])
    if kind is dl.ManagedVersioned:
        assert (managed.major, managed.minor, managed.flags) == (1, 0, 0)


@pytest.mark.parametrize("max_version", [None, (1, 0)])
def test_a_taken_tensor_keeps_the_memory_until_its_deleter_runs(max_version: tuple[int, int] | None) -> None:
    array, log = made()
    capsule = array.__dlpack__(stream=-1, max_version=max_version)
    managed = dl.take(capsule)
    del array, capsule
    assert log == []
    assert bytes(np.ctypeslib.as_array((ctypes.c_uint8 * 60).from_address(managed.tensor.data))) == bytes(range(60))
    # ctypes lets the GIL go for the call, so the deleter runs without it.
    thread = threading.Thread(target=managed.deleter, args=(ctypes.addressof(managed),))
    thread.start()
    thread.join()
    assert log == [("given_back", 0)]


@pytest.mark.parametrize("max_version", [None, (1, 0)])
def test_a_capsule_that_nobody_takes_keeps_the_memory_and_frees_it(max_version: tuple[int, int] | None) -> None:
    array, log = made()
    capsule = array.__dlpack__(stream=-1, max_version=max_version)
    second = array.__dlpack__(stream=-1, max_version=max_version)
    del array, capsule
    assert log == []
    del second
    assert log == [("given_back", 0)]


@pytest.mark.parametrize(("stream", "order"), [(None, 1), (1, 1), (2, 2), (HANDLE, HANDLE)])
def test_the_consumers_stream_is_put_behind_the_work(stream: int | None, order: int) -> None:
    array, log = made(stream=99)
    array.__dlpack__(stream=stream)
    assert log == [("make_wait", order), ("used_on", order)]


def test_the_default_stream_is_the_legacy_one() -> None:
    array, log = made()
    array.__dlpack__()
    assert log == [("make_wait", 1), ("used_on", 1)]


def test_a_consumer_may_want_no_order() -> None:
    array, log = made(stream=99)
    array.__dlpack__(stream=-1)
    assert log == []


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        ({"stream": 0}, InputError, "stream is 0; expected .*1 .legacy"),
        ({"stream": -2}, InputError, "stream is -2"),
        ({"stream": 1.5}, TypeError, "incompatible"),
        ({"max_version": 1}, TypeError, "incompatible"),
        ({"copy": True}, BufferError, "copy=True"),
        ({"dl_device": (dl.CPU, 0)}, BufferError, r"\(1, 0\), but the array is on cuda:0; \.numpy\(\)"),
        ({"dl_device": (dl.CUDA, 1)}, BufferError, r"\(2, 1\), but the array is on cuda:0"),
        ({"dl_device": (dl.PINNED, 0)}, BufferError, "numpy"),
    ],
)
def test_requests_that_cannot_be_met(request_: dict[str, Any], error: type[Exception], words: str) -> None:
    array, log = made()
    with pytest.raises(error, match=words):
        array.__dlpack__(**request_)
    assert log == []
    del array
    assert log == [("given_back", 0)]


def test_requests_that_ask_for_what_is_there() -> None:
    array, _ = made()
    capsule = array.__dlpack__(stream=5, max_version=(1, 0), dl_device=(dl.CUDA, 0), copy=False)
    assert dl.tensor_in(capsule).tensor.data == array.ptr


@pytest.mark.parametrize("dtype", TYPES)
def test_numpy_is_a_copy(dtype: str) -> None:
    array, log = made((7, 45), dtype)
    copy = array.numpy()
    size = array.nbytes
    assert (copy.dtype, copy.shape) == (np.dtype(dtype), (7, 45))
    assert copy.tobytes() == bytes(i % 251 for i in range(size))
    assert copy.ctypes.data != array.ptr
    del array
    assert log == [("to_host", size), ("given_back", 0)]


def test_numpy_does_not_copy_by_itself() -> None:
    array, log = made()
    with pytest.raises(TypeError, match=r"use \.numpy\(\)"):
        np.asarray(array)
    with pytest.raises((BufferError, RuntimeError)):
        np.from_dlpack(array)
    del array
    assert log[-1] == ("given_back", 0)


def test_an_empty_array_has_no_address() -> None:
    array, log = made((0, 5))
    assert (array.ptr, array.nbytes, len(array)) == (0, 0, 0)
    assert array.__cuda_array_interface__["data"] == (0, False)
    assert dl.tensor_in(array.__dlpack__(stream=-1)).tensor.data is None
    assert array.numpy().shape == (0, 5)
    assert log == []


def test_an_array_without_axes() -> None:
    array, _ = made((), "float32")
    assert (array.shape, array.nbytes, array.numpy().shape) == ((), 4, ())
    assert dl.tensor_in(array.__dlpack__()).tensor.ndim == 0
    with pytest.raises(TypeError, match="len"):
        len(array)


@pytest.mark.parametrize(
    ("shape", "dtype", "words"),
    [
        ((2, 3), "float64", "dtype is 'float64'; expected 'uint8', 'float32' or 'float16'"),
        ((2, -3), "uint8", r"\(2, -3\)"),
        ((2**40, 2**40), "uint8", "larger than any memory"),
    ],
)
def test_arrays_that_cannot_be(shape: tuple[int, ...], dtype: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        made(shape, dtype)


def consume(array: Any, failures: list[BaseException]) -> None:
    try:
        for _ in range(200):
            managed = dl.take(array.__dlpack__(stream=-1, max_version=(1, 0)))
            managed.deleter(ctypes.addressof(managed))
            array.__dlpack__(stream=-1)
            made((2, 2))[0].numpy()
    except BaseException as error:
        failures.append(error)


def test_threads_that_share_and_drop_at_once() -> None:
    array, log = made()
    failures: list[BaseException] = []
    threads = [threading.Thread(target=consume, args=(array, failures)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failures, log) == ([], [])
    del array, threads, thread
    assert log == [("given_back", 0)]
