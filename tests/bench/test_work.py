# SPDX-License-Identifier: Apache-2.0
"""Frames to measure with, their way through the engine from each place, and stage times."""

from __future__ import annotations

import itertools
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import fakes

from rmbg_trt import Engine
from rmbg_trt.bench import Configuration, work
from rmbg_trt.bench.work import make_frames
from rmbg_trt.errors import InputError


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (480, 854), (1441, 2559)])
def test_made_frames_are_of_the_size_and_differ(size: tuple[int, int]) -> None:
    frames = make_frames(size)
    assert len(frames) == 4
    assert {(frame.shape, frame.dtype.name, frame.flags.c_contiguous) for frame in frames} == {
        ((*size, 3), "uint8", True)
    }
    assert len({frame.tobytes() for frame in frames}) == 4
    assert not any(np.shares_memory(one, other) for one, other in itertools.pairwise(frames))


def test_a_made_frame_is_like_a_photograph() -> None:
    """Neighbours are alike, yet hardly anywhere the same; the whole range of light is there."""
    frame = make_frames((480, 854))[0].astype(int)
    steps = np.abs(np.diff(frame[..., 1], axis=1))
    assert np.median(steps) <= 6
    assert (steps == 0).mean() < 0.3
    low, high = np.percentile(frame, (2, 98))
    assert high - low > 120


def test_frames_of_an_image_cover_the_size(tmp_path: Path) -> None:
    image = np.zeros((50, 200, 3), np.uint8)
    image[:, :100] = (255, 0, 0)
    image[:, 100:] = (0, 0, 255)
    Image.fromarray(image).save(tmp_path / "image.png")
    frames = make_frames((120, 100), image=tmp_path / "image.png")
    assert {frame.shape for frame in frames} == {(120, 100, 3)}
    assert frames[0][60, 5].tolist() == [255, 0, 0]
    assert frames[0][60, 95].tolist() == [0, 0, 255]
    assert len({frame.tobytes() for frame in frames}) == 4
    with pytest.raises(InputError, match=r"missing\.png could not be read"):
        make_frames((10, 10), image=tmp_path / "missing.png")


def test_frames_of_a_clip(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "clip.mkv"), "w") as clip:
        stream = clip.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for level in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * level, np.uint8), format="bgr24")
            clip.mux(stream.encode(frame.reformat(format="bgr0")))
        clip.mux(stream.encode())
    frames = make_frames((24, 32), video=tmp_path / "clip.mkv")
    assert [int(frame[12, 16, 0]) for frame in frames] == [0, 100, 200, 0]  # every fifth, and from the start again
    with pytest.raises(InputError):
        make_frames((24, 32), video=tmp_path / "missing.mkv")


def frames(count: int = 3) -> list[Any]:
    return [fakes.tagged(50 * index)[..., ::-1].copy() for index in range(count)]


@pytest.mark.parametrize("place", ["pageable", "pinned"])
@pytest.mark.parametrize(("output", "channels"), [("alpha", ()), ("cutout", (4,)), ("composite", (3,))])
def test_results_are_those_of_the_frames(
    fake_engine: Callable[..., Engine], place: str, output: str, channels: tuple[int, ...]
) -> None:
    engine = fake_engine(stretch="none", color="rgb")
    serve = work.make_serve(engine, Configuration(24, 40, place, output, 2), frames())
    for client, index in ((0, 0), (0, 1), (1, 0), (1, 1), (1, 2)):
        result = serve(client, index)
        frame = frames()[(client + index) % 3]
        expected = engine.run(frame, output=output, **({"background": (0, 177, 64)} if output == "composite" else {}))
        assert result.shape == (24, 40, *channels)
        np.testing.assert_array_equal(result, expected)


def test_pinned_results_of_two_clients_lie_apart(fake_engine: Callable[..., Engine]) -> None:
    engine = fake_engine(color="rgb")
    serve = work.make_serve(engine, Configuration(24, 40, "pinned", "alpha", 2), frames())
    assert serve(0, 0) is serve(0, 1)
    assert not np.shares_memory(serve(0, 0), serve(1, 0))


