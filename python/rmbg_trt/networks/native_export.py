# SPDX-License-Identifier: Apache-2.0
"""Writes a model as one flat file (``.rmbg``) for programs in C and C++, verified before it appears.

The file holds our network's graph and weights for one input size, and the centres for bf16, measured on the package's
photographs. The engine opens it, too. Read back from the file, the network is compared with ONNX Runtime where that is
installed, and bf16 with fp32.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__, _core, models
from ..errors import InputError, ModelError
from ..export.convert import convert_checkpoint
from ..export.files import check_new
from ..export.graph import at_shape
from ..export.images import input_tensor, load_images
from ..export.predict import onnx_runtime
from ..export.probabilities import check_model
from ..files import atomic_file, check_writable, file_sha256
from ..recipe import MEAN, STD, Sidecar, Tensor, normalisation, sidecar_path, write_sidecar
from ..runtimes.devices import file_kind
from ..runtimes.native import import_graph
from ..runtimes.onnx_file import OnnxNetwork, read_network
from ..runtimes.request import Progress, UnsupportedNetworkError
from . import cpu_choice
from .measurements import MatteCheck, Predict, check_mattes
from .native import measure_centres

log = logging.getLogger("rmbg_trt.export")

STAGES = ("reading", "measuring centres", "verifying")

MAX_FP32_ALPHA = 0.05
"""Largest mean difference of alpha (0 to 255) between our fp32 and ONNX Runtime's."""

MIN_FP32_IOU = 0.999
"""Smallest IoU of one photograph between the two."""


@dataclass(frozen=True)
class NativeModel:
    """What was exported.

    Attributes:
        size: Network input (height, width).
        fp32: Our fp32 against ONNX Runtime; None if it was not compared.
        bf16: bf16 against fp32; None if the core does not run this network in bf16.
        keeps_mattes: Whether bf16 keeps the mattes of fp32 well enough for "auto".
        notes: What the user should know.
    """

    size: tuple[int, int]
    fp32: MatteCheck | None
    bf16: MatteCheck | None
    keeps_mattes: bool
    notes: tuple[str, ...]

    def failures(self) -> list[str]:
        """What failed in the verification, a sentence each."""
        if self.fp32 is None or (self.fp32.mean_alpha <= MAX_FP32_ALPHA and self.fp32.worst_iou >= MIN_FP32_IOU):
            return []
        return [
            f"our network is not ONNX Runtime's: {self.fp32}; expected a mean of at most {MAX_FP32_ALPHA} and an IoU "
            f"of at least {MIN_FP32_IOU}"
        ]


