# SPDX-License-Identifier: Apache-2.0
"""Networks on the CPU through our own code (csrc/network/cpu), for models made of U²-Net's layers.

fp32 uses Winograd convolutions. bf16 multiplies tiles (AMX or AVX512-BF16) and stores each activation minus its
centre: the mean of its channel over a few photographs (csrc/network/cpu/bf16.h). Centres only affect rounding errors.
The table of them takes tens of kilobytes and is kept in the user's cache.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..cache import entry_path, read_entry, warn_damaged, write_entry
from ..errors import InputError
from ..export.images import SHIPPED
from ..image import read_image
from ..models import content_sha256
from ..runtimes.devices import require_bf16
from ..runtimes.native import centres_of_file, compile_model, processor_name
from ..runtimes.request import Opened, Request, UnsupportedNetworkError

ROUNDS = 2  # the first one measures without centres, so it is slightly off
KEPT_TABLES = 32

Floats = NDArray[np.float32]


def open(path: Path, request: Request) -> Opened:
    """Opens an ONNX or model file. "auto" means fp32.

    Raises:
        UnsupportedNetworkError: Our network lacks a layer of the model, the file is OpenVINO's, or int8 is requested.
        UnavailableError: bf16 is requested and the processor does not have it.
        ModelError: The file cannot be read or is not an image-to-matte network.
        InputError: The size does not fit the model.
    """
    if request.precision == "int8":
        raise UnsupportedNetworkError("it computes in fp32 and bf16 only")
    if request.precision == "bf16":
        require_bf16()
    precision = "bf16" if request.precision == "bf16" else "fp32"
    model = _shared_model(path, request.size, precision)
    return Opened(
        networks=[model.network() for _ in range(request.slots)],
        runtime="native",
        runtime_version=f"{_core.__version__} ({_core.cpu_isa()})",
        device_name=processor_name(),
        precision=precision,
        reason=f"{precision} because it was asked for" if request.precision == precision else precision,
    )


def _shared_model(path: Path, size: tuple[int, int] | None, precision: str) -> _core.CpuModel:
    """The compiled model; engines of the same model share it, and with it the packed weights."""
    key = f"{content_sha256(path)} {size} {precision}"
    model = _core.find_cpu_model(key)
    if model is None and precision == "bf16":
        model = compile_model(path, size, lambda graph: compile_bf16(path, graph))
    elif model is None:
        model = compile_model(path, size)
    return _core.share_cpu_model(key, model)


def measure_centres(graph: _core.CpuGraph, inputs: Sequence[Floats]) -> Floats:
    """Measures the table for ``CpuModel(graph, "bf16", table)``.

    Args:
        graph: The network, with its output set.
        inputs: At least one typical network input, each (1, 3, height, width) float32.

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
    """Compiles a model in bf16, with centres from the cache or measured now on the package's photographs.

    Args:
        path: The model file; its content is part of the cache key.
        graph: Its network, at the requested size.

    Raises:
        InputError: The core does not run this graph in bf16.
    """
    if (kept := centres_of_file(path)).size:
        return _core.CpuModel(graph, "bf16", kept)
    _, height, width = graph.shape(0)
    photographs = sorted(SHIPPED.glob("*.jpg"))
    names = [photograph.name for photograph in photographs]
    parts = [content_sha256(path), height, width, names, _core.__version__, _core.CENTRES_FORMAT]
    file = entry_path("centres", path.stem, parts, ".npy")
    centres = read_entry(file, _parse)
    if centres is not None:
        try:
            return _core.CpuModel(graph, "bf16", centres)
        except InputError as error:  # of another length; if the graph is at fault, measuring reports it
            warn_damaged(file, error)
    images = (read_image(photograph).pixels for photograph in photographs)
    centres = measure_centres(graph, [_core.preprocess(pixels, (height, width), color="rgb") for pixels in images])
    table = io.BytesIO()
    np.save(table, centres)
    write_entry(file, table.getvalue(), KEPT_TABLES)
    return _core.CpuModel(graph, "bf16", centres)


def _parse(content: bytes) -> Floats:
    try:
        table = np.load(io.BytesIO(content), allow_pickle=False)
    except (EOFError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from error
    if isinstance(table, np.ndarray) and table.ndim == 1 and table.dtype == np.float32 and np.isfinite(table).all():
        return table
    raise ValueError("it is not a table of centres")
