# SPDX-License-Identifier: Apache-2.0
"""The official weights as the official ``.pth`` (a state dict), for rivals that read nothing else.

Run with the Python of the environment "pytorch": ``python weights.py MODEL.onnx MODEL.pth``. Exporting to ONNX folded
the batch normalisations into the convolutions; they come back as the identity, so the network computes the same and a
rival still does all of its own work.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    import onnx
    import torch

    from rmbg_trt.training.models import import_onnx

    source, target = map(Path, sys.argv[1:])
    model, _ = import_onnx(onnx.load(source))
    part = target.with_suffix(".part")
    torch.save(model.state_dict(), part)
    part.replace(target)


if __name__ == "__main__":
    main()
