# SPDX-License-Identifier: Apache-2.0
"""Claim: after warm-up the memory stays flat, whatever sizes the frames have.

Frames of more sizes than the engine keeps plans for, in random order, two in flight, alternating alpha and cutout. The
network is a single 1x1 convolution, so that thousands of frames take seconds; --model takes a real one.
Growth is the resident memory after the last frame less that after the warm-up, which is long because each of the
slots' plans keeps the memory of the largest frame that it has held. "Allocations" are buffers that the core made,
counted by itself.

Needs psutil, onnx (for the small network) and a runtime.

Examples:
  python benchmarks/memory.py
  python benchmarks/memory.py --model u2netp --frames 200 --warm-up 60
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil
from _report import console, parser, save
from rich.progress import track
from rich.table import Table

from rmbg_trt import Engine, _core

# (height, width); more than the eight sizes that plans are kept for.
SIZES = (
    (1080, 1920), (1920, 1080), (720, 1280), (1280, 720), (480, 640), (333, 517), (900, 900), (576, 1024),
    (200, 3000), (1081, 1919), (64, 64), (1, 1),
)  # fmt: skip
SAMPLES = 40  # of the resident memory over the run


def made_network(path: Path) -> Path:
    """The mean of the three colors through a sigmoid, 320x320."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    kernel = numpy_helper.from_array(np.full((1, 3, 1, 1), 1 / 3, np.float32), "kernel")
    nodes = [
        helper.make_node("Conv", ["input", "kernel"], ["mean"]),
        helper.make_node("Sigmoid", ["mean"], ["matte"]),
    ]
    tensors = {"input": (1, 3, 320, 320), "matte": (1, 1, 320, 320)}
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name, shape in tensors.items()]
    graph = helper.make_graph(nodes, "made", *ends, [kernel])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    save(model, path)
    return path


def resident_mib() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def work(engine: Engine, frames: list[np.ndarray], order: Iterator[int]) -> None:
    """``slots`` frames in flight; tickets are given up in order, as Engine.map does it."""
    waiting = []
    for number, index in enumerate(order):
        if len(waiting) == engine.info.slots:
            waiting.pop(0).result()
        waiting.append(engine.submit(frames[index], output="cutout" if number % 2 else "alpha"))
    for ticket in waiting:
        ticket.result()


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--model", help="catalogue name or file (default: a made network)")
    made.add_argument("--frames", type=int, default=2000, help="(default: %(default)s)")
    made.add_argument("--warm-up", type=int, default=400, help="frames before the measuring (default: %(default)s)")
    options = made.parse_args()
    generator = np.random.default_rng(1)
    frames = [generator.integers(0, 256, (*size, 3), np.uint8) for size in SIZES]
    order = generator.integers(0, len(SIZES), options.frames)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = stack.enter_context(Engine(options.model or made_network(folder / "made.onnx")))
        work(engine, frames, iter(generator.integers(0, len(SIZES), options.warm_up)))
        allocations = _core.allocation_count()
        resident = [resident_mib()]
        begin = time.perf_counter()
        for piece in track(np.array_split(order, SAMPLES), "frames", transient=True, console=console):
            work(engine, frames, iter(piece))
            resident.append(resident_mib())
        seconds = time.perf_counter() - begin
        figures = {
            "frames": options.frames,
            "sizes": len(SIZES),
            "network": options.model or "made",
            "runtime": engine.info.runtime,
            "resident_after_warm_up_mib": round(resident[0], 2),
            "resident_at_the_end_mib": round(resident[-1], 2),
            "growth_mib": round(resident[-1] - resident[0], 2),
            "growth_of_the_second_half_mib": round(resident[-1] - resident[SAMPLES // 2], 2),
            "peak_growth_mib": round(max(resident) - resident[0], 2),
            "allocations_after_warm_up": _core.allocation_count() - allocations,
            "buffers_in_use_mib": round(_core.bytes_in_use() / 2**20, 2),
            "seconds": round(seconds, 1),
        }
    table = Table(title="memory", title_justify="left", show_header=False)
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), str(value))
    console.print(table)
    save("memory", options, figures)


if __name__ == "__main__":
    main()
