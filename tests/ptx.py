# SPDX-License-Identifier: Apache-2.0
"""Interprets PTX without branches, as `nvcc -ptx` prints it, for many inputs at once (PTX ISA 9.0, chapter 9.7).

A kernel has two parameters, pointers to words: it reads from the first and writes to the second. Only the instructions
that our tests meet are known; any other raises NotImplementedError.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]
Long = NDArray[np.int64]


def byte_of(word: Words, index: int) -> Long:
    return (word.astype(np.int64) >> 8 * index) & 255


def signed(word: Words) -> Long:
    return word.view(np.int32).astype(np.int64)


def as_words(number: Long) -> Words:
    return (number & 0xFFFFFFFF).astype(np.uint32)


def funnel_shift_right(low: Words, high: Words, bits: Words) -> Words:
    both = high.astype(np.uint64) << np.uint64(32) | low
    return (both >> (bits.astype(np.uint64) & np.uint64(31))).astype(np.uint32)


def funnel_shift_left(low: Words, high: Words, bits: Words) -> Words:
    both = high.astype(np.uint64) << np.uint64(32) | low
    return (both << (bits.astype(np.uint64) & np.uint64(31)) >> np.uint64(32)).astype(np.uint32)


def permute(a: Words, b: Words, which: Words) -> Words:
    """prmt: bit 3 of a digit asks for copies of the byte's sign."""
    both = np.stack([byte_of(word, i) for word in (a, b) for i in range(4)])
    picked = np.zeros(a.shape, np.int64)
    for i in range(4):
        digit = (which.astype(np.int64) >> 4 * i) & 15
        byte = both[digit & 7, np.arange(a.size)]
        byte = np.where(digit & 8 != 0, np.where(byte >= 128, 255, 0), byte)
        picked |= byte << 8 * i
    return as_words(picked)


def dot_product(types: tuple[str, str]) -> Callable[[Words, Words, Words], Words]:
    def number(word: Words, index: int, kind: str) -> Long:
        byte = byte_of(word, index)
        return np.where(byte >= 128, byte - 256, byte) if kind == "s32" else byte

    def run(a: Words, b: Words, total: Words) -> Words:
        result = total.astype(np.int64)
        for i in range(4):
            result = result + number(a, i, types[0]) * number(b, i, types[1])
        return as_words(result)

    return run


OPERATIONS: dict[str, Callable[..., Words]] = {
    "mov.u32": lambda a: a,
    "mov.b32": lambda a: a,
    "and.b32": lambda a, b: a & b,
    "or.b32": lambda a, b: a | b,
    "xor.b32": lambda a, b: a ^ b,
    "add.s32": lambda a, b: a + b,
    "shl.b32": lambda a, b: as_words(a.astype(np.int64) << np.minimum(b, 32)),
    "shr.u32": lambda a, b: as_words(a.astype(np.int64) >> np.minimum(b, 32)),
    "shr.s32": lambda a, b: as_words(signed(a) >> np.minimum(b, 31)),
    "min.s32": lambda a, b: as_words(np.minimum(signed(a), signed(b))),
    "max.s32": lambda a, b: as_words(np.maximum(signed(a), signed(b))),
    "shf.r.wrap.b32": funnel_shift_right,
    "shf.l.wrap.b32": funnel_shift_left,
    "prmt.b32": permute,
    **{f"dp4a.{a}.{b}": dot_product((a, b)) for a in ("u32", "s32") for b in ("u32", "s32")},
}


def body_of(ptx: str, kernel: str) -> list[str]:
    """The instructions of a kernel."""
    found = re.search(rf"\.entry {kernel}\(.*?\)\s*\{{(.*?)\n\}}", ptx, re.DOTALL)
    if found is None:
        raise ValueError(f"there is no kernel {kernel} in this PTX")
    lines = [re.sub(r"//.*", "", line).strip().rstrip(";") for line in found.group(1).splitlines()]
    return [line for line in lines if line and not line.startswith(".reg")]


def run(ptx: str, kernel: str, given: Words, outputs: int) -> Words:
    """What the kernel writes: (n, outputs) words for `given`, (n, inputs) words."""
    count = len(given)
    result = np.zeros((count, outputs), np.uint32)
    words: dict[str, Words] = {}
    pointers: dict[str, int] = {}  # which parameter a register points to

    def value(operand: str) -> Words:
        if operand.startswith("%"):
            return words[operand]
        return np.full(count, int(operand, 0) & 0xFFFFFFFF, np.uint32)

    def place(operand: str) -> tuple[int, int]:
        register, _, offset = operand.strip("[]").partition("+")
        return pointers[register], int(offset or 0) // 4

    for line in body_of(ptx, kernel):
        name, _, rest = line.partition(" ")
        operands = [part.strip() for part in rest.split(",")]
        if name == "ret":
            return result
        if name.startswith("ld.param"):
            pointers[operands[0]] = int(operands[1].strip("[]").rpartition("_")[2])
        elif name == "cvta.to.global.u64":
            pointers[operands[0]] = pointers[operands[1]]
        elif name in ("ld.global.u32", "ld.global.nc.u32"):
            parameter, word = place(operands[1])
            assert parameter == 0, line
            words[operands[0]] = given[:, word]
        elif name == "st.global.u32":
            parameter, word = place(operands[0])
            assert parameter == 1, line
            result[:, word] = value(operands[1])
        elif name in OPERATIONS:
            words[operands[0]] = OPERATIONS[name](*map(value, operands[1:]))
        else:
            raise NotImplementedError(line)
    raise ValueError(f"{kernel} does not end")
