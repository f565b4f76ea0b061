# SPDX-License-Identifier: Apache-2.0
"""Exports a verified int8 model for the CPU: read, quantise, compare with fp32, write."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__, models
from ..errors import Error, InputError, ModelError
from ..files import check_writable, model_sha256
from ..recipe import Sidecar, Tensor, normalisation, sidecar_path, write_sidecar
from ..runtimes import native
from ..runtimes.devices import file_kind
from ..runtimes.openvino import compile_model, is_quantised, read_model, shared_core
from ..runtimes.request import Progress, UnsupportedNetworkError
from .calibration import Samples, find_samples
from .convert import convert_checkpoint
from .files import check_new
from .int8_checks import Int8Check, check_int8
from .predict import Predict
from .probabilities import check_model
from .to_int8 import require_nncf, to_int8

log = logging.getLogger("rmbg_trt.export")

NO_FASTER = 0.97  # int8's time over fp32's; a smaller gain is measurement noise
STAGES = ("looking for sensitive layers", "calibrating", "verifying")


@dataclass(frozen=True)
class Int8Model:
    """A quantised model, its origin and its verification."""

    model: Any  # ``openvino.Model``
    source: Path  # the file that it was made from
    source_sha256: str
    fp32_layers: list[str]  # the convolutions that stay in float32
    samples: Samples  # for calibration and verification
    check: Int8Check


def export_int8(
    source: str,
    out: Path,
    *,
    calibration: Path | None = None,
    verify: Path | None = None,
    size: tuple[int, int] | None = None,
    force: bool = False,
    overwrite: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> Int8Model:
    """Writes an int8 model as OpenVINO's files, which ``Engine`` opens on the CPU.

    Args:
        source: A catalogue name, an ``.onnx`` file or a checkpoint.
        out: The ``.xml`` file; its ``.bin`` and its sidecar are written beside it.
        calibration: Folder of photographs, see ``find_samples``.
        verify: Another folder to verify with.
        size: Network input (height, width); None takes the source's own.
        force: Write the model even if its verification fails.
        overwrite: Replace existing files.
        progress: Called as the work goes on.

    Returns:
        The model. If its check failed and ``force`` is off, nothing was written.

    Raises:
        InputError: There is no such source or calibration folder, or a file exists already.
        ModelError: The source is damaged, is int8 already, or cannot be quantised.
        UnavailableError: OpenVINO or NNCF is not installed.
        Error: A file cannot be written.
    """
    if out.suffix != ".xml":
        raise InputError(f"{out}: an int8 model is an OpenVINO file, which ends in .xml")
    check_new(out, out.with_suffix(".bin"), sidecar_path(out), overwrite=overwrite)
    check_writable(out)
    path, samples = models.resolve(source), find_samples(calibration, verify)
    original, content, onnx = path, model_sha256(path), b""
    if file_kind(path) == "checkpoint":
        onnx, size = convert_checkpoint(path, size, content), None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".rmbg-", dir=out.parent, ignore_cleanup_errors=True) as place:
            work = Path(place) / "work"
            work.mkdir()
            if onnx:
                path = Path(place) / f"{path.stem}.onnx"
                path.write_bytes(onnx)
            model = make_int8(path, size, samples, work, progress)
    except OSError as error:
        raise Error(f"{out} could not be written: {error.strerror or error}") from error
    if original != path:
        model = dataclasses.replace(model, source=original, source_sha256=content)
    if model.check.passed or force:
        write_int8(model, out)
    return model


def make_int8(path: Path, size: tuple[int, int] | None, samples: Samples, place: Path, progress: Progress) -> Int8Model:
    """Quantises a model and compares it with the original.

    Args:
        path: An ONNX file or OpenVINO's .xml, in fp32.
        size: Network input (height, width); None takes the model's own.
        samples: Images to calibrate and verify with.
        place: An empty folder to work in.
        progress: Called as the work goes on.

    Raises:
        ModelError: The file is damaged, is int8 already, cannot be quantised, or does not give probabilities.
        UnavailableError: OpenVINO or NNCF is not installed.
        InputError: No image can be read, or the size does not fit the model.
    """
    require_nncf()  # before the slow steps
    content, core = model_sha256(path), shared_core()
    model = read_model(core, path, size)
    if is_quantised(model):
        raise ModelError(f"{path} computes in 8 bit already; give the fp32 model that it was made from")
    height, width = (int(side.get_length()) for side in model.inputs[0].partial_shape[2:])
    before = model.clone()
    fp32 = _fp32(core, before, path)
    warning = "" if models.is_catalogue_file(path) else check_model(path, fp32, (height, width))
    if warning:
        log.warning("%s", warning)
    quantised, kept = to_int8(model, samples.inputs((height, width)), place, progress)
    if not is_quantised(quantised):
        raise ModelError(f"{path.name} has no layer that can be quantised; take precision='fp32' or 'auto'")
    done, total = 0, samples.to_verify_count

    def step() -> None:
        nonlocal done
        done += 1
        progress("verifying", done, total)

    progress("verifying", 0, total)
    check = check_int8(fp32, _predict(core, quantised), samples.to_verify(), (height, width), step)
    log.info("int8 of %s: %s", path.name, check)
    if check.passed and check.share_of_time > NO_FASTER:
        share = f"{check.share_of_time:.2f}"
        log.warning("%s in int8 takes %s of fp32's network time here: 'auto' is as good or better", path.name, share)
    return Int8Model(quantised, path, content, kept, samples, check)


def write_int8(model: Int8Model, out: Path) -> None:
    """Writes the model and its sidecar, the ``.xml`` last. Raises Error if that fails."""
    import openvino

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".rmbg-", dir=out.parent) as folder:
            xml = Path(folder) / out.name
            openvino.save_model(model.model, str(xml), compress_to_fp16=False)
            write_sidecar(xml, sidecar_of(model, xml))
            out.unlink(missing_ok=True)  # no old file beside new weights
            for file in (xml.with_suffix(".bin"), sidecar_path(xml), xml):
                file.replace(out.with_name(file.name))
    except (OSError, RuntimeError) as error:  # OpenVINO raises the second for a full disk
        raise Error(f"{out} could not be written: {error}") from error


def sidecar_of(model: Int8Model, xml: Path) -> Sidecar:
    """The sidecar of a model. Its sha256 is empty if ``xml`` does not exist, because the model was refused."""
    versions = {name: importlib.metadata.version(name) for name in ("openvino", "nncf")}
    return Sidecar(
        artefact=xml.name,
        sha256=model_sha256(xml) if xml.is_file() else "",
        input=Tensor("input", tuple(model.model.inputs[0].shape)),
        output=Tensor("output", tuple(model.model.outputs[0].shape)),
        precision="int8",
        fp32_layers=tuple(model.fp32_layers),
        normalisation=normalisation(),
        source={"name": model.source.name, "sha256": model.source_sha256, "calibration": model.samples.what},
        tools={"rmbg-trt": __version__, **versions},
        verification=[model.check.to_dict()],
        forced=not model.check.passed,
    )


def _fp32(core: Any, model: Any, path: Path) -> Predict:
    """A file's network in fp32 as the engine runs it: on our own network, or on OpenVINO if that lacks a layer.

    Args:
        core: ``openvino.Core``.
        model: The file's ``openvino.Model`` at the wanted size.
        path: The file.
    """
    height, width = (int(side.get_length()) for side in model.inputs[0].partial_shape[2:])
    try:
        return native.compile_model(path, (height, width)).network().run
    except UnsupportedNetworkError:
        return _predict(core, model)


def _predict(core: Any, model: Any) -> Predict:
    compiled = compile_model(core, model, "fp32")

    def predict(x: Any) -> Any:
        return compiled([x])[0]

    return predict
