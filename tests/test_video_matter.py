# SPDX-License-Identifier: Apache-2.0
"""Frames of one video through VideoMatter: its calls, its defaults, whose engine it is, and errors in their turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests import fakes, reference
from tests.fakes import TIMEOUT_S, moving

from rmbg_trt import Engine, Error, InputError, NetworkError, VideoMatter, _core

Bytes = NDArray[np.uint8]
MakeEngine = Callable[..., Engine]
SIZE = (24, 32)


def predict(tensor: NDArray[np.float32]) -> NDArray[np.float64]:
    """A bar that moves with the frame's number, and flickers; in 0..0.7, so that a stretch shows."""
    tag = fakes.tag_of(tensor)
    if tag == 13:
        raise ValueError("tag 13")
    rng = np.random.default_rng(1000 + tag)
    return (abs(np.arange(SIZE[1]) - 6 - tag % 20) < 5) * 0.6 + rng.uniform(0, 0.1, SIZE)


def expected(
    tags: Any,
    output: str = "alpha",
    *,
    stabilize: bool = True,
    running: bool = False,
    stretch: str = "fixed",
    **options: Any,
) -> list[Bytes]:
    """What the core makes of these frames, one after the other on one track."""
    pipeline, track = _core.Pipeline([fakes.network(predict, SIZE)], stretch=stretch), _core.Track(stabilize, running)
    results = []
    last = {"alpha": (), "cutout": (4,), "composite": (3,)}[output]
    for frame in map(moving, tags):
        results.append(np.empty((*frame.shape[:2], *last), np.uint8))
        chosen = _core.FrameOptions(output, **{"refine": True, "decontaminate": True, **options})
        pipeline.run(frame, results[-1], "bgr", chosen, track)
    return results


def assert_same(got: Any, wanted: list[Bytes]) -> None:
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def engine(fake_engine: MakeEngine) -> Engine:
    return fake_engine(predict, size=SIZE, slots=3, stretch="none")


# ---- process, submit, map --------------------------------------------------------------------------------------


def test_run_submit_and_map_follow_one_another(engine: Engine) -> None:
    matter = VideoMatter(engine)
    got = [matter.run(moving(tag)) for tag in range(3)]
    tickets = [matter.submit(moving(tag)) for tag in range(14, 20)]
    got += [ticket.result(TIMEOUT_S) for ticket in tickets]
    got += matter.map(moving(tag) for tag in range(30, 40))
    assert_same(got, expected([*range(3), *range(14, 20), *range(30, 40)]))


@pytest.mark.parametrize("stabilize", [True, False])
@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("decontaminate", [True, False])
@pytest.mark.parametrize("stretch", [None, "running"])
def test_every_choice_reaches_the_core(
    engine: Engine, stabilize: bool, refine: bool, decontaminate: bool, stretch: Any
) -> None:
    choice = {"stabilize": stabilize, "refine": refine, "decontaminate": decontaminate}
    matter = VideoMatter(engine, stretch=stretch, **choice)
    got = list(matter.map(map(moving, range(8)), output="cutout"))
    assert_same(got, expected(range(8), "cutout", running=stretch == "running", **choice))
    for name in choice:
        other = expected(range(8), "cutout", running=stretch == "running", **{**choice, name: not choice[name]})
        assert any((a != b).any() for a, b in zip(got, other, strict=True)), f"{name} makes no difference"


def test_the_default_is_everything_on_and_alpha_or_a_composite(engine: Engine) -> None:
    alpha = VideoMatter(engine).run(moving(1))
    np.testing.assert_array_equal(alpha, expected([1])[0])
    got = VideoMatter(engine).run(moving(1), background=(1, 2, 3))
    np.testing.assert_array_equal(got, expected([1], "composite", background=(1, 2, 3))[0])
    got = next(VideoMatter(engine).map([moving(1)], background=(1, 2, 3)))
    np.testing.assert_array_equal(got, expected([1], "composite", background=(1, 2, 3))[0])
    got = VideoMatter(engine).submit(moving(1), output="cutout", premultiplied=True).result(TIMEOUT_S)
    np.testing.assert_array_equal(got, expected([1], "cutout", premultiplied=True)[0])


def test_the_quality_is_the_matters_and_not_the_engines(fake_engine: MakeEngine) -> None:
    engine = fake_engine(predict, size=SIZE, stretch="none", refine=True, decontaminate=True)
    plain = VideoMatter(engine, stabilize=False, refine=False, decontaminate=False).run(moving(1), output="cutout")
    wanted = expected([1], "cutout", stabilize=False, refine=False, decontaminate=False)[0]
    np.testing.assert_array_equal(plain, wanted)


