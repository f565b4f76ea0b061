# SPDX-License-Identifier: Apache-2.0
"""Every kernel once or twice on small frames of awkward shapes: what compute-sanitizer watches, in a minute or so."""

from __future__ import annotations

import numpy as np
from tests.gpu import gpu_networks as gpu

from rmbg_trt import _core

OUTPUTS = [
    ("alpha", {}),
    ("cutout", {}),
    ("cutout", {"premultiplied": True}),
    ("composite", {"background": (1, 2, 3)}),
    ("composite", {"blur_sigma": 2.0}),
]


def main() -> None:
    rng = np.random.default_rng(0)
    cpu = gpu.on_the_cpu()
    for dtype in ("float32", "float16"):
        pipeline = _core.Pipeline([gpu.RedPlane(dtype=dtype).network], device=0)
        for size in ((61, 35), (300, 17), (5, 203), (1, 1)):
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
            track = _core.Track(True, True)
            for number in range(4):
                frame = gpu.random_frame(rng, *size, 3)
                quality = {"refine": True, "decontaminate": True, "blur_sigma": 2.0 * (number > 1)}
                gpu.run(pipeline, frame, "composite", background=(1, 2, 3), track=track, **quality)
            pipeline.measure(2)
        pipeline.close()
    for width in (320, 7680, 40000):  # tiles of all sizes, and none
        _core.cuda_preprocess(rng.integers(0, 256, (9, width, 4), dtype=np.uint8), (8, 320))
    for size in ((8, 320), (7, 5)):  # in whole words, and not
        for dtype in ("float32", "float16"):
            _core.cuda_preprocess(rng.integers(0, 256, (9, 50, 3), dtype=np.uint8), size, dtype=dtype, layout="nhwc")
    print("done")


if __name__ == "__main__":
    main()
