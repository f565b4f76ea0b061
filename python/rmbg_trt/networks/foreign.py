# SPDX-License-Identifier: Apache-2.0
"""Checks models of unknown origin once on photographs: finite weights, probabilities, mattes that are not empty.

Models of the catalogue, and exports of ours that passed their verification, are known to fit. For others the cache
remembers the result, so only the first start runs them.
"""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path

from .. import __version__, _core
from ..cache import entry_path, read_entry, write_entry
from ..errors import ModelError
from ..export.probabilities import check_model
from ..models import content_sha256, is_catalogue_file
from ..recipe import read_sidecar
from ..runtimes.request import Opened

log = logging.getLogger("rmbg_trt")

KEPT_CHECKS = 128


def check_foreign(path: Path, opened: Opened) -> None:
    """Checks a model that was opened on the CPU. Logs a warning if its mattes are probably wrong.

    Args:
        path: The ONNX or OpenVINO file.
        opened: With at least one network, which is run.

    Raises:
        ModelError: Its weights or outputs are NaN or Inf, or it does not give probabilities.
    """
    if is_catalogue_file(path):
        return
    network = opened.networks[0]
    size = network.input.shape[2], network.input.shape[3]
    content = content_sha256(path)
    if _is_verified(path, content):
        return
    entry = entry_path("checks", path.stem, {"content": content, "size": size, "version": __version__}, ".json")
    warning = read_entry(entry, lambda text: str(json.loads(text)))
    if warning is None:
        warning = check_model(path, lambda x: _core.run_network(network, x), size)
        write_entry(entry, json.dumps(warning).encode(), KEPT_CHECKS)
    if warning:
        log.warning("%s", warning)


def _is_verified(path: Path, content: str) -> bool:
    """Whether this file is an export of ours that passed its verification."""
    with contextlib.suppress(ModelError):
        sidecar = read_sidecar(path)
        return sidecar is not None and sidecar.sha256 == content and not sidecar.forced and bool(sidecar.verification)
    return False