def test_out_is_written_in_place(engine: Engine) -> None:
    matter, out = VideoMatter(engine), np.empty((40, 50), np.uint8)
    assert matter.run(moving(1), out=out) is out
    assert matter.submit(moving(2), out=out).result(TIMEOUT_S) is out
    np.testing.assert_array_equal(out, expected([1, 2])[1])


def test_pil_frames_are_rgb_and_so_are_the_results(engine: Engine) -> None:
    pictures = [Image.fromarray(np.ascontiguousarray(moving(tag)[:, :, ::-1])) for tag in range(6)]
    got = list(VideoMatter(engine).map(pictures, output="cutout"))
    assert [each.mode for each in got] == ["RGBA"] * 6
    assert_same([np.asarray(each)[:, :, [2, 1, 0, 3]] for each in got], expected(range(6), "cutout"))


def test_nv12_frames(engine: Engine) -> None:
    nv12 = np.random.default_rng(1).integers(0, 256, (60, 50), dtype=np.uint8)
    matter, plain = VideoMatter(engine, stabilize=False), VideoMatter(engine, stabilize=False)
    cutout = matter.run(nv12, output="cutout", nv12="bt709")
    assert cutout.shape == (40, 50, 4)
    colors = engine.run(nv12, output="cutout", nv12="bt709")[:, :, :3]
    np.testing.assert_array_equal(cutout, plain.run(np.ascontiguousarray(colors), output="cutout"))
    np.testing.assert_array_equal(next(plain.map([nv12], output="cutout", nv12="bt709")), cutout)


# ---- generators and errors -------------------------------------------------------------------------------------


def test_map_takes_frames_as_slots_become_free(engine: Engine) -> None:
    taken: list[int] = []

    def endless() -> Iterator[Bytes]:
        for tag in range(10_000):
            taken.append(tag)
            yield moving(20 + tag % 100)

    results = VideoMatter(engine).map(endless())
    assert taken == []
    got = [next(results) for _ in range(10)]
    assert_same(got, expected(range(20, 30)))
    assert len(taken) <= 10 + engine.info.slots


def test_the_error_of_a_frame_comes_in_its_turn_and_hurts_no_other(engine: Engine) -> None:
    matter, got = VideoMatter(engine), []
    results = matter.map(map(moving, range(10, 20)))
    with pytest.raises(NetworkError, match="tag 13"):
        got.extend(results)
    assert_same(got, expected(range(10, 13)))

    tickets = [VideoMatter(engine)] * 10
    tickets = [tickets[0].submit(moving(tag)) for tag in range(10, 20)]
    with pytest.raises(NetworkError, match="tag 13"):
        tickets[3].result(TIMEOUT_S)
    good = [tag for tag in range(10, 20) if tag != 13]
    assert_same([ticket.result(TIMEOUT_S) for ticket in tickets[:3] + tickets[4:]], expected(good))


@pytest.mark.parametrize("fault", ["frame", "iterable"])
def test_a_wrong_frame_and_a_failing_iterable_come_in_their_turn(engine: Engine, fault: str) -> None:
    def frames() -> Iterator[Any]:
        yield moving(1)
        yield moving(2)
        if fault == "iterable":
            raise OSError("no more")
        yield np.zeros((4, 4), np.float32)

    matter, got = VideoMatter(engine), []
    results = matter.map(frames())
    with pytest.raises(OSError if fault == "iterable" else InputError):
        got.extend(results)
    assert_same(got, expected([1, 2]))
    np.testing.assert_array_equal(matter.run(moving(3)), expected([1, 2, 3])[2])


def test_a_wrong_call_is_refused_and_takes_no_place(engine: Engine) -> None:
    matter = VideoMatter(engine)
    matter.run(moving(1))
    for call in (matter.run, matter.submit):
        for wrong in ({"output": "depth"}, {"background": "no colour"}, {"output": "composite"}, {"stream": 1}):
            with pytest.raises(InputError):
                call(moving(5), **wrong)
    np.testing.assert_array_equal(matter.run(moving(2)), expected([1, 2])[1])


# ---- several videos --------------------------------------------------------------------------------------------


