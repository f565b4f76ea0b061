# SPDX-License-Identifier: Apache-2.0
"""The process in which NNCF quantises. It changes logging, writes to stdout and keeps gigabytes: here it may.

Run as a file by to_int8.py, with one argument, JSON. Prints a line of JSON for every picture that it has taken and,
when it failed, one with the reason.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any, TextIO


def quantise(asked: dict[str, Any], told: TextIO) -> None:
    """Quantises a model.

    Args:
        asked: ``model``, an .xml file; ``inputs``, a .npy file (pictures, 3, H, W) of float32; ``kept``, the names of
            layers that stay in float32; ``out``, the .xml file to write.
        told: For the lines.
    """
    import nncf
    import numpy as np
    import openvino

    logging.getLogger("nncf").setLevel(logging.ERROR)
    inputs = np.load(asked["inputs"], mmap_mode="r")
    taken = 0

    def take(index: int) -> Any:
        nonlocal taken
        taken += 1
        _tell(told, taken=min(taken, len(inputs)))
        return np.array(inputs[index : index + 1])

    quantised = nncf.quantize(
        openvino.Core().read_model(asked["model"]),
        nncf.Dataset(range(len(inputs)), take),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(inputs),
        advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
        ignored_scope=nncf.IgnoredScope(names=asked["kept"]) if asked["kept"] else None,
    )
    openvino.save_model(quantised, asked["out"], compress_to_fp16=False)


def _tell(told: TextIO, **what: Any) -> None:
    told.write(json.dumps(what) + "\n")
    told.flush()


def _main() -> None:
    asked = json.loads(sys.argv[1])
    sys.path[:] = asked["path"]
    os.environ["NNCF_CI"] = "1"  # no telemetry
    sys.modules["torch"] = None  # type: ignore[assignment]  # NNCF imports it if it is there, for seconds, for nothing
    with os.fdopen(os.dup(1), "w") as told:
        os.dup2(2, 1)  # what NNCF prints joins its errors
        try:
            quantise(asked, told)
        except Exception as error:  # its own classes, and what its libraries raise
            _tell(told, error=next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__))
            raise SystemExit(1) from error


if __name__ == "__main__":
    _main()
