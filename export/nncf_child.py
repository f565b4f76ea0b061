# SPDX-License-Identifier: Apache-2.0
"""Quantises with NNCF in a child process, because NNCF changes logging, writes to stdout and keeps gigabytes.

to_int8.py runs this file with one JSON argument. It prints a line of JSON for every image that NNCF has read and, if
NNCF refuses the model, one with the reason. Any other failure ends it with a traceback.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, TextIO


def quantise(task: dict[str, Any], messages: TextIO) -> None:
    """Quantises a model.

    Args:
        task: ``place``, a folder with model.xml and inputs.bin, where int8.xml is written; ``shape`` (images, 3, H, W)
            of the float32 inputs; ``kept``, the names of layers that stay in float32.
        messages: Stream for the lines of JSON.
    """
    import nncf
    import numpy as np
    import openvino

    logging.getLogger("nncf").setLevel(logging.ERROR)
    place = Path(task["place"])
    model = openvino.Core().read_model(str(place / "model.xml"))
    inputs = np.memmap(place / "inputs.bin", np.float32, "r", shape=tuple(task["shape"]))
    done = 0

    def read(index: int) -> Any:
        nonlocal done
        done += 1
        _send(messages, done=min(done, len(inputs)))
        return np.array(inputs[index : index + 1])

    try:
        quantised = nncf.quantize(
            model,
            nncf.Dataset(range(len(inputs)), read),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(inputs),
            advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
            ignored_scope=nncf.IgnoredScope(names=task["kept"]) if task["kept"] else None,
        )
    except (MemoryError, OSError):
        raise  # not because of the model
    except Exception as error:  # its own classes, and what its libraries raise
        _send(messages, error=next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__))
        raise SystemExit(1) from error
    openvino.save_model(quantised, str(place / "int8.xml"), compress_to_fp16=False)


def _send(messages: TextIO, **message: Any) -> None:
    messages.write(json.dumps(message) + "\n")
    messages.flush()


def _main() -> None:
    task = json.loads(sys.argv[1])
    sys.path[:] = task["path"]
    os.environ["NNCF_CI"] = "1"  # no telemetry
    sys.modules["torch"] = None  # type: ignore[assignment]  # else NNCF imports it needlessly, which takes seconds
    with os.fdopen(os.dup(1), "w") as messages:
        os.dup2(2, 1)  # NNCF's prints go to stderr
        quantise(task, messages)


if __name__ == "__main__":
    _main()
