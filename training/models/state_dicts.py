# SPDX-License-Identifier: Apache-2.0
"""Weights from elsewhere: reads a PyTorch file without executing anything, and finds our network in it by its names.

Trainers save networks under many names, beside optimizers, losses and hyper-parameters.
"""

from __future__ import annotations

import pickle
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import ModelError
from .registry import ARCHITECTURES, build

Shapes = dict[str, tuple[int, ...]]

_USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "params", "module", "_orig_mod")
_BESIDE = ("criterion", "ema", "loss", "loss_fn", "metric", "metrics", "optimizer", "teacher")
_COUNTERS = ("num_batches_tracked", "total_ops", "total_params")  # of PyTorch, and of profilers
_MAX_DEPTH = 8
_STARTS = {
    b"<!doctype": "a web page; download the file itself, not the page that shows it",
    b"<html": "a web page; download the file itself, not the page that shows it",
    b"version https://git-lfs": "a pointer of Git LFS; fetch the file itself: git lfs pull",
    b"\x89hdf": "an HDF5 file, as Keras writes it; expected one of torch.save",
}

_registering = threading.Lock()  # PyTorch keeps one list of accepted classes for the process


class _Placeholder:
    """Stands for an object of any class in a file: it takes what the file says about it, and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Placeholder:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def read_pickle(path: Path) -> dict[str, Tensor]:
    """Reads the tensors of a PyTorch file, whatever else it holds. No code of the file is executed.

    Returns:
        The tensors by name; those in nested dictionaries as "outer.inner".

    Raises:
        ModelError: It is damaged, another kind of file, or holds no tensors by name.
    """
    refuse_other_files(path)
    try:
        with _registering, torch.serialization.safe_globals([(_Placeholder, name) for name in _classes(path)]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, zlib, struct, pickle, OS and PyTorch's own errors: all mean a damaged file
        if isinstance(error, pickle.UnpicklingError) and ("Unsupported" in str(error) or "GLOBAL" in str(error)):
            raise ModelError(f"{path}: {_NOT_ONLY_WEIGHTS} ({load_error(error)})") from error
        raise ModelError(f"{path}: not a readable PyTorch file ({load_error(error)})") from error
    if isinstance(content, _Placeholder):
        raise ModelError(f"{path}: {_NOT_ONLY_WEIGHTS}")
    state = dict(_tensors(content))
    if not isinstance(content, Mapping) or (content and not state):
        raise ModelError(f"{path}: holds a {type(content).__name__}, not a state dict of tensors by name")
    return state


_NOT_ONLY_WEIGHTS = (
    "holds Python objects, not only weights, and reading them would run code; where it was made, save only the "
    "weights: torch.save(model.state_dict(), ...)"
)


def refuse_other_files(path: Path) -> None:
    """Raises ModelError for a file that is empty, or obviously of another kind."""
    try:
        with path.open("rb") as file:
            start = file.read(200).lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    kind = "PyTorch" if path.suffix.lower() != ".safetensors" else "safetensors"
    if not path.stat().st_size:
        raise ModelError(f"{path}: not a readable {kind} file: it is empty; download or copy it again")
    for bytes_, what in _STARTS.items():
        if start.startswith(bytes_):
            raise ModelError(f"{path}: not a readable {kind} file: it is {what}")


def load_error(error: BaseException) -> str:
    """What went wrong in ``torch.load``, without PyTorch's advice to read the file unsafely."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    line = next((line for line in lines if "Error:" in line or "Unsupported" in line or "GLOBAL" in line), lines[0])
    return line.partition("Error: ")[2].partition(" Please use ")[0] or line.partition(". ")[0]


