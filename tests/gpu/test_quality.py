# SPDX-License-Identifier: Apache-2.0
"""Refinement, foreground colours and what frames carry over: the same bytes on the GPU as on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.gpu import gpu_networks as gpu

from rmbg_trt import _core

# (height, width, channels) beside the network's (32, 48): larger, smaller, extreme, and one that is cut into blocks of
# several pixels (longer than 320).
SHAPES = [(40, 61, 3), (7, 5, 4), (1, 1, 1), (33, 400, 3), (50, 30, 4), (1, 90, 3)]
QUALITIES = [
    {"refine": True},
    {"decontaminate": True},
    {"refine": True, "decontaminate": True},
]


def flat_parts(rng: np.random.Generator, height: int, width: int, channels: int) -> NDArray[np.uint8]:
    """Flat parts and edges, so that alpha is 0 and 255 in places, as in a photograph."""
    frame = gpu.random_frame(rng, height, width, channels)
    y, x = np.mgrid[:height, :width]
    frame[(x * 3 > width) & (y * 2 < height)] //= 16
    frame[x * 3 > 2 * width] = 250
    return frame


@pytest.mark.parametrize("options", QUALITIES)
@pytest.mark.parametrize(
    ("output", "more"),
    [
        ("alpha", {}),
        ("cutout", {}),
        ("cutout", {"premultiplied": True}),
        ("composite", {"background": (9, 200, 30)}),
        ("composite", {"blur_sigma": 2.5}),
    ],
)
def test_the_same_bytes_as_on_the_cpu(output: str, more: dict[str, object], options: dict[str, object]) -> None:
    rng = np.random.default_rng(3)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for shape in SHAPES:
        for turn in range(3):  # plain launches; recorded and replayed; replayed
            frame = flat_parts(rng, *shape)
            got = gpu.run(pipeline, frame, output, **more, **options)
            expected = gpu.run(cpu, frame, output, **more, **options)
            np.testing.assert_array_equal(got, expected, f"{shape}, turn {turn}")
    assert pipeline.modes() == ["graph"]


def test_rgb_frames() -> None:
    rng = np.random.default_rng(4)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for options in QUALITIES:
        frame = flat_parts(rng, 90, 110, 3)
        results = [np.empty((90, 110, 4), np.uint8) for _ in range(2)]
        for each, result in zip((pipeline, cpu), results, strict=True):
            each.run(frame, result, "rgb", _core.FrameOptions("cutout", **options))
        np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("carried", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("slots", [1, 3])
def test_what_frames_carry_over(carried: tuple[bool, bool], slots: int) -> None:
    rng = np.random.default_rng(5)
    (pipeline, _), cpu = gpu.pipeline(slots, stretch="fixed"), gpu.on_the_cpu(stretch="fixed")
    tracks = [_core.Track(*carried) for _ in range(2)]
    scene = flat_parts(rng, 50, 70, 3)
    frames = []
    for number in range(14):
        if number == 6:  # a cut
            scene = 255 - scene
        if number == 10:  # another size
            scene = flat_parts(rng, 44, 90, 3)
        noise = rng.integers(-20, 20, scene.shape)
        frames.append(np.clip(scene.astype(int) + noise, 0, 255).astype(np.uint8))
    expected = [gpu.run(cpu, frame, "alpha", track=tracks[1]) for frame in frames]
    waiting = []
    for frame in frames:
        result = np.empty(frame.shape[:2], np.uint8)
        waiting.append((pipeline.submit(frame, result, "bgr", _core.FrameOptions(), tracks[0]), result))
    for number, (completion, result) in enumerate(waiting):
        completion.wait()
        completion.rethrow()
        np.testing.assert_array_equal(result, expected[number], f"frame {number}")
    plain = gpu.run(cpu, frames[5], "alpha")
    assert (expected[5] != plain).any()  # something was carried over


def test_a_reset_begins_anew() -> None:
    rng = np.random.default_rng(6)
    pipeline, _ = gpu.pipeline(stretch="fixed")
    track = _core.Track(True)
    frames = [flat_parts(rng, 50, 70, 3) for _ in range(2)]
    first = gpu.run(pipeline, frames[0], "alpha", track=track)
    gpu.run(pipeline, frames[1], "alpha", track=track)
    assert (gpu.run(pipeline, frames[0], "alpha", track=track) != first).any()
    track.reset()
    np.testing.assert_array_equal(gpu.run(pipeline, frames[0], "alpha", track=track), first)


def test_frames_on_the_gpu_carry_over() -> None:
    rng = np.random.default_rng(7)
    (pipeline, _), cpu = gpu.pipeline(2, stretch="fixed"), gpu.on_the_cpu(stretch="fixed")
    tracks = [_core.Track(True, True) for _ in range(2)]
    scene = flat_parts(rng, 50, 70, 3)
    options = _core.FrameOptions("cutout", refine=True, decontaminate=True)
    for _ in range(5):
        noisy = np.clip(scene.astype(int) + rng.integers(-20, 20, scene.shape), 0, 255).astype(np.uint8)
        result = _core.run_on_device(pipeline, _core.cuda_upload(noisy), None, "bgr", options, 1, tracks[0])
        expected = gpu.run(cpu, noisy, "cutout", refine=True, decontaminate=True, track=tracks[1])
        np.testing.assert_array_equal(result.numpy(), expected)


def test_half_precision_is_near() -> None:
    rng = np.random.default_rng(8)
    half = _core.Pipeline([gpu.RedPlane(dtype="float16").network], stretch="fixed", device=0)
    cpu = gpu.on_the_cpu(stretch="fixed")
    tracks = [_core.Track(True, True) for _ in range(2)]
    scene = flat_parts(rng, 50, 70, 3)
    for _ in range(5):
        noisy = np.clip(scene.astype(int) + rng.integers(-20, 20, scene.shape), 0, 255).astype(np.uint8)
        got = gpu.run(half, noisy, "alpha", track=tracks[0]).astype(int)
        assert np.abs(got - gpu.run(cpu, noisy, "alpha", track=tracks[1])).max() <= 4
