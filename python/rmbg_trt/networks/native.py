# SPDX-License-Identifier: Apache-2.0
"""Networks on the CPU through our own code (csrc/network/cpu), for models made of U²-Net's layers.

In fp32 it runs Winograd convolutions. In bf16 it multiplies tiles (AMX or AVX512-BF16) and stores activations minus
their channel's mean over a few photographs, the centre (csrc/network/cpu/bf16.h). The centres decide how much is left
of 8 bits of mantissa, but not what is computed. A table of them has tens of kilobytes and stays in the user's cache.
"""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..cache import entry_path, prune, touch
from ..errors import Error, InputError
from ..export.pictures import SHIPPED
from ..files import atomic_file
from ..image import read_image
from ..models import content_sha256
from ..runtimes.devices import require_bf16
from ..runtimes.native import compile_model, processor_name
from ..runtimes.request import Opened, Request, UnsupportedNetworkError

log = logging.getLogger("rmbg_trt")

ROUNDS = 2  # the first one measures without centres, and so a little beside
KEPT_TABLES = 32
FORMAT = 1  # of a table: which activations have a centre, in which order

Floats = NDArray[np.float32]


def open(path: Path, request: Request) -> Opened:
    """Opens an ONNX file. "auto" is float32.

    Raises:
        UnsupportedNetworkError: The model has a layer that our network does not, it is a file of OpenVINO, or int8 is
            asked for.
        UnavailableError: bf16 is asked of a processor that has none.
        ModelError: The file cannot be read or is not an image-to-matte network.
        InputError: The size does not fit the model.
    """
    if request.precision == "int8":
        raise UnsupportedNetworkError("it computes in fp32 and bf16 only")
    if request.precision == "bf16":
        require_bf16()
        precision, model = "bf16", compile_model(path, request.size, lambda graph: compile_bf16(path, graph))
    else:
        precision, model = "fp32", compile_model(path, request.size)
    return Opened(
        networks=[model.network() for _ in range(request.slots)],
        runtime="native",
        runtime_version=f"{_core.__version__} ({_core.cpu_isa()})",
        device_name=processor_name(),
        precision=precision,
        reason=f"{precision} because it was asked for" if request.precision == precision else precision,
    )


def measure_centres(graph: _core.CpuGraph, inputs: Sequence[Floats]) -> Floats:
    """Measures the table for ``CpuModel(graph, "bf16", table)``.

    Args:
        graph: The network, with its output set.
        inputs: At least one network input, (1, 3, height, width) float32 each, like those it will see.

    Returns:
        (n,) float32: the mean of every channel that has a centre.
    """
    centres: Floats = np.zeros(0, np.float32)
    for _ in range(ROUNDS):
        network = _core.CpuModel(graph, "bf16", centres).network()
        means = np.stack([network.channel_means(x) for x in inputs])
        centres = np.asarray(means.mean(axis=0, dtype=np.float64), np.float32)
    return centres


def compile_bf16(path: Path, graph: _core.CpuGraph) -> _core.CpuModel:
    """The bf16 network of a model, with centres from the user's cache or measured now with the package's photographs.

    Args:
        path: The model's file; its content is what the table is remembered by.
        graph: Its network, in the size that is wanted.

    Raises:
        InputError: The core does not run this graph in bf16.
    """
    _, height, width = graph.shape(0)
    photographs = sorted(SHIPPED.glob("*.jpg"))
    names = [photograph.name for photograph in photographs]
    parts = [content_sha256(path), height, width, names, _core.__version__, FORMAT]
    file = entry_path("centres", path.stem, parts, ".npy")
    found = _read(file)
    if found is not None:
        try:
            model = _core.CpuModel(graph, "bf16", found)
        except InputError as error:  # of another length; if it is the graph, measuring says so
            log.warning("the cached centres %s do not fit and are measured again: %s", file, error)
        else:
            touch(file)
            return model
    pictures = (read_image(photograph).pixels for photograph in photographs)
    inputs = [_core.preprocess(pixels, (height, width), color="rgb") for pixels in pictures]
    centres = measure_centres(graph, inputs)
    _write(file, centres)
    return _core.CpuModel(graph, "bf16", centres)


def _read(file: Path) -> Floats | None:
    """A table of the cache; None where there is none, or a damaged one."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    try:
        table = np.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(table, np.ndarray) and table.ndim == 1 and table.dtype == np.float32 and np.isfinite(table).all():
            return table
        reason = "it is no table of centres"
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        reason = str(error)
    log.warning("the cached centres %s cannot be used and are measured again: %s", file, reason)
    return None


def _write(file: Path, centres: Floats) -> None:
    """Into the cache; where it cannot be written, the next start measures again."""
    try:
        with atomic_file(file) as stream:
            np.save(stream, centres)
    except (OSError, Error) as error:
        log.warning("the centres of %s cannot be kept, so each start measures them again: %s", file.stem, error)
    prune(file.parent, file.suffix, KEPT_TABLES)
