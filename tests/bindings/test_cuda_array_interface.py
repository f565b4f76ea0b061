# SPDX-License-Identifier: Apache-2.0
"""Arrays that speak only the CUDA Array Interface, and the pictures in them: the rules for frames hold for all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rmbg_trt import InputError, _core

GOOD = {"version": 3, "shape": (4, 5, 3), "typestr": "|u1", "data": (0x1000, False), "strides": None, "stream": 1}


class Spoken:
    """An array of which only this much is known."""

    def __init__(self, interface: Any) -> None:
        self.__cuda_array_interface__ = interface


def spoken(**changes: Any) -> Spoken:
    """... is the value of a key that is not there."""
    return Spoken({key: value for key, value in {**GOOD, **changes}.items() if value is not ...})


def seen(array: Any) -> dict[str, Any]:
    return _core._import_device_array(array, 7)


def test_a_whole_interface() -> None:
    array = spoken(descr=[("", "|u1")])
    assert _core.lies_on_gpu(array) is True
    assert seen(array) == {
        "data": 0x1000,
        "shape": (4, 5, 3),
        "strides": (15, 3, 1),
        "dtype": "uint8",
        "device": (2, -1),
        "read_only": False,
        "stream": 1,
        "owner": array,
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"strides": (16, 3, 1)}, {"strides": (16, 3, 1)}),
        ({"strides": (-15, 3, 1)}, {"strides": (-15, 3, 1)}),
        ({"strides": ...}, {"strides": (15, 3, 1)}),
        ({"shape": ()}, {"shape": (), "strides": ()}),
        ({"shape": (0, 5), "data": (0, False)}, {"shape": (0, 5), "data": 0}),
        ({"shape": [4, 5]}, {"shape": (4, 5)}),
        ({"shape": (np.int64(4), 5)}, {"shape": (4, 5)}),
        ({"data": (np.uint64(0x7F0000000000), np.True_)}, {"data": 0x7F0000000000, "read_only": True}),
        ({"data": (0x1000, 1)}, {"read_only": True}),
        ({"stream": None}, {"stream": None}),
        ({"stream": ...}, {"stream": None}),
        ({"version": 2, "stream": ...}, {"stream": None}),
        ({"stream": 2}, {"stream": 2}),
        ({"stream": 0}, {"stream": 1}),  # Numba's default stream, against the protocol
        ({"stream": 0x7F0012345678}, {"stream": 0x7F0012345678}),
        ({"mask": None}, {"shape": (4, 5, 3)}),
    ],
)
def test_what_may_stand_in_it(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    found = seen(spoken(**changes))
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("typestr", "name", "size"),
    [
        ("|u1", "uint8", 1),
        ("<u1", "uint8", 1),
        (">u1", "uint8", 1),
        ("|i1", "int8", 1),
        ("|b1", "bool", 1),
        ("<u2", "uint16", 2),
        (">u2", ">u2", 2),
        ("<f2", "float16", 2),
        ("<f4", "float32", 4),
        (">f4", ">f4", 4),
        ("<c8", "complex64", 8),
        ("|V12", "|V12", 12),
    ],
)
def test_types_have_numpys_names(typestr: str, name: str, size: int) -> None:
    found = seen(spoken(typestr=typestr))
    assert (found["dtype"], found["strides"]) == (name, (15 * size, 3 * size, size))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": ...}, "'version' is missing"),
        ({"version": 1}, "'version' is 1; expected 2 or 3"),
        ({"version": 4}, "'version' is 4"),
        ({"version": "3"}, "'version' holds '3'; expected integers"),
        ({"shape": ...}, "'shape' is missing"),
        ({"shape": 4}, "'shape' is int; expected a tuple"),
        ({"shape": (4, "5")}, "'shape' holds '5'"),
        ({"shape": (4, 5.0)}, "'shape' holds 5.0"),
        ({"shape": (4, -5)}, r"impossible memory: shape \(4, -5\)"),
        ({"shape": (2**40, 2**40)}, "impossible memory: shape"),
        ({"shape": (2**70,)}, "'shape' holds 1180"),
        ({"strides": (15, 3)}, r"'strides' is \(15, 3\) for shape \(4, 5, 3\)"),
        ({"strides": 15}, "'strides' is int"),
        ({"typestr": ...}, "'typestr' is missing"),
        ({"typestr": "uint8"}, "'typestr' is 'uint8'; expected one such as"),
        ({"typestr": "|u"}, "'typestr' is '|u'"),
        ({"typestr": "|u0"}, "'typestr'"),
        ({"typestr": "<44"}, "'typestr'"),
        ({"typestr": "<f99999999999"}, "'typestr'"),
        ({"typestr": np.uint8}, "'typestr'"),
        ({"data": ...}, "'data' is missing"),
        ({"data": None}, "'data' is missing or None"),
        ({"data": 0x1000}, "'data' is 4096; expected .address, read-only."),
        ({"data": (0x1000,)}, "'data' is"),
        ({"data": (None, False)}, "'data' holds None"),
        ({"data": (0, False)}, r"no address for its elements, shape \(4, 5, 3\)"),
        ({"stream": -1}, "'stream' is -1"),
        ({"stream": "default"}, "'stream' holds 'default'"),
        ({"mask": spoken()}, "has a mask; expected an array without one"),
    ],
)
def test_what_may_not_stand_in_it(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=rf"frame \(Spoken\) .*{words}"):
        seen(spoken(**changes))


def test_an_interface_that_is_no_dictionary() -> None:
    with pytest.raises(InputError, match="a list; expected a dict"):
        seen(Spoken([1]))
    assert _core.lies_on_gpu(Spoken(None)) is False
    with pytest.raises(InputError, match="expected __dlpack__ or"):
        seen(Spoken(None))


def as_spoken(array: np.ndarray) -> Spoken:
    interface = array.__array_interface__
    return spoken(**{key: interface[key] for key in ("shape", "typestr", "data")}, strides=array.strides)


@pytest.mark.parametrize(
    ("array", "color", "expected"),
    [
        (np.zeros((4, 5, 3), np.uint8), "bgr", (5, 4, 15, 3, 2)),
        (np.zeros((4, 5, 3), np.uint8), "rgb", (5, 4, 15, 3, 0)),
        (np.zeros((4, 5, 4), np.uint8), "bgr", (5, 4, 20, 4, 2)),
        (np.zeros((4, 5, 1), np.uint8), "bgr", (5, 4, 5, 1, 0)),
        (np.zeros((4, 5), np.uint8), "bgr", (5, 4, 5, 1, 0)),
        (np.zeros((4, 9, 3), np.uint8)[:, 2:7], "bgr", (5, 4, 27, 3, 2)),
        (np.zeros((8, 5, 3), np.uint8)[::2], "bgr", (5, 4, 30, 3, 2)),
        (np.zeros((1, 5, 3), np.uint8)[::-1], "bgr", (5, 1, 15, 3, 2)),
        (np.zeros((4, 9, 3), np.uint8)[:, ::9], "bgr", (1, 4, 27, 3, 2)),
    ],
)
def test_pictures(array: np.ndarray, color: str, expected: tuple[int, ...]) -> None:
    assert _core._foreign_view(as_spoken(array), color) == (array.ctypes.data, *expected)


@pytest.mark.parametrize(
    ("array", "color"),
    [
        (np.zeros((0, 5, 3), np.uint8), "bgr"),
        (np.zeros(12, np.uint8), "bgr"),
        (np.zeros((), np.uint8), "bgr"),
        (np.zeros((2, 4, 4, 3), np.uint8), "bgr"),
        (np.zeros((4, 4, 5), np.uint8), "bgr"),
        (np.zeros((3, 4, 6), np.uint8), "bgr"),
        (np.zeros((4, 4, 3), np.float32), "bgr"),
        (np.zeros((4, 4, 3), bool), "bgr"),
        (np.zeros((4, 5, 3), np.uint8)[::-1], "bgr"),
        (np.zeros((4, 5, 3), np.uint8)[:, ::-1], "bgr"),
        (np.zeros((4, 9, 3), np.uint8)[:, ::2], "bgr"),
        (np.zeros((3, 5, 4), np.uint8).transpose(1, 2, 0), "bgr"),
        (np.broadcast_to(np.zeros((1, 5, 3), np.uint8), (4, 5, 3)), "bgr"),
        (np.broadcast_to(np.zeros((1, 1), np.uint8), (1 << 21, 2)), "bgr"),
        (np.zeros((4, 5, 3), np.uint8), "hsv"),
    ],
)
def test_other_arrays_are_refused_in_the_same_words_as_numpys(array: np.ndarray, color: str) -> None:
    with pytest.raises(InputError) as numpys:
        _core.preprocess(array, (8, 8), color)
    with pytest.raises(InputError) as foreign:
        _core._foreign_view(as_spoken(array), color)
    assert str(foreign.value) == str(numpys.value)


def test_planes_get_a_hint() -> None:
    with pytest.raises(InputError, match=r"shape \(3, 4, 6\).*channels first.*permute\(1, 2, 0\)"):
        _core._foreign_view(spoken(shape=(3, 4, 6)))


def test_read_only_memory_is_not_written_to() -> None:
    array = spoken(data=(0x1000, True))
    assert _core._foreign_view(array, "bgr", False)[0] == 0x1000
    with pytest.raises(InputError, match="result is read-only; expected a writeable array"):
        _core._foreign_view(array, "bgr", True)
