# SPDX-License-Identifier: Apache-2.0
"""Claim: a video job runs at 0.9 or more of the rate of the network alone, and its memory does not grow with the clip.

Rate: each round runs decoded frames from memory through the engine (alpha, one frame in flight per slot), then the
whole job: decode, matte, composite over a color, encode as H.264 and copy the sound. The job runs twice: plain, as in
the claim, and refined, decontaminated and stabilised, which is the default. Times are compared within a round, so other
load affects all of them. Where the processor does everything, decoding, colors and encoding make the rest up to 1.

Finish: what each of these three adds to the postprocessing of a 1920x1080 frame, by Engine.profile(), beside the
network's time. An engine for each, by turns.

Memory: a made clip of many frames and a network of one convolution; resident memory at the end less that after the
first tenth.

Needs PyAV, scikit-image, psutil and the weights; onnx for --memory-frames.

Examples:
  python benchmarks/video_throughput.py CLIP
  python benchmarks/video_throughput.py CLIP --model u2netp --duration 1 --rounds 3 --memory-frames 10000
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from _photograph import photograph
from _report import bound, console, parser, save, show_bounds
from _timing import interleave, ratio, shown, summary
from memory import made_network, resident_mib
from rich.table import Table

from rmbg_trt import Engine, VideoMatter
from rmbg_trt.video import Progress, matte_video
from rmbg_trt.video.source import Source

LEAST = 0.9
_TENTHS = 10
_PLAIN = {"refine": False, "decontaminate": False, "stabilize": False}
_FINISHES = {
    "plain": _PLAIN,
    "refine": {**_PLAIN, "refine": True},
    "decontaminate": {**_PLAIN, "decontaminate": True},
    "stabilize": {**_PLAIN, "stabilize": True},
    "all three": {},
}


def rates(engine: Engine, options: Any, folder: Path) -> dict[str, Any]:
    duration = Fraction(options.duration) if options.duration else None
    with Source(options.clip, duration=duration) as source:
        frames = [frame.pixels for frame in source.frames()]
        height, width = source.size

    def network_alone() -> None:
        for _ in engine.map(frames):
            pass

    def job(finish: dict[str, bool]) -> None:
        asked: dict[str, Any] = {"background": "green", "duration": duration, "overwrite": True, **finish}
        matte_video(options.clip, folder / "o.mp4", engine=engine, **asked)

    work = {"network alone": network_alone, "job": lambda: job(_PLAIN), "job with its finish": lambda: job({})}
    times = interleave(work, options.rounds, warmup=1)
    medians = {name: float(np.median(each)) for name, each in times.items()}
    return {
        "frames": len(frames),
        "size": [height, width],
        "times_of_all_frames": summary(times),
        "frames_per_second": {name: round(1e3 * len(frames) / each, 2) for name, each in medians.items()},
        "rate_of_the_job_over_that_of_the_network": ratio(times, "network alone", "job"),
        "bounds": {
            "a video job's rate over that of the network": bound(
                ratio(times, "network alone", "job")["median"], at_least=LEAST
            )
        },
        "with_its_finish": ratio(times, "network alone", "job with its finish"),
    }


def finishes(model: str, output: Any, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of the postprocessing, and what the finish adds to it as a share of the network's time."""
    image = np.asarray(photograph("astronaut", (1920, 1080)))
    frames = [np.ascontiguousarray(np.roll(image, 3 * number, 1)) for number in range(4)]
    with ExitStack() as stack:
        matters = {
            name: stack.enter_context(VideoMatter(model, color="rgb", slots=1, **flags))
            for name, flags in _FINISHES.items()
        }

        def by_turns(matter: VideoMatter) -> Callable[[], object]:
            turns = itertools.cycle(frames)
            return lambda: matter.run(next(turns), output=output)

        interleave({name: by_turns(matter) for name, matter in matters.items()}, rounds)
        profiles = {name: matter.engine.profile() for name, matter in matters.items()}
    plain, network = profiles["plain"]["postprocess_ms"], float(np.median([p["network_ms"] for p in profiles.values()]))
    return {
        name: {
            "postprocess_ms": round(each["postprocess_ms"], 1),
            "added_over_network": round((each["postprocess_ms"] - plain) / network, 3),
        }
        for name, each in profiles.items()
    }


def made_clip(path: Path, frames: int) -> Path:
    """Moving noise, 160 x 120, with a key frame each second."""
    generator = np.random.default_rng(1)
    tile = generator.integers(0, 256, (120, 1600, 3), np.uint8)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "25", "crf": "35"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(frames):
            image = np.ascontiguousarray(np.roll(tile, -8 * number, 1)[:, :160])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
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
    made.add_argument("--finish-rounds", type=int, default=20, help="frames for each finish (default: %(default)s)")
    made.add_argument("--memory-frames", type=int, default=0, help="length of the made clip (default: no such run)")
    options = made.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = stack.enter_context(Engine(options.model, color="rgb", stretch="none", slots=options.slots))
        figures: dict[str, Any] = {"engine": str(engine.info), **rates(engine, options, folder)}
        if options.memory_frames:
            figures["memory"] = memory(options.memory_frames, folder)
    outputs = ("alpha", "cutout") if options.finish_rounds else ()
    figures["finish_of_a_1080p_frame"] = {
        each: finishes(options.model, each, options.finish_rounds) for each in outputs
    }
    table = Table(title=f"{options.model}, {figures['frames']} frames", title_justify="left", show_header=False)
    for name, value in figures["frames_per_second"].items():
        table.add_row(name, f"{value} fps")
    table.add_row("job / network alone", shown(figures["rate_of_the_job_over_that_of_the_network"]))
    table.add_row("with its finish", shown(figures["with_its_finish"]))
    for output, steps in figures["finish_of_a_1080p_frame"].items():
        for name, each in steps.items():
            added = f"{each['added_over_network']:+.1%} of the network's time"
            table.add_row(f"{output}, {name}", f"postprocessing {each['postprocess_ms']} ms, {added}")
    for name, value in figures.get("memory", {}).items():
        table.add_row(name.replace("_", " "), str(value))
    console.print(table)
    show_bounds(figures)
    save("video_throughput", options, figures)


if __name__ == "__main__":
    main()