def export_native(
    source: str,
    out: Path,
    *,
    size: tuple[int, int] | None = None,
    force: bool = False,
    overwrite: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> NativeModel:
    """Writes a model file and its sidecar.

    Args:
        source: A catalogue name, an ``.onnx`` file or a checkpoint.
        out: The ``.rmbg`` file.
        size: Network input (height, width); None takes the source's own.
        force: Write it even if its verification fails.
        overwrite: Replace existing files.
        progress: Called as the work goes on.

    Returns:
        What was exported. If it has ``failures()`` and ``force`` is off, nothing was written.

    Raises:
        InputError: There is no such source, the size does not fit it, or a file exists already.
        ModelError: The source is damaged, or our network lacks one of its layers.
        UnavailableError: A package to convert a checkpoint is not installed.
        Error: A file cannot be written.
    """
    if out.suffix.lower() != ".rmbg":
        raise InputError(f"{out}: a model file for the C++ library ends in .rmbg")
    check_new(out, sidecar_path(out), overwrite=overwrite)
    check_writable(out)
    progress("reading", 0, 0)
    path = models.resolve(source)
    content = file_sha256(path)
    with tempfile.TemporaryDirectory(prefix="rmbg-") as folder:
        onnx = path
        if file_kind(path) == "checkpoint":
            onnx = Path(folder) / f"{path.stem}.onnx"
            onnx.write_bytes(convert_checkpoint(path, size, content))
        network = read_network(onnx, size)
        graph = _graph(network, path)
        progress("reading", 1, 1)
        centres, bf16 = _measure_bf16(graph, network.size, progress)
        keeps = bf16 is not None and cpu_choice.keeps(bf16, asked=False)
        data = _core.model_file_bytes(graph, centres, keeps, MEAN, STD)
        draft = Path(folder) / "draft.rmbg"
        draft.write_bytes(data)
        read_back = _core.CpuModel(_core.read_model_file(str(draft)).graph).network()
        progress("verifying", 0, 0)
        warning = "" if models.is_catalogue_file(path) else check_model(onnx, read_back.run, network.size)
        fp32, note = _compare_fp32(network, read_back.run)
        progress("verifying", 1, 1)
    exported = NativeModel(network.size, fp32, bf16, keeps, tuple(filter(None, (warning, note))))
    if exported.failures() and not force:
        return exported
    with atomic_file(out) as stream:
        stream.write(data)
    tensors = [
        Tensor(name, tuple(spec.shape)) for name, spec in (("input", read_back.input), ("output", read_back.output))
    ]
    source_of = {"name": path.name, "sha256": content, "architecture": None}
    write_sidecar(out, _sidecar(exported, out.name, hashlib.sha256(data).hexdigest(), tensors, source_of))
    return exported


def _graph(network: OnnxNetwork, path: Path) -> _core.CpuGraph:
    try:
        return import_graph(network)
    except UnsupportedNetworkError as error:
        raise ModelError(
            f"{path.name} does not run on our own network, the only one of the library: {error}"
        ) from error


def _measure_bf16(
    graph: _core.CpuGraph, size: tuple[int, int], progress: Progress
) -> tuple[NDArray[np.float32], MatteCheck | None]:
    """The centres for bf16, and its mattes against fp32's. A processor without bf16 emulates it."""
    progress("measuring centres", 0, 0)
    try:
        centres = measure_centres(graph, [input_tensor([image], *size) for image in load_images(None)])
        reduced = _core.CpuModel(graph, "bf16", centres).network()
        check = check_mattes(_core.CpuModel(graph).network().run, reduced.run, size)
    except (InputError, ModelError) as error:  # a layer that bf16 lacks; NaN or Inf
        log.info("the model file is without bf16: %s", error)
        return np.zeros(0, np.float32), None
    progress("measuring centres", 1, 1)
    return centres, check


def _compare_fp32(network: OnnxNetwork, ours: Predict) -> tuple[MatteCheck | None, str]:
    """Our network against ONNX Runtime, or why they were not compared."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None, "not compared with ONNX Runtime, which is not installed"
    shape = (1, 3, *network.size)
    try:
        reference = onnx_runtime(at_shape(network.model, shape).SerializeToString())
        return check_mattes(reference, ours, network.size), ""
    except ModelError as error:
        return None, f"not compared with ONNX Runtime: {error}"


def _sidecar(model: NativeModel, name: str, sha256: str, tensors: Sequence[Tensor], source: dict[str, Any]) -> Sidecar:
    failures = model.failures()
    checks = [
        ("native fp32 and ONNX Runtime", model.fp32, not failures),
        ("bf16 and fp32", model.bf16, model.keeps_mattes),
    ]
    return Sidecar(
        artefact=name,
        sha256=sha256,
        input=tensors[0],
        output=tensors[1],
        precision="fp32",
        normalisation=normalisation(),
        source=source,
        tools={"rmbg-trt": __version__, "onnx": importlib.metadata.version("onnx")},
        verification=[
            *({"what": what, **dataclasses.asdict(check), "passed": passed} for what, check, passed in checks if check),
            *({"note": note} for note in model.notes),
        ],
        forced=bool(failures),
    )
