# SPDX-License-Identifier: Apache-2.0
"""Which kernels our extension has, and which of them a piece of work launches: on a GPU, and on tests/cuda_stand_in.

A kernel's name is that of its function with its template arguments, such as rows_kernel<3, 3>.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from rmbg_trt import _core


def demangle(name: str) -> str:
    """The C++ runtime's own. Raises ValueError for what is no mangled name."""
    library = ctypes.CDLL("libstdc++.so.6")
    library.__cxa_demangle.restype = ctypes.c_void_p
    status = ctypes.c_int()
    made = library.__cxa_demangle(name.encode(), None, None, ctypes.byref(status))
    if status.value != 0:
        raise ValueError(f"{name!r} is no mangled name")
    return ctypes.string_at(made).decode()  # a few bytes are never freed


def short_name(signature: str) -> str | None:
    """The kernel that a demangled signature is of; None for other functions."""
    plain = signature.replace("(anonymous namespace)::", "")
    found = re.match(r"(?:void )?rmbg::(?:\w+::)*(\w+_kernel(?:<[^()]*>)?)\(", plain)
    return found.group(1) if found else None


def on_stand_in() -> bool:
    return _core.cuda_devices()[0]["name"] == "CPU stand-in"


def registered_in(module: Path) -> set[str]:
    """The kernels of a module that nvcc made. It registers each by its mangled name, which a stripped file has, too."""
    found = re.findall(rb"\0(_Z\w*_kernel\w*)(?=\0)", module.read_bytes())
    return kernels_among(demangle(name.decode()) for name in set(found))


def kernels_among(signatures: Iterable[str]) -> set[str]:
    return {name for name in map(short_name, signatures) if name}


def symbols_of(module: Path) -> dict[int, str]:
    """Addresses in a file that is not stripped, and the demangled functions that lie there."""
    done = subprocess.run(["nm", "--demangle", str(module)], capture_output=True, text=True, check=True)
    split = (line.split(" ", 2) for line in done.stdout.splitlines())
    return {int(words[0], 16): words[2] for words in split if len(words) == 3 and words[0]}


def in_module() -> set[str]:
    """All kernels of the extension."""
    path = Path(_core.__file__)
    return kernels_among(symbols_of(path).values()) if on_stand_in() else registered_in(path)


def launched_by(work: Callable[[], object]) -> set[str]:
    """The kernels that ran on the GPU in ``work``, from PyTorch's profiler; on the stand-in, in this process so far."""
    if on_stand_in():
        work()
        return _run_on_stand_in()
    import torch

    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        work()
        torch.cuda.synchronize()
    names = (event.name for event in profile.events())
    return kernels_among(demangle(name) if name.startswith("_Z") else name for name in names)


def _run_on_stand_in() -> set[str]:
    path = Path(_core.__file__)
    library = ctypes.CDLL(str(path))
    functions = (ctypes.c_void_p * 1000)()
    count = library.rmbg_stand_in_kernels_run(functions, len(functions))
    assert 0 <= count <= len(functions)
    symbols = symbols_of(path)
    here = ctypes.cast(library.rmbg_stand_in_kernels_run, ctypes.c_void_p).value
    assert here is not None
    there = next(address for address, name in symbols.items() if name == "rmbg_stand_in_kernels_run")
    moved = here - there
    return kernels_among(symbols[int(function or 0) - moved] for function in functions[:count])
