# SPDX-License-Identifier: Apache-2.0
"""Arrays of other libraries: what we see of them by DLPack, and that their deleters run once, whatever goes wrong."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.bindings import dlpack_fakes as dl
from tests.bindings.dlpack_fakes import FakeArray, FastArray

from rmbg_trt import InputError, _core

KINDS = [dl.Managed, dl.ManagedVersioned]
HANDLE = 0x7F0012345678


def seen(array: Any, stream: int = HANDLE) -> dict[str, Any]:
    return _core._import_device_array(array, stream)


def test_our_own_array_comes_back() -> None:
    log: list[tuple[str, int]] = []
    array = _core._host_backed_device_array((4, 5, 3), "float16", log, 99)
    found = seen(array)
    assert found.pop("owner") is not None
    assert found == {
        "data": array.ptr,
        "shape": (4, 5, 3),
        "strides": (30, 6, 2),
        "dtype": "float16",
        "device": (dl.CUDA, 0),
        "read_only": False,
        "stream": None,
    }
    assert log == [("make_wait", HANDLE), ("used_on", HANDLE)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_tensor_is_taken_and_deleted_once(kind: type) -> None:
    array = FakeArray(kind, (dl.MANAGED, 3), strides=(32, 3, 1), byte_offset=8)
    found = seen(array)
    assert (found["data"], found["shape"], found["strides"]) == (array.address + 8, (4, 5, 3), (32, 3, 1))
    assert (found["dtype"], found["device"], found["stream"]) == ("uint8", (dl.MANAGED, 3), None)
    assert array.deleted == 0
    found.clear()
    assert array.deleted == 1


@pytest.mark.parametrize(
    ("device", "stream", "asked"), [(dl.CUDA, 5, 5), (dl.CUDA, 0, 1), (dl.MANAGED, 2, 2), (dl.CPU, 5, None)]
)
def test_the_maker_hears_of_our_stream(device: int, stream: int, asked: int | None) -> None:
    array = FakeArray(device=(device, 0))
    seen(array, stream)
    assert array.requests == [{"stream": asked, "max_version": (1, 0)}]


def test_a_maker_from_before_versions() -> None:
    class Old(FakeArray):
        def __dlpack__(self, *, stream: int | None = None) -> Any:
            return super().__dlpack__(stream=stream)

    array = Old(dl.Managed)
    assert seen(array)["shape"] == (4, 5, 3)
    assert array.requests == [{"stream": HANDLE}]
    assert array.deleted == 1


@pytest.mark.parametrize(
    ("dtype", "name", "size"),
    [
        ((0, 16, 1), "int16", 2),
        ((2, 32, 1), "float32", 4),
        ((4, 16, 1), "bfloat16", 2),
        ((5, 64, 1), "complex64", 8),
        ((6, 8, 1), "bool", 1),
        ((1, 8, 4), "uint8x4", 4),
        ((10, 8, 1), "DLPack type 10 of 8 bits", 1),
    ],
)
def test_types_have_numpys_names(dtype: tuple[int, int, int], name: str, size: int) -> None:
    found = seen(FakeArray(dtype=dtype))
    assert (found["dtype"], found["strides"]) == (name, (15 * size, 3 * size, size))


@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [
        ((), None, ()),
        ((0, 4), None, (4, 1)),
        ((3, 4), (-4, 1), (-4, 1)),
        ((2, 1, 5), None, (5, 5, 1)),
        ((3, 4), (0, 1), (0, 1)),
    ],
)
def test_shapes_and_strides(shape: Any, strides: Any, expected: Any) -> None:
    found = seen(FakeArray(shape=shape, strides=strides))
    assert (found["shape"], found["strides"]) == (shape, expected)


def test_an_empty_array_may_have_no_address() -> None:
    assert seen(FakeArray(data=None, shape=(0, 4)))["data"] == 0


def test_a_tensor_may_have_no_deleter() -> None:
    array = FakeArray()
    array.managed.deleter = dl.Deleter()
    assert seen(array)["data"] == array.address


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ({"data": None}, r"frame \(FakeArray\) gives no address.*\(4, 5, 3\)"),
        ({"ndim": -1}, "-1 axes"),
        ({"ndim": 65}, "65 axes"),
        ({"shape": ctypes.POINTER(ctypes.c_int64)()}, "3 axes in a way"),
        ({"shape": (4, -5, 3)}, r"impossible memory: shape \(4, -5, 3\)"),
        ({"shape": (2**40, 2**40)}, "impossible memory: shape"),
        ({"dtype": dl.FLOAT32, "strides": (2**62, 3, 1)}, "impossible memory: stride"),
        ({"dtype": (1, 4, 1)}, "dtype uint4; expected elements of whole bytes"),
        ({"dtype": (1, 0, 1)}, "whole bytes"),
    ],
)
def test_damaged_tensors_are_refused_and_deleted_once(kind: type, tensor: dict[str, Any], words: str) -> None:
    array = FakeArray(kind)
    pointer = tensor.get("shape")
    if isinstance(pointer, ctypes.POINTER(ctypes.c_int64)):
        array.managed.tensor.shape = pointer
    else:
        array.set(**tensor)
    with pytest.raises(InputError, match=words):
        seen(array)
    assert array.deleted == 1


def test_another_major_version_is_refused_and_deleted() -> None:
    array = FakeArray()
    array.managed.major = 2
    array.managed.tensor.ndim = -1  # nothing behind the flags may be believed
    with pytest.raises(InputError, match=r"DLPack 2\.0; expected version 1"):
        seen(array)
    assert array.deleted == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_capsule_is_taken_once(kind: type) -> None:
    class Same(FakeArray):
        def __dlpack__(self, **request: Any) -> Any:
            return capsule

    array = Same(kind)
    capsule = dl.new_capsule(array.managed, dl.NAMES[kind])
    found = seen(array)
    assert dl.name_of(capsule) == dl.USED_NAMES[kind]
    with pytest.raises(InputError, match=r"capsule 'used_dltensor.*a new one at every call"):
        seen(array)
    assert array.deleted == 0
    found.clear()
    assert array.deleted == 1


@pytest.mark.parametrize(("answer", "words"), [(None, "NoneType from __dlpack__"), (7, "int from __dlpack__")])
def test_an_answer_that_is_no_capsule(answer: Any, words: str) -> None:
    class Wrong(FakeArray):
        def __dlpack__(self, **request: Any) -> Any:
            return answer

    with pytest.raises(InputError, match=words):
        seen(Wrong())


@pytest.mark.parametrize(
    ("raised", "passed_on"),
    [
        (BufferError("Can't export tensors that require gradient, use tensor.detach()"), False),
        (TypeError("what stream?"), False),
        (ValueError("no such device"), False),
        (NotImplementedError("sparse"), False),
        (RuntimeError("CUDA error: an illegal memory access"), True),
        (MemoryError("full"), True),
        (KeyboardInterrupt(), True),
    ],
)
@pytest.mark.parametrize("method", ["__dlpack__", "__dlpack_device__", "__cuda_array_interface__"])
def test_what_the_maker_raises(raised: BaseException, passed_on: bool, method: str) -> None:
    def fail(self: Any, **request: Any) -> Any:
        raise raised

    if method == "__cuda_array_interface__":
        array = type("Tensor", (), {method: property(fail)})()
    else:
        array = type("Tensor", (FakeArray,), {method: fail})()
    if passed_on:
        with pytest.raises(type(raised)) as caught:
            seen(array)
        assert caught.value is raised
    else:
        with pytest.raises(InputError) as refused:
            seen(array)
        assert f"frame (Tensor) cannot be shared: {type(raised).__name__}: {raised}; expected" in str(refused.value)


@pytest.mark.parametrize("answer", [None, 2, (2,), ("cuda", 0)])
def test_a_device_that_is_none(answer: Any) -> None:
    array = FakeArray(device=(dl.CUDA, 0))
    array.device = answer
    for ask in (seen, _core.lies_on_gpu):
        with pytest.raises(InputError, match=r"__dlpack_device__|cannot be shared"):
            ask(array)


@pytest.mark.parametrize("value", [None, 3, b"x", [1], FakeArray, np.ndarray, Image.new("RGB", (2, 2))])
def test_what_is_no_array_of_a_library(value: Any) -> None:
    assert _core.lies_on_gpu(value) is False
    with pytest.raises(InputError, match="expected __dlpack__ or __cuda_array_interface__"):
        seen(value)


@pytest.mark.parametrize(
    ("kind", "expected"), [(dl.CPU, False), (dl.CUDA, True), (dl.PINNED, False), (dl.MANAGED, True), (10, False)]
)
@pytest.mark.parametrize("type_", [FakeArray, FastArray])
def test_which_devices_are_gpus_of_ours(type_: type, kind: int, expected: bool) -> None:
    array = type_(device=(kind, 0))
    assert _core.lies_on_gpu(array) is expected
    assert array.requests == []


def test_a_numpy_array_lies_on_the_host() -> None:
    array = np.zeros((6, 5, 3), np.float32)[::2]
    found = seen(array)
    assert (found["device"], found["strides"], found["dtype"]) == ((dl.CPU, 0), (120, 12, 4), "float32")
    assert (found["data"], found["stream"]) == (array.ctypes.data, None)
    assert _core.lies_on_gpu(array) is False


@pytest.mark.parametrize("kind", KINDS)
def test_read_only_memory_is_not_written_to(kind: type) -> None:
    array = FakeArray(kind)
    view = (array.address, 5, 4, 15, 3, 2)
    assert _core._foreign_view(array, "bgr", True) == view
    if kind is dl.ManagedVersioned:
        array.managed.flags = dl.READ_ONLY
        assert seen(array)["read_only"] is True
        assert _core._foreign_view(array, "bgr", False) == view
        with pytest.raises(InputError, match="result is read-only"):
            _core._foreign_view(array, "bgr", True)