def test_why_frames_cannot_lie_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert work.why_not("pageable", "cpu") is None
    assert work.why_not("pinned", "cuda:0") is None
    assert work.why_not("device", "cpu") == "the engine runs on the CPU"
    monkeypatch.setattr(work, "_device_library", lambda: None)
    assert "neither PyTorch nor CuPy" in str(work.why_not("device", "cuda:0"))
    monkeypatch.setattr(work, "_device_library", lambda: "cupy")
    assert work.why_not("device", "cuda:0") is None


class Log:
    """Notes calls of a made library and a made engine, in their order."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.info = types.SimpleNamespace(device="cuda:1")

    def stream(self, *arguments: Any, **options: Any) -> Any:
        number = sum(call[0] == "stream" for call in self.calls)
        self.calls.append(("stream", *arguments))
        return types.SimpleNamespace(number=number, synchronize=lambda: self.calls.append(("wait", number)))

    def run(self, frame: Any, *, stream: Any, **options: Any) -> str:
        self.calls.append(("run", frame, stream.number, options))
        return "result"


def test_frames_of_torch_wait_for_the_result_on_a_stream_of_each_client(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    torch: Any = types.ModuleType("torch")
    torch.device = lambda kind, number: (kind, number)
    torch.from_numpy = lambda frame: types.SimpleNamespace(to=lambda device: (int(frame[0, 0, 0]), device))
    torch.cuda = types.SimpleNamespace(Stream=log.stream, synchronize=lambda device: log.calls.append(("all", device)))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(work, "_device_library", lambda: "torch")
    serve = work.make_serve(log, Configuration(24, 40, "device", "cutout", 2), frames())  # type: ignore[arg-type]
    assert serve(1, 0) == "result"
    gpu = ("cuda", 1)
    expected = [("run", (50, gpu), 1, {"output": "cutout"}), ("wait", 1)]
    assert log.calls == [("stream", gpu), ("stream", gpu), ("all", gpu), *expected]


def test_frames_of_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()

    class Device:
        def __init__(self, number: int) -> None:
            self.number = number

        def __enter__(self) -> Device:
            log.calls.append(("device", self.number))
            return self

        def __exit__(self, *exception: object) -> None:
            log.calls.append(("left",))

        def synchronize(self) -> None:
            log.calls.append(("all",))

    cupy: Any = types.ModuleType("cupy")
    cupy.asarray = lambda frame: int(frame[0, 0, 0])
    cupy.cuda = types.SimpleNamespace(Stream=log.stream, Device=Device)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(work, "_device_library", lambda: "cupy")
    serve = work.make_serve(log, Configuration(24, 40, "device", "alpha", 1), frames())  # type: ignore[arg-type]
    serve(0, 2)
    assert log.calls == [
        ("device", 1), ("stream",), ("all",), ("left",), ("run", 100, 0, {"output": "alpha"}), ("wait", 0),
    ]  # fmt: skip


def test_stage_times_are_of_the_frames_since_begin(fake_engine: Callable[..., Engine]) -> None:
    """Also of more frames than the core remembers, when they are taken in time."""
    engine = fake_engine()
    frame = np.zeros((8, 8, 3), np.uint8)
    log = work.StageLog(engine)
    for _ in range(7):
        engine.run(frame)
    log.begin()
    for index in range(300):
        engine.run(frame)
        if index % 100 == 99:
            log.take()
    assert len(log.times()) == 300
    assert log.times()[-256:] == engine._pipeline.recent_times()
    log.begin()
    assert log.times() == []


def test_on_a_gpu_stages_are_measured_between_events() -> None:
    pipeline = types.SimpleNamespace(device=0, frames=5, measure=lambda runs: [{"network_ms": 1.0}] * runs)
    log = work.StageLog(types.SimpleNamespace(_pipeline=pipeline))  # type: ignore[arg-type]
    log.begin()
    assert log.times() == [{"network_ms": 1.0}] * 50
