# SPDX-License-Identifier: Apache-2.0
"""What the CUDA compiler says of our kernels: all in registers, and shared memory within what every GPU gives."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from rmbg_trt import doctor

ROOT = Path(__file__).parent.parent
SOURCES = sorted(ROOT.glob("csrc/*/*.cu"))
# resample_cuda.h: dynamic shared memory beside which kernels with a tile may have this much of their own.
BESIDE_A_TILE = 1024

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(doctor.find_nvcc() is None, reason="no CUDA compiler"),
]


class Kernel(NamedTuple):
    name: str
    stack_bytes: int
    spilled_bytes: int
    registers: int
    shared_bytes: int


def compile_kernels(source: Path, made: Path) -> list[Kernel]:
    """Compiles one file for the H100 and H200, the architecture of the figures, and reads ptxas' report."""
    nvcc = doctor.find_nvcc()
    assert nvcc is not None
    options = ["-std=c++17", "-O3", "--fmad=false", "-arch=sm_90", "-cubin", "-Xptxas=-v", f"-I{ROOT / 'csrc'}"]
    done = subprocess.run([nvcc, *options, "-o", str(made), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kernels = []
    for report in done.stderr.split("Compiling entry function '")[1:]:
        memory = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", report)
        registers = re.search(r"Used (\d+) registers", report)
        shared = re.search(r"(\d+) bytes smem", report)
        assert memory is not None
        assert registers is not None
        stack, stores, loads = map(int, memory.groups())
        name = report.partition("'")[0]
        kernels.append(
            Kernel(name, stack, stores + loads, int(registers.group(1)), int(shared.group(1)) if shared else 0)
        )
    return kernels


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Kernel]]:
    folder = tmp_path_factory.mktemp("cubin")
    with ThreadPoolExecutor(2) as pool:
        seen = pool.map(lambda source: compile_kernels(source, folder / source.stem), SOURCES)
        return {source.name: kernels for source, kernels in zip(SOURCES, seen, strict=True)}


def test_all_kernels_are_seen(kernels: dict[str, list[Kernel]]) -> None:
    assert all(kernels.values())
    assert sum(map(len, kernels.values())) >= 50


def test_no_kernel_keeps_variables_in_memory(kernels: dict[str, list[Kernel]]) -> None:
    """A stack frame or a spill is memory traffic for each thread: an array whose index the compiler does not know."""
    slow = [each for kernel in kernels.values() for each in kernel if each.stack_bytes or each.spilled_bytes]
    assert not slow


def test_blocks_of_256_threads_fill_a_multiprocessor(kernels: dict[str, list[Kernel]]) -> None:
    """Four blocks at least: 65,536 registers for 1,024 threads."""
    assert not [each for kernel in kernels.values() for each in kernel if each.registers > 64]


def test_tiles_leave_room_for_the_rest(kernels: dict[str, list[Kernel]]) -> None:
    tiled = [each for each in kernels["resample_cuda.cu"] if "rows_kernel" in each.name]
    assert len(tiled) == 4
    assert all(each.shared_bytes <= BESIDE_A_TILE for each in tiled)


def test_only_kernels_with_a_tile_ask_for_shared_memory_at_their_launch() -> None:
    """It adds to what a kernel declares, and 48 KiB is all that a launch is given without asking for more."""
    assert [each.name for each in SOURCES if "RMBG_DYNAMIC_SHARED(" in each.read_text()] == ["resample_cuda.cu"]


def test_every_kernel_says_how_many_threads_a_block_has() -> None:
    """So that ptxas keeps its registers within what a multiprocessor has for as many: no launch is refused for them."""
    unbound = [
        f"{source.name}: {kernel.strip()}"
        for source in SOURCES
        for kernel in re.findall(r"__global__\s+void\s+(?!__launch_bounds__).{0,40}", source.read_text())
    ]
    assert unbound == []
