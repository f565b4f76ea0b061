# SPDX-License-Identifier: Apache-2.0
"""Arrays by the C functions of their type (DLPack 1.3), which spare the calls to Python, and PyTorch's own."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from tests.bindings import dlpack_fakes as dl
from tests.bindings.dlpack_fakes import FastArray

from rmbg_trt import InputError, _core


def seen(array: Any) -> dict[str, Any]:
    return _core._import_device_array(array, 7)


@pytest.mark.parametrize(("stream", "expected"), [(0, 1), (1, 1), (2, 2), (0x7F00, 0x7F00)])
def test_bytes_come_without_a_call_to_python(monkeypatch: pytest.MonkeyPatch, stream: int, expected: int) -> None:
    monkeypatch.setattr(FastArray, "stream", stream)
    array = FastArray(strides=(16, 3, 1))
    found = seen(array)
    assert array.requests == []
    assert (found["data"], found["shape"], found["strides"]) == (array.address, (4, 5, 3), (16, 3, 1))
    assert (found["device"], found["stream"]) == ((dl.CUDA, 0), expected)
    assert array.deleted == 0
    found.clear()
    assert array.deleted == 1


def test_memory_of_the_host_has_no_stream() -> None:
    array = FastArray(device=(dl.CPU, 0))
    assert seen(array)["stream"] is None
    assert array.requests == []


@pytest.mark.parametrize(("stream", "expected"), [(0, 1), (2, 2), (0x7F00, 0x7F00)])
def test_the_stream_that_a_library_works_on(monkeypatch: pytest.MonkeyPatch, stream: int, expected: int) -> None:
    monkeypatch.setattr(FastArray, "stream", stream)
    array = FastArray()
    assert _core.current_stream(array) == expected
    assert array.requests == []


def test_the_stream_that_writes_an_array_of_ours() -> None:
    log: list[tuple[str, int]] = []
    for stream, expected in ((0, 1), (99, 99)):
        assert _core.current_stream(_core._host_backed_device_array((4, 5), "uint8", log, stream)) == expected
    assert log == [("given_back", 0)] * 2, "nothing but the end of the two"


@pytest.mark.parametrize(
    "value", [FastArray(device=(dl.CPU, 0)), FastArray, dl.FakeArray(dl.Managed), np.zeros(3), None]
)
def test_where_the_stream_is_not_known(value: Any) -> None:
    assert _core.current_stream(value) == 0


def test_other_types_go_the_way_that_checks_gradients() -> None:
    array = FastArray(dtype=dl.FLOAT32)
    assert (seen(array)["dtype"], array.deleted) == ("float32", 1)
    assert array.requests == [{"stream": 7, "max_version": (1, 0)}]


def test_a_damaged_tensor_is_refused_and_deleted_once() -> None:
    array = FastArray(data=None)
    with pytest.raises(InputError, match="no address"):
        seen(array)
    assert array.deleted == 1


def with_table(table: dl.ExchangeTable | None, capsule: Any = None) -> FastArray:
    capsule = capsule or dl.new_capsule(table, dl.EXCHANGE_NAME)
    return type("Other", (FastArray,), {"__dlpack_c_exchange_api__": capsule, "kept": table})()


def test_tables_that_are_not_ours_to_read() -> None:
    later = dl.ExchangeTable.from_buffer_copy(FastArray.table)
    later.major = 2
    array = with_table(later)
    assert (seen(array)["stream"], len(array.requests)) == (None, 1)
    later.older = ctypes.pointer(FastArray.table)
    array = with_table(later)
    assert (seen(array)["stream"], len(array.requests)) == (FastArray.stream, 0)
    for capsule in (5, dl.new_capsule(FastArray.table, dl.NAMES[dl.Managed])):
        array = with_table(None, capsule)
        assert (seen(array)["stream"], len(array.requests)) == (None, 1)


def test_a_type_that_does_not_let_us_look() -> None:
    table = dl.ExchangeTable.from_buffer_copy(FastArray.table)
    table.tensor_from_object = dl.FromObject()
    array = with_table(table)
    assert (seen(array)["stream"], len(array.requests)) == (None, 1)
    assert _core.lies_on_gpu(array) is True


torch = pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32", "float16", "bfloat16", "bool", "complex64"])
def test_tensors_of_pytorch(dtype: str) -> None:
    tensor = torch.zeros((6, 5, 3), dtype=getattr(torch, dtype))[::2, 1:]
    found = seen(tensor)
    assert (found["data"], found["shape"], found["dtype"]) == (tensor.data_ptr(), (3, 4, 3), dtype)
    assert found["strides"] == tuple(stride * tensor.element_size() for stride in tensor.stride())
    assert (found["device"], found["stream"]) == ((dl.CPU, 0), None)
    assert _core.lies_on_gpu(tensor) is False


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_owner_keeps_pytorchs_memory(dtype: str) -> None:
    tensor = torch.arange(60, dtype=getattr(torch, dtype))
    found = seen(tensor)
    bytes_ = tensor.numpy().tobytes()
    del tensor
    torch.full((60,), 255, dtype=getattr(torch, dtype))
    assert ctypes.string_at(found["data"], len(bytes_)) == bytes_


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: torch.zeros(4, requires_grad=True), r"BufferError.*requires? grad.*frame\.detach\(\)"),
        (lambda: torch.zeros(4, dtype=torch.complex64).conj(), "conjugate"),
        (lambda: torch.zeros(4, 4, dtype=torch.uint8).to_sparse(), "layout"),
        (lambda: torch.zeros(4, 4, dtype=torch.uint8, device="meta"), "meta"),
    ],
)
def test_tensors_that_pytorch_does_not_share(make: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        seen(make())


def test_empty_tensors_and_numbers_of_pytorch() -> None:
    assert seen(torch.zeros((0, 3), dtype=torch.uint8))["shape"] == (0, 3)
    assert seen(torch.tensor(7, dtype=torch.uint8))["shape"] == ()
    array = np.arange(6, dtype=np.uint8)
    assert seen(torch.from_numpy(array))["data"] == array.ctypes.data
