# SPDX-License-Identifier: Apache-2.0
"""Our PyTorch modules and exported ONNX against the official ONNX file, on photographs, in float32 and in half.

python benchmarks/export_parity.py --images folder/of/photographs
python benchmarks/export_parity.py u2netp --limit 4
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import _report
import numpy as np
from rich.table import Table

from rmbg_trt.export.centre import fit_for_half
from rmbg_trt.export.graph import at_shape, serialize
from rmbg_trt.export.images import NamedImage, input_tensor, load_images
from rmbg_trt.export.options import InputShape
from rmbg_trt.export.predict import Predict, onnx_runtime, torch_predict
from rmbg_trt.export.source import open_source
from rmbg_trt.export.to_fp16 import to_fp16
from rmbg_trt.export.to_onnx import to_onnx
from rmbg_trt.export.verify import check_half

SIZES = [(320, 320), (224, 352), (333, 257), (480, 272), (161, 415)]
BATCHES = (1, 3)


def main() -> None:
    parser = _report.parser(__doc__)
    parser.add_argument("models", nargs="*", default=["u2netp", "u2net"], help="catalogue names")
    parser.add_argument("--images", type=Path, help="folder of photographs; default: the four of the package")
    parser.add_argument("--limit", type=int, default=20, help="photographs to take")
    options = parser.parse_args()
    images = load_images(options.images, options.limit)
    figures = {name: measure(name, images) for name in options.models}
    for name, figure in figures.items():
        table = Table("compared with the official ONNX", "size", "batch", "max |Δ|", title=name, title_justify="left")
        for row in figure["fp32"]:
            table.add_row(row["what"], row["size"], str(row["batch"]), f"{row['max_difference']:.1e}")
        _report.console.print(table)
        half = figure["fp16"]
        _report.console.print(
            f"fp16: mean |Δalpha| {half['mean_alpha']:.3f} of 255, IoU {half['iou']:.5f}, largest value inside "
            f"{figure['largest_activation']:.0f} of 65504"
        )
    _report.save("export_parity", options, {"photographs": len(images), **figures})


def measure(name: str, images: list[NamedImage]) -> dict[str, Any]:
    """Differences of one model at every size and batch, and of its half-precision version."""
    source = open_source(name)
    assert source.model is not None, "the catalogue's models are ours"
    module = torch_predict(source.model)
    rows = []
    for size in SIZES:
        official = onnx_runtime(serialize(at_shape(source.onnx, (1, 3, *size))))
        expected = _each(official, images, size, 1)
        rows.append(_row("PyTorch", size, 1, expected, _each(module, images, size, 1)))
        for batch in BATCHES:
            shape = InputShape((batch,) * 3, (size[0],) * 3, (size[1],) * 3)
            candidate = onnx_runtime(serialize(to_onnx(source.model, shape)))
            rows.append(_row("exported ONNX", size, batch, expected, _each(candidate, images, size, batch)))
    exported = to_onnx(source.model, InputShape())
    compared, activations = check_half(to_fp16(*fit_for_half(exported, InputShape())), module, images, (320, 320))
    return {"fp32": rows, "fp16": compared.to_dict(), "largest_activation": activations.largest}


def _row(what: str, size: tuple[int, int], batch: int, expected: Any, got: Any) -> dict[str, Any]:
    height, width = size
    difference = float(np.abs(got - expected).max())
    return {"what": what, "size": f"{height}x{width}", "batch": batch, "max_difference": difference}


def _each(predict: Predict, images: list[NamedImage], size: tuple[int, int], batch: int) -> Any:
    """Predictions of all images, in batches; the last is filled up with its last image."""
    results = []
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        filled = part + part[-1:] * (batch - len(part))
        results.append(predict(input_tensor(filled, *size))[: len(part)])
    return np.concatenate(results)


if __name__ == "__main__":
    main()
