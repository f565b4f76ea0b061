# SPDX-License-Identifier: Apache-2.0
"""The GPU's branches of byte_words.h: the instructions that nvcc makes of them give the words that plain C++ gives.

No test without a GPU runs those branches otherwise. The same functions are compiled by nvcc to PTX, which is
interpreted here (tests/ptx.py), and by the C++ compiler to a library, which is called.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from tests import ptx

from rmbg_trt import doctor

ROOT = Path(__file__).parent.parent
COMPILER = shutil.which("c++")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(doctor.find_nvcc() is None, reason="NO CUDA COMPILER: byte instructions are unchecked"),
    pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler"),
    pytest.mark.skipif(not (ROOT / "csrc").exists(), reason="needs the sources"),
]


class Function(NamedTuple):
    inputs: int
    outputs: int
    body: str  # reads words in[], writes words out[]


FUNCTIONS = {
    "word_between": Function(3, 1, "out[0] = word_between(in[0], in[1], static_cast<int>(in[2] & 31));"),
    "pick_bytes": Function(3, 1, "out[0] = pick_bytes(in[0], in[1], in[2]);"),
    "transpose_bytes": Function(4, 4, "transpose_bytes(in, out);"),
    "add_products": Function(3, 1, "out[0] = add_products(in[0], in[1], in[2]);"),
    "add_signed_products": Function(
        3, 1, "out[0] = static_cast<W>(add_signed_products(in[0], in[1], static_cast<std::int32_t>(in[2])));"
    ),
    "split_3": Function(3, 3, "FourPixels<3>::split(in, out);"),
    "split_4": Function(4, 3, "FourPixels<4>::split(in, out);"),
    "add_taps": Function(
        7,
        3,
        "PackedSum sum; sum.low = in[4]; sum.middle = in[5]; sum.high = static_cast<std::int32_t>(in[6]);"
        "sum.add(in[0], PackedTaps{in[1], in[2], in[3], 0});"
        "out[0] = sum.low; out[1] = sum.middle; out[2] = static_cast<W>(sum.high);",
    ),
}


def source() -> str:
    """Each function as a kernel; for the C++ compiler, where that is a function, with a loop over many inputs."""
    text = '#include "preprocess/packed_taps.h"\nusing namespace rmbg;\nusing W = std::uint32_t;\n'
    text += "#if !defined(__CUDACC__)\n#define __global__\n#endif\n"
    for name, (inputs, outputs, body) in FUNCTIONS.items():
        text += f'extern "C" __global__ void run_{name}(const W* in, W* out) {{ {body} }}\n'
        text += f'#if !defined(__CUDACC__)\nextern "C" void {name}_of_all(const W* in, W* out, int count) {{\n'
        text += f"  for (int i = 0; i < count; ++i) run_{name}(in + i * {inputs}, out + i * {outputs});\n}}\n#endif\n"
    return text


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("byte_words")
    (folder / "functions.cpp").write_text(source())
    assert COMPILER is not None
    command = [COMPILER, "-std=c++17", "-O1", "-shared", "-fPIC", f"-I{ROOT / 'csrc'}", "functions.cpp", "-o", "f.so"]
    subprocess.run(command, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "f.so"))


@pytest.fixture(scope="module", params=["sm_75", "sm_90", "sm_120"])
def compiled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The PTX of all functions, for an architecture."""
    folder = tmp_path_factory.mktemp("ptx")
    (folder / "functions.cu").write_text(source())
    nvcc = doctor.find_nvcc()
    assert nvcc is not None
    options = ["-std=c++17", "-O3", f"-arch={request.param}", "-ptx", f"-I{ROOT / 'csrc'}"]
    subprocess.run([nvcc, *options, "functions.cu", "-o", "functions.ptx"], cwd=folder, check=True)
    return (folder / "functions.ptx").read_text()


def inputs_of(function: Function) -> ptx.Words:
    """10,000 rows of random words, and all rows made of edge words (as far as they are not too many)."""
    random = np.random.default_rng(16)
    rows = random.integers(0, 1 << 32, (10_000, function.inputs), np.uint32)
    edges = np.array([0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0x80808080, 0x7F7F7F7F, 0xFFFFFFFF], np.uint32)
    mixed = random.choice(edges, (10_000, function.inputs))
    grid = np.stack(np.meshgrid(*[edges] * min(function.inputs, 3)), -1).reshape(-1, min(function.inputs, 3))
    grid = np.pad(grid, ((0, 0), (0, function.inputs - grid.shape[1])))
    return np.ascontiguousarray(np.concatenate([rows, mixed, grid]).astype(np.uint32))


def twin(library: ctypes.CDLL, name: str, given: ptx.Words) -> ptx.Words:
    result = np.zeros((len(given), FUNCTIONS[name].outputs), np.uint32)
    getattr(library, f"{name}_of_all")(
        ctypes.c_void_p(given.ctypes.data), ctypes.c_void_p(result.ctypes.data), ctypes.c_int(len(given))
    )
    return result


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_gpu_gives_the_words_of_plain_cpp(compiled: str, library: ctypes.CDLL, name: str) -> None:
    given = inputs_of(FUNCTIONS[name])
    np.testing.assert_array_equal(
        ptx.run(compiled, f"run_{name}", given, FUNCTIONS[name].outputs), twin(library, name, given), name
    )


# What each function is for: one instruction, where plain C++ needs several.
@pytest.mark.parametrize(
    ("name", "instruction", "count"),
    [
        ("word_between", "shf.r.wrap.b32", 1),
        ("pick_bytes", "prmt.b32", 1),
        ("transpose_bytes", "prmt.b32", 8),
        ("add_products", "dp4a.u32.u32", 1),
        ("add_signed_products", "dp4a.u32.s32", 1),
    ],
)
def test_the_instruction_that_is_meant(compiled: str, name: str, instruction: str, count: int) -> None:
    names = [line.split()[0] for line in ptx.body_of(compiled, f"run_{name}")]
    assert names.count(instruction) == count, names


@pytest.mark.parametrize(
    ("name", "instruction", "wrong"),
    [
        ("word_between", "shf.r.wrap.b32", "shf.l.wrap.b32"),
        ("pick_bytes", "30583", "65535"),  # without the mask, digits of 8 and more ask for signs
        ("add_products", "dp4a.u32.u32", "dp4a.u32.s32"),
        ("add_signed_products", "dp4a.u32.s32", "dp4a.s32.u32"),
        ("add_taps", "dp4a.u32.s32", "dp4a.u32.u32"),
    ],
)
def test_a_wrong_instruction_is_found(
    compiled: str, library: ctypes.CDLL, name: str, instruction: str, wrong: str
) -> None:
    given = inputs_of(FUNCTIONS[name])
    assert instruction in compiled
    result = ptx.run(compiled.replace(instruction, wrong), f"run_{name}", given, FUNCTIONS[name].outputs)
    assert (result != twin(library, name, given)).any()


def test_known_answers(compiled: str) -> None:
    """By hand, from the PTX ISA."""

    def one(name: str, *words: int) -> int:
        return int(ptx.run(compiled, f"run_{name}", np.array([words], np.uint32), 1)[0, 0])

    assert one("word_between", 0x44332211, 0x88776655, 8) == 0x55443322
    assert one("pick_bytes", 0x33221100, 0x77665544, 0x7502) == 0x77550022
    assert one("add_products", 0xFF020304, 0xFF010101, 10) == 10 + 255 * 255 + 2 + 3 + 4
    assert one("add_signed_products", 0xFF020304, 0xFF010101, 10) == (10 - 255 + 2 + 3 + 4) & 0xFFFFFFFF
