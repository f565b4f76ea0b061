# SPDX-License-Identifier: Apache-2.0
"""Where a frame's time goes on a GPU, and what the engine adds to the network.

For each frame size: device times of the stages (events inside a CUDA graph), also for NV12 frames; wall-clock time of
pageable and pinned frames, and of new sizes; the host time of a call with a device frame; frames per second over
three slots, also of one stabilized video; with PyTorch also the plain recipe (OpenCV, eager, fp16), interleaved.

  python benchmarks/gpu_latency.py                       # u2net with random weights, which take the same time
  python benchmarks/gpu_latency.py --network u2netp      # a catalogue name or a checkpoint
  python benchmarks/gpu_latency.py --network copy        # no network at all: the engine alone, without PyTorch
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import _report
import numpy as np
from _timing import interleave, ratio, spread, summary
from rich.table import Table

from rmbg_trt import _core, bench
from rmbg_trt.frame import open_frame
from rmbg_trt.options import FrameOptions

SIZES = {**bench.SIZES, "120p": (120, 214)}  # the last for rehearsals on the CPU
SIDE = 320


class CopyNetwork:
    """Copies the input's first plane: as little of a network as there can be."""

    def __init__(self, side: int) -> None:
        self._tensors: list[Any] = []
        self._bytes = 4 * side * side
        spec = _core.TensorSpec
        self.network = _core.python_network(
            spec("input", (1, 3, side, side)),
            spec("output", (1, 1, side, side)),
            lambda *tensors: self._tensors.extend(tensors),
            self._enqueue,
            capturable=True,
        )

    def _enqueue(self, stream: int) -> None:
        source, target = self._tensors
        _core.copy_on_device(target.ptr, source.ptr, self._bytes, stream)


def open_networks(name: str, slots: int, side: int = SIDE) -> tuple[list[Any], Any]:
    """The networks of a pipeline, and the PyTorch module behind them, or None."""
    if name == "copy":
        return [CopyNetwork(side).network for _ in range(slots)], None
    import torch

    from rmbg_trt import models
    from rmbg_trt.networks import torch as torch_network
    from rmbg_trt.networks.torch_matte import Matte
    from rmbg_trt.training.models import build

    torch.manual_seed(1)
    random = name.startswith("random-")
    model = build(name.removeprefix("random-")) if random else torch_network.read_model(models.resolve(name))[0]
    device = torch.device("cuda", 0)
    matte = Matte(model.eval(), torch.float16).to(device)
    made = [torch_network.Slot(torch, matte, device, graphs=torch_network.has_raw_graphs(torch)) for _ in range(slots)]
    return [slot.network(SIDE, SIDE, half=True) for slot in made], matte


def settle(pipeline: Any, seconds: float = 1.0) -> None:
    """Keeps the GPU busy until its clock has gone up: an idle one takes a fifth of it."""
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        if not pipeline.measure(10):
            raise RuntimeError("no frame has been run yet")


def stages(pipeline: Any, repeats: int) -> dict[str, Any]:
    """Device times in microseconds."""
    settle(pipeline)
    times = pipeline.measure(repeats)
    return {name.replace("_ms", "_us"): spread([1e3 * each[name] for each in times]) for name in times[0]}


def call_with(pipeline: Any, frame: Any, nv12: str | None = None) -> Callable[[], Any]:
    """The call that makes alpha of a frame that lies on the GPU, on the current stream of the frame's library."""
    options = FrameOptions(nv12=nv12)
    return lambda: open_frame(pipeline, frame, "bgr", options).run(pipeline)


