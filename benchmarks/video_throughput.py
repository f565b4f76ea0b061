# SPDX-License-Identifier: Apache-2.0
"""Claim: a video job runs at 0.9 or more of the rate of the network alone, and its memory does not grow with the clip.

Rate: the frames of a clip that lie decoded in memory go through the engine (alpha, as many in flight as it has slots);
by turns with it the whole job runs: decode, matte, put over a colour, encode as H.264, copy the sound. The ratio is
that of the times within one round, so other load falls on both. On a machine whose processor does everything, what
the ratio lacks to 1 is the share of decoding, colours and encoding.

Memory: a made clip of many frames and a network of one convolution; resident memory at the end less that after the
first tenth.

Needs PyAV, psutil and the weights; onnx for --memory-frames.

Examples:
  python benchmarks/video_throughput.py CLIP
  python benchmarks/video_throughput.py CLIP --model u2netp --duration 1 --rounds 3 --memory-frames 10000
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from _report import console, parser, save
from _timing import interleave, ratio, shown, summary
from memory import made_network, resident_mib
from rich.table import Table

from rmbg_trt import Engine
from rmbg_trt.video import Progress, matte_video
from rmbg_trt.video.source import Source

_TENTHS = 10


def rates(engine: Engine, options: Any, folder: Path) -> dict[str, Any]:
    duration = Fraction(options.duration) if options.duration else None
    with Source(options.clip, duration=duration) as source:
        frames = [frame.pixels for frame in source.frames()]
        height, width = source.size

    def network_alone() -> None:
        for _ in engine.map(frames):
            pass

    def job() -> None:
        matte_video(
            options.clip, folder / "o.mp4", engine=engine, background="green", duration=duration, overwrite=True
        )

    times = interleave({"network alone": network_alone, "job": job}, options.rounds, warmup=1)
    of_network = ratio(times, "network alone", "job")
    medians = {name: float(np.median(each)) for name, each in times.items()}
    return {
        "frames": len(frames),
        "size": [height, width],
        "times_of_all_frames": summary(times),
        "frames_per_second": {name: round(1e3 * len(frames) / each, 2) for name, each in medians.items()},
        "rate_of_the_job_over_that_of_the_network": of_network,
    }


def made_clip(path: Path, frames: int) -> Path:
    """Moving noise, 160 x 120, with a key frame each second."""
    generator = np.random.default_rng(1)
    tile = generator.integers(0, 256, (120, 1600, 3), np.uint8)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "25", "crf": "35"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(frames):
            picture = np.ascontiguousarray(np.roll(tile, -8 * number, 1)[:, :160])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        out.mux(stream.encode(None))
    return path


def memory(frames: int, folder: Path) -> dict[str, Any]:
    clip = made_clip(folder / "long.mp4", frames)
    resident: list[float] = []

    def sample(done: Progress) -> None:
        if done.frames % (frames // _TENTHS) == 0:
            resident.append(resident_mib())

    with Engine(made_network(folder / "made.onnx"), color="rgb", stretch="none") as engine:
        matte_video(clip, folder / "long_out.mp4", engine=engine, background="blur", progress=sample)
    return {
        "frames": frames,
        "resident_at_each_tenth_mib": [round(each, 1) for each in resident],
        "growth_after_the_first_tenth_mib": round(resident[-1] - resident[0], 1),
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("clip", type=Path, help="any video")
    made.add_argument("--model", default="u2net", help="(default: %(default)s)")
    made.add_argument("--duration", help="seconds of the clip to use (default: all)")
    made.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    made.add_argument("--slots", type=int, default=2, help="(default: %(default)s)")
    made.add_argument("--memory-frames", type=int, default=0, help="length of the made clip (default: no such run)")
    options = made.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = stack.enter_context(Engine(options.model, color="rgb", stretch="none", slots=options.slots))
        figures: dict[str, Any] = {"engine": str(engine.info), **rates(engine, options, folder)}
        if options.memory_frames:
            figures["memory"] = memory(options.memory_frames, folder)
    table = Table(title=f"{options.model}, {figures['frames']} frames", title_justify="left", show_header=False)
    for name, value in figures["frames_per_second"].items():
        table.add_row(name, f"{value} fps")
    table.add_row("job / network alone", shown(figures["rate_of_the_job_over_that_of_the_network"]))
    for name, value in figures.get("memory", {}).items():
        table.add_row(name.replace("_", " "), str(value))
    console.print(table)
    save("video_throughput", options, figures)


if __name__ == "__main__":
    main()
