# SPDX-License-Identifier: Apache-2.0
"""int8 models for the CPU: made and verified once, then taken from the user's cache.

An entry is a folder. For a model that loses too much in int8 it holds only the sidecar, so the refusal is cached, too.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from pathlib import Path
from typing import Any

from .. import __version__
from ..cache import build_folder, entry_path, touch, warn_damaged
from ..errors import Error, ModelError
from ..export import to_int8
from ..export.calibration import Samples, find_samples
from ..export.int8_checks import check_of
from ..export.int8_job import make_int8, sidecar_of, write_int8
from ..files import check_writable, model_sha256
from ..models import content_sha256
from ..runtimes.openvino import shared_core
from ..runtimes.request import build_progress
from ..sidecar import Sidecar, read_sidecar, write_sidecar

log = logging.getLogger("rmbg_trt")

KEPT_MODELS = 8
_FILE = "model.xml"
_making = threading.Lock()  # if two engines need the same model, only one makes it


def quantised(path: Path, size: tuple[int, int] | None, calibration: Path | None) -> tuple[Path, bool]:
    """The int8 version of a model, made first if the cache does not have it.

    Args:
        path: An ONNX file or OpenVINO's own .xml, in fp32.
        size: Network input (height, width); None takes the model's own.
        calibration: Folder of photographs; None uses the package's.

    Returns:
        The ``.xml`` file in the cache, with its sidecar; and whether it was made now.

    Raises:
        ModelError: int8 loses too much, or the model is damaged or cannot be quantised.
        UnavailableError: OpenVINO or NNCF is not installed.
        InputError: There is no such folder, or the size does not fit the model.
        Error: The cache cannot be written.
    """
    samples = find_samples(calibration)
    folder = model_folder(path, size, samples)
    sidecar, made = _read(folder), False
    if sidecar is None:
        with _making:
            sidecar = _read(folder)
            made = sidecar is None
            sidecar = sidecar or _make(path, size, samples, folder)
    touch(folder)
    if sidecar.forced:
        raise ModelError(
            f"{path.name} in int8 is refused: {check_of(sidecar.verification[0]).failures()[0]}. Use precision='fp32' "
            "or 'auto', or calibrate with more photographs like those the model is for "
            f"(this time: {sidecar.source['calibration']}). This refusal is cached in {folder}"
        )
    return folder / _FILE, made


def model_folder(path: Path, size: tuple[int, int] | None, samples: Samples) -> Path:
    """The folder of a model's int8 version in the cache."""
    import openvino

    processor = shared_core().get_property("CPU", "FULL_DEVICE_NAME")
    parts = {
        "content": content_sha256(path),
        "size": size,
        "samples": samples.sha256(),
        "processor": str(processor),  # its arithmetic was used to verify the model
        "openvino": str(openvino.__version__),
        "package": __version__,
        "recipe": [to_int8.RECIPE, to_int8.MAX_NOISE],
    }
    return entry_path("int8", path.stem, parts, ".int8")


def _read(folder: Path) -> Sidecar | None:
    """The sidecar of the model in a folder; None if there is none. A damaged model is removed."""
    if not folder.is_dir():
        return None
    try:
        sidecar = read_sidecar(folder / _FILE)
        if sidecar is None:
            raise ModelError(f"{folder / _FILE} has no sidecar")
        check_of(sidecar.verification[0])
        if sidecar.forced or model_sha256(folder / _FILE) == sidecar.sha256:
            return sidecar
        raise ModelError(f"{folder / _FILE} is not what was written")
    except (ModelError, LookupError, TypeError) as error:
        warn_damaged(folder, error)
    with build_folder(folder, KEPT_MODELS) as place, contextlib.suppress(FileNotFoundError):  # another was faster
        folder.rename(place / "damaged")
    return None


def _make(path: Path, size: tuple[int, int] | None, samples: Samples, folder: Path) -> Sidecar:
    """Makes the model in a temporary folder and moves it into place; a refused model leaves only its sidecar."""
    check_writable(folder)
    log.warning("making an int8 model of %s, once, with %s; it is kept in %s", path.name, samples.what, folder)
    with build_folder(folder, KEPT_MODELS) as place:
        with build_progress(f"int8 model of {path.stem}") as progress:
            made = make_int8(path, size, samples, place, progress)
        whole = place / "whole"
        if made.check.passed:
            write_int8(made, whole / _FILE)
        else:
            whole.mkdir()
            write_sidecar(whole / _FILE, sidecar_of(made, whole / _FILE))
        _put(whole, folder)
    sidecar = _read(folder)
    if sidecar is None:
        raise Error(f"the int8 model that was just written to {folder} is damaged; check the disk")
    return sidecar


def _put(whole: Path, folder: Path) -> None:
    try:
        whole.rename(folder)
    except OSError:
        if not folder.is_dir():  # otherwise another process was faster, and its model is as good
            raise


def describe_file(path: Path) -> str:
    """As `describe`, for a user's file, whose sidecar may belong to another model."""
    sidecar = read_sidecar(path)
    if sidecar is not None and sidecar.precision == "int8" and sidecar.sha256 != model_sha256(path):
        return "its sidecar belongs to another model"
    return describe(path)


def describe(path: Path) -> str:
    """How an int8 model was made and verified, according to its sidecar; empty if there is none."""
    sidecar = read_sidecar(path)
    if sidecar is None or sidecar.precision != "int8":
        return ""
    try:
        check: Any = check_of(sidecar.verification[0])
    except (LookupError, TypeError) as error:
        raise ModelError(f"{path}: its sidecar is damaged ({error}); remove it, or export the model again") from error
    verdict = "it FAILED its verification: " if sidecar.forced else ""
    return f"calibrated with {sidecar.source.get('calibration', 'unknown images')}; {verdict}{check}"
