# SPDX-License-Identifier: Apache-2.0
"""The choice of instruction set, in fresh interpreters because it is made once."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

ORDER = ["generic", "avx2", "avx512", "avx512_bf16", "amx"]
INFO = "from rmbg_trt import _core; print(_core.cpu_info())"
InPython = Callable[..., str]


def isa_with(in_python: InPython, value: str) -> dict[str, object]:
    return ast.literal_eval(in_python(INFO, RMBG_ISA=value))


@pytest.mark.parametrize("asked", ORDER)
def test_a_lower_set_can_be_asked_for_and_a_higher_one_cannot(in_python: InPython, asked: str) -> None:
    best = isa_with(in_python, "")["isa"]
    info = isa_with(in_python, asked)
    assert info["isa"] == min(asked, best, key=ORDER.index)
    assert info["bf16"] == (info["isa"] in ORDER[3:])


def test_generic_means_the_plain_kernels(in_python: InPython) -> None:
    assert isa_with(in_python, "generic")["resample_kernels"] == "generic"


def test_the_best_kernels_are_the_default(in_python: InPython) -> None:
    info = isa_with(in_python, "")
    assert info["resample_kernels"] == ("generic" if info["isa"] == "generic" else "avx2")


def test_an_unknown_set_is_refused_by_name_each_time(in_python: InPython) -> None:
    script = """
import numpy
from rmbg_trt import InputError, _core
for call in (_core.cpu_info, _core.cpu_info, lambda: _core.resample(numpy.zeros((9, 9), numpy.uint8), (3, 3))):
    try:
        call()
    except InputError as error:
        print(error)
"""
    lines = in_python(script, RMBG_ISA="sse9").splitlines()
    assert lines == ["RMBG_ISA is 'sse9'; it may be generic, avx2, avx512, avx512_bf16 or amx"] * 3


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs /proc/cpuinfo")
def test_the_answer_agrees_with_the_operating_system(in_python: InPython) -> None:
    flags = set(Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split())
    if "sse2" not in flags:
        pytest.skip("not an x86-64 processor")
    needed = [set(), {"avx2", "fma", "f16c"}, {"avx512f", "avx512dq", "avx512bw", "avx512vl"}, {"avx512_bf16"}]
    needed.append({"amx_tile", "amx_bf16"})
    level = 0
    while level + 1 < len(ORDER) and needed[level + 1] <= flags:
        level += 1
    info = isa_with(in_python, "")
    allowed = {ORDER[level]}
    if ORDER[level] == "amx":
        allowed.add("avx512_bf16")  # the operating system may refuse the tiles, in a sandbox for example
    assert info["isa"] in allowed
    assert info["bf16"] == ("avx512_bf16" in flags)
