# SPDX-License-Identifier: Apache-2.0
"""``Engine`` on a GPU, over a network that needs no runtime: every kind of frame in, every kind of result out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.forks import in_child
from tests.gpu import gpu_networks as gpu
from tests.gpu.stand_in import StandIn

from rmbg_trt import Engine, Error, InputError, _core, engine
from rmbg_trt.runtimes.request import Opened

MakeEngine = Callable[..., Engine]


@pytest.fixture
def make_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MakeEngine]:
    """Engines over a network that copies: ``make_engine("cuda")`` or ``make_engine("cpu")``."""
    made: list[Engine] = []

    def make(device: str, *, slots: int = 2, **options: Any) -> Engine:
        on_gpu = device == "cuda"
        networks = [
            gpu.RedPlane().network if on_gpu else gpu.fakes.network(lambda x: x[0, 0], gpu.SIZE) for _ in range(slots)
        ]
        where = {"device": "cuda:0", "device_index": 0} if on_gpu else {}
        opened = Opened(networks, "fake", "1", "a test", "fp32", "a test", **where)
        monkeypatch.setattr(engine, "open_network", lambda path, **_: (opened, "a test"))
        (tmp_path / "fake.onnx").touch()
        made.append(Engine(tmp_path / "fake.onnx", slots=slots, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def picture(seed: int = 0, channels: int = 3) -> Any:
    return np.ascontiguousarray(gpu.random_frame(np.random.default_rng(seed), 40, 56, channels))


@pytest.mark.parametrize("color", ["bgr", "rgb"])
def test_arrays_and_pictures(make_engine: MakeEngine, color: str) -> None:
    ours, cpu = make_engine("cuda", color=color), make_engine("cpu", color=color)
    for seed in range(3):
        for options in ({}, {"output": "cutout"}, {"output": "composite", "background": "#102030"}):
            frame = picture(seed, 4)
            np.testing.assert_array_equal(ours.run(frame, **options), cpu.run(frame, **options))
            image = Image.fromarray(frame, "RGBA")
            assert ours.run(image, **options).tobytes() == cpu.run(image, **options).tobytes()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_told_at_once(make_engine: MakeEngine) -> None:
    ours, frame = make_engine("cuda"), picture()
    expected = ours.submit(frame).result()

    def work() -> None:
        for call in (ours.run, ours.submit):
            with pytest.raises(Error, match=r"before the process was forked.*create engines only in the children"):
                call(frame)
        ours.close()

    in_child(work)
    np.testing.assert_array_equal(ours.run(frame), expected)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_cannot_use_the_gpu_either(stand_in: StandIn) -> None:
    def work() -> None:
        stand_in.fail("cudaGetDeviceCount", 3)  # as CUDA does
        assert "CUDA was used before this process was forked" in _core.build_info()["cuda_problem"]

    in_child(work)


def test_pictures_as_backgrounds(make_engine: MakeEngine) -> None:
    ours, cpu = make_engine("cuda"), make_engine("cpu")
    for background in (picture(7)[:20, :30], Image.fromarray(picture(8)), "blur", "blur:4"):
        for seed in range(3):
            options = {"output": "composite", "background": background}
            np.testing.assert_array_equal(ours.run(picture(seed), **options), cpu.run(picture(seed), **options))


def test_frames_on_the_gpu(make_engine: MakeEngine) -> None:
    ours, cpu = make_engine("cuda"), make_engine("cpu")
    for seed in range(3):
        frame = _core.cuda_upload(picture(seed))
        np.testing.assert_array_equal(ours.run(frame).numpy(), cpu.run(picture(seed)))
        np.testing.assert_array_equal(ours.submit(frame).result().numpy(), cpu.run(picture(seed)))
        assert ours.submit(frame).done()
    results = list(ours.map(_core.cuda_upload(picture(seed)) for seed in range(5)))
    for seed, result in enumerate(results):
        np.testing.assert_array_equal(result.numpy(), cpu.run(picture(seed)))


def test_map_and_tickets(make_engine: MakeEngine) -> None:
    ours, cpu = make_engine("cuda", slots=3), make_engine("cpu")
    frames = [picture(seed) for seed in range(9)]
    for got, frame in zip(ours.map(frames), frames, strict=True):
        np.testing.assert_array_equal(got, cpu.run(frame))
    tickets = [ours.submit(frame) for frame in frames]
    for ticket, frame in zip(tickets, frames, strict=True):
        np.testing.assert_array_equal(ticket.result(60), cpu.run(frame))


def test_frame_buffers_are_pinned_and_used_in_place(make_engine: MakeEngine) -> None:
    ours, cpu = make_engine("cuda"), make_engine("cpu")
    before = _core.bytes_in_use("pinned")
    frame, out = ours.frame_buffer(40, 56), ours.frame_buffer(40, 56, 1)
    assert _core.bytes_in_use("pinned") == before + frame.nbytes + out.nbytes
    for seed in range(3):
        frame[...] = picture(seed)
        assert ours.run(frame, out=out) is out
        np.testing.assert_array_equal(out, cpu.run(picture(seed)))


def test_what_the_engine_says(make_engine: MakeEngine) -> None:
    ours = make_engine("cuda")
    assert ours.info.device == "cuda:0"
    assert ours.info.mode == "graph"
    assert ours.info.device_memory_bytes > 0
    assert ours.profile()["total_ms"] == 0
    for seed in range(3):
        ours.run(picture(seed))
    profile = ours.profile()
    assert profile["frames"] == 3
    stages = ("copy_in_ms", "preprocess_ms", "network_ms", "postprocess_ms", "copy_out_ms")
    assert 0 < sum(profile[stage] for stage in stages) <= 1.5 * profile["total_ms"]
    assert make_engine("cpu").info.mode == "cpu"


def test_what_does_not_go_together_is_refused(make_engine: MakeEngine) -> None:
    ours, cpu = make_engine("cuda"), make_engine("cpu")
    frame = _core.cuda_upload(picture())
    with pytest.raises(InputError, match="the frame is on a GPU and this engine runs on the CPU"):
        cpu.run(frame)
    with pytest.raises(InputError, match="stream= is for frames on the engine's GPU"):
        ours.run(picture(), stream=1)
    with pytest.raises(InputError, match="out"):
        ours.run(picture(), out=_core.cuda_upload(picture()))
    with pytest.raises(InputError, match="output is 'mask'"):
        ours.run(frame, output="mask")
    np.testing.assert_array_equal(ours.run(frame).numpy(), cpu.run(picture()))
