# SPDX-License-Identifier: Apache-2.0
"""The process in which NNCF quantises. It changes logging, writes to stdout and keeps gigabytes: here it may.

Run as a file by to_int8.py, with one argument, JSON. Prints a line of JSON for every picture that it has taken and,
where NNCF refuses the model, one with the reason. Any other failure ends it with a traceback.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, TextIO


def quantise(asked: dict[str, Any], told: TextIO) -> None:
    """Quantises a model.

    Args:
        asked: ``place``, a folder with model.xml and inputs.bin, float32 of this ``shape`` (pictures, 3, H, W), where
            int8.xml is written; ``kept``, the names of layers that stay in float32.
        told: For the lines.
    """
    import nncf
    import numpy as np
    import openvino

    logging.getLogger("nncf").setLevel(logging.ERROR)
    place = Path(asked["place"])
    model = openvino.Core().read_model(str(place / "model.xml"))
    inputs = np.memmap(place / "inputs.bin", np.float32, "r", shape=tuple(asked["shape"]))
    taken = 0

    def take(index: int) -> Any:
        nonlocal taken
        taken += 1
        _tell(told, taken=min(taken, len(inputs)))
        return np.array(inputs[index : index + 1])

    try:
        quantised = nncf.quantize(
            model,
            nncf.Dataset(range(len(inputs)), take),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(inputs),
            advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
            ignored_scope=nncf.IgnoredScope(names=asked["kept"]) if asked["kept"] else None,
        )
    except (MemoryError, OSError):
        raise  # not the model's fault
    except Exception as error:  # its own classes, and what its libraries raise
        _tell(told, error=next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__))
        raise SystemExit(1) from error
    openvino.save_model(quantised, str(place / "int8.xml"), compress_to_fp16=False)


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
        quantise(asked, told)


if __name__ == "__main__":
    _main()
