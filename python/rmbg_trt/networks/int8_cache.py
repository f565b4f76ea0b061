# SPDX-License-Identifier: Apache-2.0
"""int8 models for the CPU: made and verified once, then taken from the user's cache. So are refusals.

A model in the cache is a folder, whole or absent. Its name comes from everything that it depends on, so nothing is ever
outdated; the ones used last are kept.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from pathlib import Path
from typing import Any

from .. import __version__
from ..cache import BUILDING, entry_path, prune, touch
from ..errors import Error, ModelError
from ..export import to_int8
from ..export.calibration import Samples, find_samples
from ..export.int8_checks import check_of
from ..export.int8_job import make_int8, sidecar_of, write_int8
from ..files import check_writable, model_sha256
from ..models import content_sha256
from ..runtimes.openvino import shared_core
from ..runtimes.progress import build_progress
from ..sidecar import Sidecar, read_sidecar, write_sidecar

log = logging.getLogger("rmbg_trt")

KEPT_MODELS = 8
_FILE = "model.xml"
_making = threading.Lock()  # of two engines that want the same model, one makes it


def quantised(path: Path, size: tuple[int, int] | None, calibration: Path | None) -> tuple[Path, bool]:
    """The int8 model of a model; it is made first where it is not in the cache.

    Args:
        path: An ONNX file or OpenVINO's own .xml, in fp32.
        size: Network input (height, width); None takes the model's own.
        calibration: Folder of photographs; None takes the package's.

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
    found, made = _read(folder), False
    if found is None:
        with _making:
            found = _read(folder)
            made = found is None
            found = found or _make(path, size, samples, folder)
    touch(folder)
    if found.forced:
        raise ModelError(
            f"{path.name} in int8 is refused: {check_of(found.verification[0]).failures()[0]}. Take precision='fp32' "
            "or 'auto', or calibrate with more photographs of the kind that the model is for "
            f"(this time: {found.source['calibration']}). This is remembered in {folder}"
        )
    return folder / _FILE, made


def model_folder(path: Path, size: tuple[int, int] | None, samples: Samples) -> Path:
    """Where the int8 model of a model lies, or would."""
    import openvino

    processor = shared_core().get_property("CPU", "FULL_DEVICE_NAME")
    parts = {
        "content": content_sha256(path),
        "size": size,
        "samples": samples.sha256(),
        "processor": str(processor),  # whose arithmetic it was verified with
        "openvino": str(openvino.__version__),
        "package": __version__,
        "recipe": [to_int8.RECIPE, to_int8.MAX_NOISE],
    }
    return entry_path("int8", path.stem, parts, ".int8")


def _read(folder: Path) -> Sidecar | None:
    """What is known of the model in a folder; None where there is none. A damaged one is removed."""
    if not folder.is_dir():
        return None
    try:
        found = read_sidecar(folder / _FILE)
        if found is None:
            raise ModelError(f"{folder / _FILE} has no sidecar")
        check_of(found.verification[0])
        if found.forced or model_sha256(folder / _FILE) == found.sha256:
            return found
        raise ModelError(f"{folder / _FILE} is not what was written")
    except (ModelError, LookupError, TypeError) as error:
        log.warning("the cached int8 model %s cannot be used and is made again: %s", folder, error)
    try:
        with tempfile.TemporaryDirectory(prefix=BUILDING, dir=folder.parent, ignore_cleanup_errors=True) as place:
            folder.rename(Path(place) / "damaged")
    except FileNotFoundError:  # another process was faster
        pass
    except OSError as error:
        raise Error(f"{folder} cannot be removed: {error.strerror or error}") from error
    return None


def _make(path: Path, size: tuple[int, int] | None, samples: Samples, folder: Path) -> Sidecar:
    """Makes the model in a folder of its own and renames that; a refused one leaves only its sidecar."""
    check_writable(folder)
    log.warning("making an int8 model of %s, once, with %s; it is kept in %s", path.name, samples.what, folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=BUILDING, dir=folder.parent, ignore_cleanup_errors=True) as place:
            with build_progress(f"int8 model of {path.stem}") as progress:
                made = make_int8(path, size, samples, Path(place), progress)
            whole = Path(place) / "whole"
            if made.check.passed:
                write_int8(made, whole / _FILE)
            else:
                whole.mkdir()
                write_sidecar(whole / _FILE, sidecar_of(made, whole / _FILE))
            _put(whole, folder)
    except OSError as error:
        raise Error(f"the cache {folder.parent} cannot be written: {error.strerror or error}") from error
    prune(folder.parent, folder.suffix, KEPT_MODELS)
    found = _read(folder)
    if found is None:
        raise Error(f"the int8 model that was just written to {folder} is damaged; look at the disk")
    return found


def _put(whole: Path, folder: Path) -> None:
    try:
        whole.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster, and its model is as good
            raise


def describe_file(path: Path) -> str:
    """As `describe`, for a file that is not from the cache, whose sidecar may be that of another."""
    sidecar = read_sidecar(path)
    if sidecar is not None and sidecar.precision == "int8" and sidecar.sha256 != model_sha256(path):
        return "its sidecar is that of another model"
    return describe(path)


def describe(path: Path) -> str:
    """How an int8 model was made and verified, as far as its sidecar tells; nothing where there is none."""
    sidecar = read_sidecar(path)
    if sidecar is None or sidecar.precision != "int8":
        return ""
    try:
        check: Any = check_of(sidecar.verification[0])
    except (LookupError, TypeError) as error:
        raise ModelError(f"{path}: its sidecar is damaged ({error}); remove it, or export the model again") from error
    verdict = "it FAILED its verification: " if sidecar.forced else ""
    return f"calibrated with {sidecar.source.get('calibration', 'unknown pictures')}; {verdict}{check}"