def nv12_stages(pipeline: Any, size: tuple[int, int], repeats: int) -> dict[str, Any]:
    """Those of a video decoder's frames."""
    frame = _core.cuda_upload(np.random.default_rng(0).integers(0, 256, (size[0] // 2 * 3, size[1]), dtype=np.uint8))
    run = call_with(pipeline, frame, nv12="bt709")
    for _ in range(3):
        run().numpy()
    return stages(pipeline, repeats)


def host_frames(pipeline: Any, size: tuple[int, int], rounds: int) -> dict[str, list[float]]:
    """Wall-clock milliseconds of a whole frame, interleaved: pageable, pinned, and of a size that is always new."""
    heights = itertools.cycle(range(size[0], max(size[0] - 64, 1), -1))  # more than the graphs that are kept

    rng = np.random.default_rng(0)
    pageable = rng.integers(0, 256, (*size, 3), dtype=np.uint8), np.empty(size, np.uint8)
    pinned = _core.host_buffer([*size, 3], pinned=True), _core.host_buffer(list(size), pinned=True)
    pinned[0][...] = pageable[0]

    alpha = _core.FrameOptions()

    def new_size() -> None:
        height = next(heights)
        pipeline.run(pageable[0][:height], pageable[1][:height], "bgr", alpha)

    contenders = {
        "pageable": lambda: pipeline.run(*pageable, "bgr", alpha),
        "pinned": lambda: pipeline.run(*pinned, "bgr", alpha),
        "new_size": new_size,
    }
    return interleave(contenders, rounds, warmup=3, between=lambda: None)


def device_frames(pipeline: Any, frame: Any, rounds: int) -> dict[str, list[float]]:
    """Host cost of a call (microseconds), and time of a frame in a row of frames (milliseconds)."""
    run = call_with(pipeline, frame)
    for _ in range(5):
        run().numpy()
    settle(pipeline)
    cost, each = [], []
    for _ in range(rounds):
        burst = 20  # short enough that the GPU's queue is never full
        last = None
        begin = time.perf_counter()
        for _ in range(burst):
            last = run()  # the one before is held until then, so results take turns in two places, as in a real loop
        called = time.perf_counter()
        last.numpy()
        cost.append(1e6 * (called - begin) / burst)
        each.append(1e3 * (time.perf_counter() - begin) / burst)
    return {"call_us": cost, "frame_ms": each}


def throughput(pipeline: Any, size: tuple[int, int], frames: int, track: Any = None) -> float:
    """Pinned frames a second with all slots in flight; with a track, of one video whose matte is stabilised."""
    pairs = [
        (_core.host_buffer([*size, 3], pinned=True), _core.host_buffer(list(size), pinned=True))
        for _ in range(2 * pipeline.slots)
    ]
    alpha, waiting = _core.FrameOptions(), deque[Any]()
    for turn in range(2):  # the first to warm up
        begin = time.perf_counter()
        for index in range(frames if turn else 4 * pipeline.slots):
            if len(waiting) == 2 * pipeline.slots - 1:
                waiting.popleft().wait()
            waiting.append(pipeline.submit(*pairs[index % len(pairs)], "bgr", alpha, track))
        while waiting:
            waiting.popleft().wait()
    return frames / (time.perf_counter() - begin)


def plain_recipe(matte: Any, size: tuple[int, int]) -> Callable[[], object]:
    """What scripts on the web do: OpenCV around PyTorch, eager, in half precision."""
    import cv2
    import torch

    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])

    def run() -> object:
        rgb = cv2.cvtColor(cv2.resize(frame, (SIDE, SIDE)), cv2.COLOR_BGR2RGB).astype(np.float32)
        rgb = (rgb / max(float(rgb.max()), 1e-6) - mean) / std
        with torch.inference_mode():
            x = torch.from_numpy(rgb.transpose(2, 0, 1)[None].copy()).cuda().half()
            p = matte(x)[0, 0]
            p = (p - p.min()) / (p.max() - p.min())
            alpha = (p * 255).byte().cpu().numpy()
        return cv2.resize(alpha, (size[1], size[0]))

    return run


def network_alone(matte: Any, repeats: int) -> dict[str, float]:
    """Device time of the network in PyTorch's own CUDA graph, in milliseconds."""
    import torch

    x = torch.randn(1, 3, SIDE, SIDE, device="cuda", dtype=torch.float16)
    # cuDNN tries out its algorithms, as it does for the slots.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
        for _ in range(3):
            matte(x)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            matte(x)
    for _ in range(repeats):  # until the clock is up
        graph.replay()
    times = []
    for _ in range(repeats):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return spread(times)


def measure(name: str, size: tuple[int, int], matte: Any, networks: list[Any], options: argparse.Namespace) -> Any:
    """All figures of one frame size."""
    pipeline = _core.Pipeline(networks, device=0)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    found: dict[str, Any] = {}
    makers: dict[str, Callable[[], Any]] = {"device_frames": lambda: _core.cuda_upload(image)}
    if matte is not None:
        import torch

        makers["tensors"] = lambda: torch.from_numpy(image).cuda()
    for kind, make in makers.items():
        device = device_frames(pipeline, make(), max(3, options.rounds // 4))
        found[kind] = {key: spread(values) for key, values in device.items()}
    found["stages_of_device_frames"] = stages(pipeline, options.rounds)
    found["stages_of_nv12_frames"] = nv12_stages(pipeline, size, options.rounds)
    found["host_frames"] = summary(host_frames(pipeline, size, options.rounds))
    found["frames_per_second"] = throughput(pipeline, size, 10 * options.rounds)
    found["frames_per_second_of_a_track"] = throughput(pipeline, size, 10 * options.rounds, _core.Track(stabilize=True))
    found["mode"] = pipeline.modes()
    if matte is not None:
        ours = image, np.empty(size, np.uint8), "bgr", _core.FrameOptions()
        contenders = {"ours": lambda: pipeline.run(*ours), "plain": plain_recipe(matte, size)}
        by_turns = interleave(contenders, max(3, options.rounds // 2), between=lambda: None)
        found["plain_recipe"] = {**summary(by_turns), "plain_over_ours": ratio(by_turns, "plain", "ours")}
    pipeline.close()
    _report.console.print(f"{name}: {found}")
    return found


def bounds(name: str, figures: dict[str, Any], network_alone: dict[str, float] | None) -> dict[str, Any]:
    """What is claimed for frames of 1920x1080 and 3840x2160, beside what was measured."""
    limit_us = {"1080p": 20, "2160p": 50}.get(name)
    if limit_us is None:
        return {}
    of, host = figures["stages_of_device_frames"], figures["host_frames"]
    claims = {
        f"{name}: {stage}": _report.bound(of[f"{stage}_us"]["median"], at_most=limit_us, unit="µs")
        for stage in ("preprocess", "postprocess")
    }
    if name == "2160p":
        return claims
    call = figures["device_frames"]["call_us"]["median"]
    claims[f"{name}: host cost of a device frame"] = _report.bound(call, at_most=25, unit="µs")
    network_ms = of["network_us"]["median"] / 1e3
    for kind, added in (("pinned", 0.35), ("pageable", 0.8)):
        more = host[kind]["median"] - network_ms
        claims[f"{name}: {kind} frame, beyond the network"] = _report.bound(more, at_most=added, unit="ms")
    if network_alone is not None:
        share = figures["frames_per_second"] * network_alone["median"] / 1e3
        claims[f"{name}: of the network's own frame rate"] = _report.bound(share, at_least=0.95)
        times = figures["plain_recipe"]["plain_over_ours"]["median"]
        claims[f"{name}: plain PyTorch over ours"] = _report.bound(times, at_least=4)
    return claims


def main() -> None:
    """Times all sizes, prints a table and saves the figures."""
    parser = _report.parser(__doc__)
    parser.add_argument("--network", default="random-u2net", help="random-u2net, random-u2netp, copy, a name or a file")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--slots", type=int, default=3)
    parser.add_argument("--side", type=int, default=SIDE, help="of the input of the network copy")
    parser.add_argument("--sizes", default="480p,720p,1080p,2160p")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    names = options.sizes.split(",")
    for name in names:
        networks, matte = open_networks(options.network, options.slots, options.side)
        if matte is not None and "network_alone_ms" not in figures:
            figures["network_alone_ms"] = network_alone(matte, options.rounds)
        figures[name] = measure(name, SIZES[name], matte, networks, options)
        figures[name]["bounds"] = bounds(name, figures[name], figures.get("network_alone_ms"))
        _report.save("gpu_latency", options, figures)  # what there is, should the machine go before the end
    columns = "frame", "pre µs", "network µs", "post µs", "call µs", "pinned ms", "pageable ms", "new size ms"
    table = Table(*columns, "frames/s", "track's")
    for name in names:
        of, device, host = (figures[name][key] for key in ("stages_of_device_frames", "device_frames", "host_frames"))
        cells = [of[f"{stage}_us"]["median"] for stage in ("preprocess", "network", "postprocess")]
        cells += [device["call_us"]["median"], *(host[kind]["median"] for kind in ("pinned", "pageable", "new_size"))]
        cells += [figures[name][f"frames_per_second{of_what}"] for of_what in ("", "_of_a_track")]
        table.add_row(name, *(f"{cell:.4g}" for cell in cells))
    _report.console.print(table)
    _report.show_bounds(figures)
    if not all(mode == "graph" for name in names for mode in figures[name]["mode"]):
        raise SystemExit("not all slots run their frames as graphs: see mode in the figures")


if __name__ == "__main__":
    main()
