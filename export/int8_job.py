# SPDX-License-Identifier: Apache-2.0
"""Makes a verified int8 model for the CPU: read, quantise, compare with fp32, and write, each file whole or absent."""

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
from ..recipe import MEAN, STD
from ..runtimes import native
from ..runtimes.devices import file_kind
from ..runtimes.openvino import compile_model, is_quantised, read_model, shared_core
from ..runtimes.progress import Progress
from ..runtimes.request import UnsupportedNetworkError
from ..sidecar import Sidecar, Tensor, sidecar_path, write_sidecar
from .calibration import Samples, find_samples
from .convert import convert_checkpoint
from .int8_checks import Int8Check, check_int8
from .predict import Predict
from .to_int8 import require_nncf, to_int8

log = logging.getLogger("rmbg_trt.export")

NO_FASTER = 0.97  # of fp32's time: less is not told from it
STAGES = ("looking for sensitive layers", "calibrating", "verifying")


@dataclass(frozen=True)
class Int8Model:
    """A quantised model and what is known of it.

    Attributes:
        model: ``openvino.Model``.
        source: The file that it was made from.
        source_sha256: Its content.
        fp32_layers: The convolutions that stay in float32.
        samples: What it was calibrated with.
        check: The verification.
    """

    model: Any
    source: Path
    source_sha256: str
    fp32_layers: list[str]
    samples: Samples
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
    """Writes an int8 model as OpenVINO's own files, which ``Engine`` opens on the CPU.

    Args:
        source: A catalogue name, an ``.onnx`` file or a checkpoint.
        out: The ``.xml`` file; its ``.bin`` and its sidecar lie beside it.
        calibration: Folder of photographs, see ``find_samples``.
        verify: Another one to verify with.
        size: Network input (height, width); None takes the source's own.
        force: Write a model that failed its verification.
        overwrite: Replace files that are there.
        progress: Called as work goes on.

    Returns:
        The model; where its check failed and ``force`` was not given, nothing was written.

    Raises:
        InputError: There is no such source or calibration, or a file is there already.
        ModelError: The source is damaged, is int8 already, or cannot be quantised.
        UnavailableError: OpenVINO or NNCF is not installed.
        Error: A file cannot be written.
    """
    if out.suffix != ".xml":
        raise InputError(f"{out}: an int8 model is a file of OpenVINO, which ends in .xml")
    for file in (out, out.with_suffix(".bin"), sidecar_path(out)):
        if file.exists() and not overwrite:
            raise InputError(f"{file} is there already; give --overwrite to replace it, or another name with -o")
    check_writable(out)
    path, samples = models.resolve(source), find_samples(calibration, verify)
    given, content, onnx = path, model_sha256(path), b""
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
            made = make_int8(path, size, samples, work, progress)
    except OSError as error:
        raise Error(f"{out} could not be written: {error.strerror or error}") from error
    if given != path:
        made = dataclasses.replace(made, source=given, source_sha256=content)
    if made.check.passed or force:
        write_int8(made, out)
    return made


def make_int8(path: Path, size: tuple[int, int] | None, samples: Samples, place: Path, progress: Progress) -> Int8Model:
    """Quantises a model and compares it with what it was.

    Args:
        path: An ONNX file or OpenVINO's own .xml, in fp32.
        size: Network input (height, width); None takes the model's own.
        samples: What to calibrate and verify with.
        place: An empty folder to work in.
        progress: Called as work goes on.

    Raises:
        ModelError: The file is damaged, is int8 already, or cannot be quantised.
        UnavailableError: OpenVINO or NNCF is not installed.
        InputError: No picture can be read, or the size does not fit the model.
    """
    require_nncf()  # before anything that takes long
    content, core = model_sha256(path), shared_core()
    model = read_model(core, path, size)
    if is_quantised(model):
        raise ModelError(f"{path} computes in 8 bit already; give the model that it was made from")
    height, width = (int(side.get_length()) for side in model.inputs[0].partial_shape[2:])
    before = model.clone()
    quantised, kept = to_int8(model, samples.inputs((height, width)), place, progress)
    if not is_quantised(quantised):
        raise ModelError(f"{path.name} has no layer that can be quantised; take precision='fp32' or 'auto'")
    done, total = 0, samples.to_verify_count

    def step() -> None:
        nonlocal done
        done += 1
        progress("verifying", done, total)

    progress("verifying", 0, total)
    check = check_int8(_fp32(core, before, path), _predict(core, quantised), samples.to_verify(), (height, width), step)
    log.info("int8 of %s: %s", path.name, check)
    if check.passed and check.share_of_time > NO_FASTER:
        share = f"{check.share_of_time:.2f}"
        log.warning("%s in int8 takes %s of fp32's network time here: 'auto' is as good or better", path.name, share)
    return Int8Model(quantised, path, content, kept, samples, check)


def write_int8(made: Int8Model, out: Path) -> None:
    """Writes the model and its sidecar; the ``.xml`` comes last. Raises Error when that cannot be done."""
    import openvino

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".rmbg-", dir=out.parent) as folder:
            xml = Path(folder) / out.name
            openvino.save_model(made.model, str(xml), compress_to_fp16=False)
            write_sidecar(xml, sidecar_of(made, xml))
            out.unlink(missing_ok=True)  # never an old one beside new weights
            for file in (xml.with_suffix(".bin"), sidecar_path(xml), xml):
                file.replace(out.with_name(file.name))
    except (OSError, RuntimeError) as error:  # OpenVINO raises the second for a full disk
        raise Error(f"{out} could not be written: {error}") from error


def sidecar_of(made: Int8Model, xml: Path) -> Sidecar:
    """What is known of a model, for its sidecar.

    Args:
        made: The model.
        xml: Its file; where there is none, because the model was refused, there is no sha256.
    """
    given, matte = (tuple(each.shape) for each in (made.model.inputs[0], made.model.outputs[0]))
    versions = {name: importlib.metadata.version(name) for name in ("openvino", "nncf")}
    return Sidecar(
        artefact=xml.name,
        sha256=model_sha256(xml) if xml.is_file() else "",
        input=Tensor("input", given),
        output=Tensor("output", matte),
        precision="int8",
        fp32_layers=tuple(made.fp32_layers),
        normalisation={
            "assumed": True,  # the file does not say
            "color": "rgb",
            "divide_by": "maximum",
            "mean": list(MEAN),
            "std": list(STD),
        },
        source={"name": made.source.name, "sha256": made.source_sha256, "calibration": made.samples.what},
        tools={"rmbg-trt": __version__, **versions},
        verification=[made.check.to_dict()],
        forced=not made.check.passed,
    )


def _fp32(core: Any, model: Any, path: Path) -> Predict:
    """The network of a file in fp32 as the engine runs it: our own, or OpenVINO's where that has not all its layers.

    Args:
        core: ``openvino.Core``.
        model: The file's ``openvino.Model``, of the size that is wanted.
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