def find_network(state: Mapping[str, Tensor], path: Path) -> tuple[str, dict[str, Tensor]]:
    """Finds the one network of ours among the tensors of a file.

    Args:
        state: Tensors by name.
        path: For messages.

    Returns:
        The name of the architecture, and its weights by their names in the module.

    Raises:
        ModelError: There is none, with the differences from the nearest; or there are several.
    """
    found = _shapes(state)
    names = {architecture: _names(architecture) for architecture in ARCHITECTURES}
    shapes = {architecture: _without_counters(all_names) for architecture, all_names in names.items()}
    nearest, nearest_prefix, most = "", "", (0, 0)
    complete: list[tuple[str, str]] = []  # (architecture, prefix)
    for architecture, expected in shapes.items():
        for prefix, count in _prefixes(found, expected).items():
            same = sum(found.get(prefix + name) == shape for name, shape in expected.items())
            if (same, count) > most:
                nearest, nearest_prefix, most = architecture, prefix, (same, count)
            if same == len(expected):
                complete.append((architecture, prefix))
    chosen = _choose([prefix for _, prefix in complete], path)
    if chosen is not None:
        nearest, nearest_prefix = next(pair for pair in complete if pair[1] == chosen)
    part = {name.removeprefix(nearest_prefix): name for name in found if name.startswith(nearest_prefix)}
    beside = {prefix.removeprefix(nearest_prefix).split(".")[0] for _, prefix in complete} | set(_BESIDE)
    own = {name: found[full] for name, full in part.items() if name.split(".")[0] not in beside}
    if not nearest or own != shapes[nearest]:
        raise ModelError(f"{path}: {_difference(own, nearest, shapes[nearest]) if nearest else _unlike(found)}")
    counters = {name: name.removeprefix(nearest_prefix) for name in state if name.endswith("num_batches_tracked")}
    return nearest, {
        **{name: state[part[name]] for name in own},
        **{name: state[full] for full, name in counters.items() if name in names[nearest]},
    }


def _classes(path: Path) -> list[str]:
    """The classes and functions that a file refers to beside those of tensors; none for PyTorch's old format."""
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except ValueError as error:
        if "torchscript" in str(error):
            raise ModelError(
                f"{path}: is a TorchScript program; where it was made, save its weights: "
                "torch.save(torch.jit.load(...).state_dict(), 'weights.pth')"
            ) from error
        return []


def _tensors(content: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """All tensors in nested dictionaries by name."""
    if not isinstance(content, Mapping) or depth > _MAX_DEPTH:
        return
    for name, value in content.items():
        if isinstance(name, str) and isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(name, str):
            yield from _tensors(value, f"{prefix}{name}.", depth + 1)


def _shapes(state: Mapping[str, Tensor]) -> Shapes:
    return _without_counters({name: tuple(tensor.shape) for name, tensor in state.items()})


def _without_counters(shapes: Shapes) -> Shapes:
    return {name: shape for name, shape in shapes.items() if not name.endswith(_COUNTERS)}


def _names(architecture: str) -> Shapes:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in build(architecture).state_dict().items()}


def _prefixes(found: Shapes, expected: Shapes) -> Counter[str]:
    """How many of the expected names follow each prefix."""
    counts: Counter[str] = Counter()
    for name in found:
        parts = name.split(".")
        for start in range(len(parts)):
            if ".".join(parts[start:]) in expected:
                counts["".join(f"{part}." for part in parts[:start])] += 1
    return counts


def _choose(prefixes: list[str], path: Path) -> str | None:
    """The prefix with the fewest unusual names; None if there is none."""

    def rank(prefix: str) -> tuple[int, list[int]]:
        parts = prefix.split(".")[:-1]
        return sum(part not in _USUAL for part in parts), [_USUAL.index(part) for part in parts if part in _USUAL]

    ranked = sorted(prefixes, key=rank)
    if len(ranked) > 1 and rank(ranked[0]) == rank(ranked[1]):
        names = ", ".join(repr(prefix.rstrip(".")) for prefix in ranked)
        raise ModelError(f"{path}: holds {len(ranked)} networks ({names}); save only the one you want to use")
    return ranked[0] if ranked else None


def _unlike(found: Shapes) -> str:
    return (
        f"not a checkpoint of {', '.join(ARCHITECTURES)}: it has {len(found)} tensors, such as "
        f"{', '.join(list(found)[:3]) or 'none'}"
    )


def _difference(found: Shapes, nearest: str, expected: Shapes) -> str:
    """How names and shapes differ from those of the nearest architecture."""
    wrong = [f"{k} {found[k]} (expected {expected[k]})" for k in found if k in expected and found[k] != expected[k]]
    parts = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "of another shape": wrong,
    }
    differences = "; ".join(f"{len(names)} {what}: {_some(names)}" for what, names in parts.items() if names)
    return f"nearest to {nearest}, but not the same: {differences}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