def test_reset_begins_anew(engine: Engine) -> None:
    for choice in ({}, {"stretch": "running"}, {"stabilize": False}):
        matter = VideoMatter(engine, **choice)
        wanted = list(matter.map(map(moving, range(5))))
        matter.reset()
        assert_same(matter.map(map(moving, range(5))), wanted)


def test_videos_on_one_engine_do_not_mix(engine: Engine) -> None:
    first, second = VideoMatter(engine), VideoMatter(engine, stretch="running")
    pairs = zip(first.map(map(moving, range(12))), second.map(map(moving, range(50, 62))), strict=True)
    got = list(pairs)
    assert_same([a for a, _ in got], expected(range(12)))
    assert_same([b for _, b in got], expected(range(50, 62), running=True))
    np.testing.assert_array_equal(
        engine.run(moving(5)), expected([5], stabilize=False, refine=False, decontaminate=False)[0]
    )


def test_threads_with_a_video_each(engine: Engine) -> None:
    got: dict[int, list[Bytes]] = {}

    def work(start: int) -> None:
        got[start] = list(VideoMatter(engine).map(map(moving, range(start, start + 12))))

    threads = [threading.Thread(target=work, args=(start,), daemon=True) for start in (20, 60, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive(), "deadlock"
    for start in (20, 60, 100):
        assert_same(got[start], expected(range(start, start + 12)))


# ---- whose engine it is ----------------------------------------------------------------------------------------


def test_a_given_engine_stays_open(engine: Engine) -> None:
    with VideoMatter(engine) as matter:
        assert matter.engine is engine
        assert matter.info == engine.info
        matter.run(moving(1))
    assert engine.run(moving(1)).shape == (40, 50)
    assert str(engine.info) in repr(matter)


def test_an_own_engine_is_made_with_the_options_and_closed(small_model: Path) -> None:
    frame = reference.photograph("coffee")
    with VideoMatter(small_model, runtime="native", color="rgb", slots=1, filter="area") as matter:
        assert (matter.info.runtime, matter.info.slots, matter.info.input_size) == ("native", 1, (48, 64))
        got = matter.run(frame)
    with pytest.raises(Error, match="closed"):
        matter.run(frame)
    matter.close()
    with Engine(small_model, runtime="native", color="rgb", filter="area", stretch="none", refine=True) as plain:
        np.testing.assert_array_equal(plain.run(frame), got)


@pytest.mark.parametrize("stretch", ["none", "minmax", "running", (0.25, 0.5)])
def test_an_own_engine_stretches_as_it_is_told(small_model: Path, stretch: Any) -> None:
    frame = reference.photograph("coffee")
    with VideoMatter(small_model, runtime="native", color="rgb", refine=False, stretch=stretch) as matter:
        got = matter.run(frame)
    # A running stretch begins with the first frame's own range.
    with Engine(
        small_model, runtime="native", color="rgb", stretch="minmax" if stretch == "running" else stretch
    ) as plain:
        np.testing.assert_array_equal(plain.run(frame), got)


def test_a_given_engines_stretch_is_kept_but_that_of_each_frame_runs(fake_engine: MakeEngine) -> None:
    plain, each = (fake_engine(predict, size=SIZE, stretch=stretch) for stretch in ("none", "minmax"))
    none, running = expected(range(14, 20)), expected(range(14, 20), running=True)
    minmax = expected(range(14, 20), stretch="minmax")
    for matter, wanted in (
        (VideoMatter(plain), none),
        (VideoMatter(plain, stretch="none"), none),
        (VideoMatter(plain, stretch="running"), running),
        (VideoMatter(each), running),
        (VideoMatter(each, stretch="minmax"), minmax),
    ):
        assert_same(matter.map(map(moving, range(14, 20))), wanted)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"color": "rgb"}, "color: the given engine decides that"),
        ({"slots": 2, "device": "cpu"}, "slots, device: the given engine"),
        ({"stretch": "minmax"}, "stretch: the given engine"),
        ({"stretch": (0.1, 0.9), "size": 320}, "size, stretch: the given engine"),
    ],
)
def test_options_that_a_given_engine_decides_are_refused(engine: Engine, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        VideoMatter(engine, **options)
    engine.run(moving(1))


@pytest.mark.parametrize("stretch", ["sometimes", (0.5, 0.5), (0.2, 1.5), 3, "01"])
def test_wrong_values_are_refused(small_model: Path, stretch: Any) -> None:
    with pytest.raises(InputError, match="stretch is"):
        VideoMatter(small_model, stretch=stretch)
