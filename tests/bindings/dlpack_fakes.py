# SPDX-License-Identifier: Apache-2.0
"""DLPack's structs for ctypes, written from its specification, and arrays of a library that does not exist."""

from __future__ import annotations

import ctypes
from typing import Any

CPU, CUDA, PINNED, MANAGED = 1, 2, 3, 13
UINT8, FLOAT32, FLOAT16 = (1, 8, 1), (2, 32, 1), (2, 16, 1)
READ_ONLY = 1


class DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Managed(ctypes.Structure):
    _fields_ = (("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", Deleter))


class ManagedVersioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", Deleter),
        ("flags", ctypes.c_uint64),
        ("tensor", DLTensor),
    )


NAMES = {Managed: b"dltensor", ManagedVersioned: b"dltensor_versioned"}
EXCHANGE_NAME = b"dlpack_exchange_api"
USED_NAMES = {Managed: b"used_dltensor", ManagedVersioned: b"used_dltensor_versioned"}

_api = ctypes.pythonapi
_api.PyCapsule_New.restype = ctypes.py_object
_api.PyCapsule_New.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_api.PyCapsule_GetName.restype = ctypes.c_char_p
_api.PyCapsule_GetName.argtypes = (ctypes.py_object,)
_api.PyCapsule_GetPointer.restype = ctypes.c_void_p
_api.PyCapsule_GetPointer.argtypes = (ctypes.py_object, ctypes.c_char_p)
_api.PyCapsule_SetName.argtypes = (ctypes.py_object, ctypes.c_char_p)


def new_capsule(struct: ctypes.Structure, name: bytes) -> Any:
    """A capsule without a destructor. The name and the struct must outlive it."""
    return _api.PyCapsule_New(ctypes.addressof(struct), name, None)


def name_of(capsule: Any) -> bytes:
    return _api.PyCapsule_GetName(capsule)


def tensor_in(capsule: Any) -> Any:
    """The Managed or ManagedVersioned in a capsule that nobody has taken."""
    kind = {name: kind for kind, name in NAMES.items()}[name_of(capsule)]
    return kind.from_address(_api.PyCapsule_GetPointer(capsule, NAMES[kind]))


def take(capsule: Any) -> Any:
    """As a consumer does it: the tensor is the caller's to delete."""
    managed = tensor_in(capsule)
    _api.PyCapsule_SetName(capsule, USED_NAMES[type(managed)])
    return managed


class FakeArray:
    """Says that it is an array of (4, 5, 3) bytes on cuda:0; what it says can be changed before it is asked.

    `requests` are the arguments of the calls of __dlpack__, `deleted` counts those of the deleter.
    """

    def __init__(self, kind: type = ManagedVersioned, device: tuple[int, int] = (CUDA, 0), **tensor: Any) -> None:
        self.memory = ctypes.create_string_buffer(4096)
        self.address = ctypes.addressof(self.memory)
        self.device = device
        self.requests: list[dict[str, Any]] = []
        self.deleted = 0
        self.managed = kind()
        self.managed.deleter = Deleter(self._delete)
        if kind is ManagedVersioned:
            self.managed.major = 1
        self.set(data=self.address, device_type=device[0], device_id=device[1], dtype=UINT8, shape=(4, 5, 3))
        self.set(**tensor)

    def set(self, **values: Any) -> None:
        tensor = self.managed.tensor
        for name, value in values.items():
            if name == "dtype":
                tensor.code, tensor.bits, tensor.lanes = value
            elif name in ("shape", "strides") and value is not None:
                tensor.ndim = len(value)
                setattr(tensor, name, (ctypes.c_int64 * max(len(value), 1))(*value))
            else:
                setattr(tensor, name, value)

    def _delete(self, address: int) -> None:
        assert address == ctypes.addressof(self.managed)
        self.deleted += 1

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, **request: Any) -> Any:
        self.requests.append(request)
        return new_capsule(self.managed, NAMES[type(self.managed)])


class ExchangeTable(ctypes.Structure):
    """The C functions of a type, DLPack 1.3."""


FromObject = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p)
CurrentStream = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_int32, ctypes.c_int32, ctypes.POINTER(ctypes.c_void_p))
ExchangeTable._fields_ = (
    ("major", ctypes.c_uint32),
    ("minor", ctypes.c_uint32),
    ("older", ctypes.POINTER(ExchangeTable)),
    ("allocate", ctypes.c_void_p),
    ("managed_from_object", FromObject),
    ("object_from_managed", ctypes.c_void_p),
    ("tensor_from_object", FromObject),
    ("current_stream", CurrentStream),
)


class FastArray(FakeArray):
    """A FakeArray whose type offers the C functions as well. `stream` is what its library works on."""

    stream = 0x5EED

    @staticmethod
    def _managed(array: FastArray, out: int) -> int:
        ctypes.c_void_p.from_address(out).value = ctypes.addressof(array.managed)
        return 0

    @staticmethod
    def _tensor(array: FastArray, out: int) -> int:
        ctypes.memmove(out, ctypes.addressof(array.managed.tensor), ctypes.sizeof(DLTensor))
        return 0

    @staticmethod
    def _stream(device_type: int, device_id: int, out: Any) -> int:
        assert (device_type, device_id) == (CUDA, 0)
        out[0] = FastArray.stream
        return 0

    table = ExchangeTable(major=1, minor=3)
    table.managed_from_object = FromObject(_managed)
    table.tensor_from_object = FromObject(_tensor)
    table.current_stream = CurrentStream(_stream)
    __dlpack_c_exchange_api__ = new_capsule(table, EXCHANGE_NAME)
