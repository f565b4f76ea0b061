# SPDX-License-Identifier: Apache-2.0
"""Every kernel once or twice on small frames of awkward shapes: what compute-sanitizer watches, in a minute or so.

python -m tests.gpu.sanitizer_run            # under compute-sanitizer
python -m tests.gpu.sanitizer_run --count    # on its own: fails unless every kernel of the extension was launched
python -m tests.gpu.sanitizer_run NV12       # a part of it only, of those at the end of this file
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable

import numpy as np
from tests import fakes
from tests.gpu import gpu_networks as gpu
from tests.gpu import kernels

from rmbg_trt import _core

SIZES = ((61, 35), (300, 17), (5, 203), (1, 1))
OUTPUTS = [
    ("alpha", {}),
    ("cutout", {}),
    ("cutout", {"premultiplied": True}),
    ("composite", {"background": (1, 2, 3)}),
    ("composite", {"blur_sigma": 2.0}),
]
rng = np.random.default_rng(0)


def frames(dtype: str) -> None:
    """All outputs of frames of all formats, from the host and on the GPU; those in single precision as on the CPU."""
    cpu = gpu.on_the_cpu()
    pipeline = _core.Pipeline([gpu.RedPlane(dtype=dtype).network], device=0)
    for size in SIZES:
        for channels in (1, 3, 4):
            for output, options in OUTPUTS:
                for _ in range(3):
                    frame = gpu.random_frame(rng, *size, channels)
                    got = gpu.run(pipeline, frame, output, **options)
                    if dtype == "float32":
                        np.testing.assert_array_equal(got, gpu.run(cpu, frame, output, **options))
            frame = _core.cuda_upload(gpu.random_frame(rng, *size, channels))
            for _ in range(2):
                gpu.run_on_gpu(pipeline, frame, "cutout").numpy()
            pipeline.measure(2)
    pipeline.close()


def track(dtype: str) -> None:
    """The frames of a video, with everything that is done for their quality; the network's rows are no whole words."""
    pipeline = _core.Pipeline([gpu.RedPlane((31, 47), dtype).network], device=0)
    for size, channels in itertools.product(SIZES, (1, 3, 4)):
        state = _core.Track(True, True)
        for number in range(4):
            frame = gpu.random_frame(rng, *size, channels)
            quality = {"refine": True, "decontaminate": True, "blur_sigma": 2.0 * (number > 1)}
            gpu.run(pipeline, frame, "composite", background=(1, 2, 3), track=state, **quality)
        pipeline.measure(2)
    pipeline.close()


def video_frames() -> None:
    """Frames of a decoder, NV12, with rows that begin anywhere in a word."""
    pipeline = _core.Pipeline([gpu.RedPlane().network], device=0)
    for height, width in ((48, 66), (2, 2), (30, 128)):
        for before in range(4):
            frame = rng.integers(0, 256, (height * 3 // 2, width + 7), dtype=np.uint8)[:, before : before + width]
            for name in ("bt601", "bt709-full"):
                pipeline.run(frame, np.zeros((height, width), np.uint8), "bgr", _core.FrameOptions("alpha", nv12=name))
            gpu.run_on_gpu(pipeline, _core.cuda_upload(frame), nv12="bt709").numpy()
    pipeline.close()


def windows() -> None:
    """Rows with tiles of all sizes, and too wide for one, of all formats and beginnings."""
    for width in (320, 7680, 40000, 160000):
        for channels in ((), (3,), (4,)):
            frame = rng.integers(0, 256, (9, width, *channels), dtype=np.uint8)
            for offset in (0, 3):
                made = _core.cuda_preprocess(frame, (8, 320), offset=offset)
                np.testing.assert_array_equal(made, _core.preprocess(frame, (8, 320)))
    prediction = rng.random((8, 60000), dtype=np.float32)
    alpha = np.zeros((6, 5), np.uint8)
    _core.Pipeline([fakes.known(prediction)]).run(np.zeros((6, 5, 3), np.uint8), alpha, "bgr", _core.FrameOptions())
    np.testing.assert_array_equal(_core.cuda_postprocess(prediction, np.zeros((6, 5, 3), np.uint8)), alpha)


def channels_last() -> None:
    """The network's input with its channels last, in rows of whole words and others."""
    frame = rng.integers(0, 256, (9, 50, 3), dtype=np.uint8)
    for size, dtype in itertools.product(((8, 320), (7, 5)), ("float32", "float16")):
        _core.cuda_preprocess(frame, size, dtype=dtype, layout="nhwc")


STEPS: tuple[tuple[str, Callable[[], None]], ...] = (
    ("windows", windows),
    ("channels last", channels_last),
    ("NV12", video_frames),
    ("a track", lambda: track("float32")),
    ("a track in half precision", lambda: track("float16")),
    ("frames", lambda: frames("float32")),
    ("frames in half precision", lambda: frames("float16")),
)


def run(names: list[str]) -> None:
    for name, step in STEPS:
        if not names or name in names:
            step()
            print(f"{name}: done", flush=True)  # how far it came, should its time be up


def main() -> None:
    names = [word for word in sys.argv[1:] if word != "--count"]
    if "--count" not in sys.argv[1:]:
        run(names)
        return
    known, launched = kernels.in_module(), kernels.launched_by(lambda: run(names))
    missed, foreign = sorted(known - launched), sorted(launched - known)
    print(f"{len(known)} kernels, {len(launched)} launched")
    if not known or missed or foreign:
        raise SystemExit(f"never launched: {missed}; launched, but not found in the extension: {foreign}")


if __name__ == "__main__":
    main()
