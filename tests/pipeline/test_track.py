# SPDX-License-Identifier: Apache-2.0
"""Frames that carry something over, through several slots: order, failures, whose they are, memory."""

from __future__ import annotations

import contextlib
import gc
import threading
import time

import numpy as np
import pytest
from numpy.typing import NDArray
from tests import fakes
from tests.fakes import TIMEOUT_S, join, moving
from tests.pipeline.tracks import (
    SIZE,
    Bytes,
    Submitted,
    at_random_times,
    failing,
    one_by_one,
    pipeline_of,
    predict,
    run,
)

from rmbg_trt import Error, InputError, NetworkError, _core

# ---- order -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [2, 3, 5])
@pytest.mark.parametrize(("stabilize", "running"), [(True, False), (False, True), (True, True)])
def test_many_slots_give_what_one_gives(slots: int, stabilize: bool, running: bool) -> None:
    pipeline, track = pipeline_of(slots, at_random_times), _core.Track(stabilize, running)
    tickets = [Submitted(pipeline, moving(tag), track, refine=True) for tag in range(60)]
    expected = one_by_one(range(60), _core.Track(stabilize, running), refine=True)
    for ticket, alpha in zip(tickets, expected, strict=True):
        np.testing.assert_array_equal(ticket.result(), alpha)
    alone = pipeline_of()
    assert any((run(alone, moving(tag), None, refine=True) != expected[tag]).any() for tag in range(5, 60))


def test_networks_run_at_once_and_the_turn_comes_after_them() -> None:
    meeting = threading.Barrier(3)

    def meet(tensor: NDArray[np.float32]) -> object:
        meeting.wait(TIMEOUT_S)  # passes only when three frames are in the network
        return predict(tensor)

    pipeline, track = pipeline_of(3, lambda _: meet), _core.Track(True)
    tickets = [Submitted(pipeline, moving(tag), track) for tag in range(9)]
    for ticket, alpha in zip(tickets, one_by_one(range(9), _core.Track(True)), strict=True):
        np.testing.assert_array_equal(ticket.result(), alpha)


def test_run_and_submit_share_an_order() -> None:
    pipeline, track = pipeline_of(2, at_random_times), _core.Track(True, True)
    got: list[Submitted | Bytes] = []
    for tag in range(30):
        got.append((run if tag % 3 == 0 else Submitted)(pipeline, moving(tag), track))
    for each, alpha in zip(got, one_by_one(range(30)), strict=True):
        np.testing.assert_array_equal(each.result() if isinstance(each, Submitted) else each, alpha)


def test_a_reset_counts_for_the_frames_given_after_it() -> None:
    pipeline, track = pipeline_of(3, at_random_times), _core.Track(True, True)
    tickets = [Submitted(pipeline, moving(tag), track) for tag in range(10)]
    track.reset()  # while frames before it are in flight
    tickets += [Submitted(pipeline, moving(tag), track) for tag in range(20, 30)]
    for ticket, alpha in zip(tickets, one_by_one(range(10)) + one_by_one(range(20, 30)), strict=True):
        np.testing.assert_array_equal(ticket.result(), alpha)


def test_frames_without_a_track_pass_those_that_wait() -> None:
    go = threading.Event()

    def wait_for_first(tensor: NDArray[np.float32]) -> object:
        if fakes.tag_of(tensor) == 0:
            assert go.wait(TIMEOUT_S)
        return predict(tensor)

    pipeline, track = pipeline_of(3, lambda _: wait_for_first), _core.Track(True)
    first, second = (Submitted(pipeline, moving(tag), track) for tag in (0, 1))
    np.testing.assert_array_equal(run(pipeline, moving(2), None), run(pipeline_of(), moving(2), None))
    assert not second._completion.wait(0.05)
    go.set()
    for ticket, alpha in zip((first, second), one_by_one((0, 1), _core.Track(True)), strict=True):
        np.testing.assert_array_equal(ticket.result(), alpha)


# ---- failures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 2, 4])
@pytest.mark.parametrize("bad", [(5,), (0,), (3, 4, 5, 6), (19,)])
def test_a_failure_neither_stops_nor_shifts_the_others(slots: int, bad: tuple[int, ...]) -> None:
    pipeline = pipeline_of(slots, lambda slot: failing(*bad, how=at_random_times(slot)))
    track = _core.Track(True, True)
    tickets = [Submitted(pipeline, moving(tag), track) for tag in range(20)]
    good = [tag for tag in range(20) if tag not in bad]
    expected = dict(zip(good, one_by_one(good), strict=True))
    for tag, ticket in enumerate(tickets):
        if tag in bad:
            with pytest.raises(NetworkError, match=f"tag {tag}"):
                ticket.result()
        else:
            np.testing.assert_array_equal(ticket.result(), expected[tag])


def test_a_failure_right_after_a_reset_leaves_the_reset_standing() -> None:
    pipeline, track = pipeline_of(1, lambda _: failing(7)), _core.Track(True, True)
    run(pipeline, moving(1), track)
    track.reset()
    with pytest.raises(NetworkError):
        run(pipeline, moving(7), track)
    np.testing.assert_array_equal(run(pipeline, moving(9), track), one_by_one([9])[0])


def test_a_frame_that_is_refused_takes_no_place() -> None:
    pipeline, track = pipeline_of(2), _core.Track(True, True)
    first = run(pipeline, moving(1), track)
    for call in (pipeline.run, pipeline.submit):
        with pytest.raises(InputError, match="result is"):
            call(moving(5), np.empty((3, 3), np.uint8), "bgr", _core.FrameOptions(), track)
    then = run(pipeline, moving(2), track)
    for got, alpha in zip((first, then), one_by_one((1, 2)), strict=True):
        np.testing.assert_array_equal(got, alpha)


# ---- whose a track is ------------------------------------------------------------------------------------------


def test_a_track_belongs_to_one_pipeline() -> None:
    first, second, track = pipeline_of(), pipeline_of(), _core.Track(True)
    run(first, moving(1), track)
    for call in (run, Submitted):
        with pytest.raises(InputError, match="the track belongs to another engine; create one for this engine"):
            call(second, moving(2), track)
    for got, alpha in zip([run(first, moving(2), track)], one_by_one((1, 2), _core.Track(True))[1:], strict=True):
        np.testing.assert_array_equal(got, alpha)
    run(second, moving(2), _core.Track(True))


def test_tracks_on_one_pipeline_do_not_mix() -> None:
    pipeline = pipeline_of(3, at_random_times)
    starts = (0, 40, 80)
    tracks = [_core.Track(True, True) for _ in starts]
    tickets: dict[int, list[Submitted]] = {start: [] for start in starts}
    for tag in range(20):
        for start, track in zip(starts, tracks, strict=True):
            tickets[start].append(Submitted(pipeline, moving(start + tag), track))
    for start in starts:
        for ticket, alpha in zip(tickets[start], one_by_one(range(start, start + 20)), strict=True):
            np.testing.assert_array_equal(ticket.result(), alpha)


# ---- threads and the end ---------------------------------------------------------------------------------------


def test_threads_with_tracks_of_their_own() -> None:
    pipeline = pipeline_of(2, at_random_times)
    got: dict[int, list[Bytes]] = {}

    def work(start: int) -> None:
        track = _core.Track(True, True)
        got[start] = [run(pipeline, moving(tag), track) for tag in range(start, start + 25)]

    threads = [threading.Thread(target=work, args=(start,), daemon=True) for start in (0, 50, 100)]
    for thread in threads:
        thread.start()
    join(*threads)
    for start in (0, 50, 100):
        for alpha, expected in zip(got[start], one_by_one(range(start, start + 25)), strict=True):
            np.testing.assert_array_equal(alpha, expected)


@pytest.mark.parametrize(("threads", "slots"), [(2, 2), (4, 2), (3, 1)])
def test_threads_on_one_track_take_turns(threads: int, slots: int) -> None:
    # All show the same frame, so that the results do not depend on whose turn comes first.
    pipeline, track = pipeline_of(slots, at_random_times), _core.Track(True, True)
    wrong: list[object] = []
    expected = one_by_one([3])[0]

    def work() -> None:
        try:
            for _ in range(25):
                if (run(pipeline, moving(3), track) != expected).any():
                    wrong.append("another result")
        except BaseException as error:
            wrong.append(error)

    running = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for thread in running:
        thread.start()
    join(*running)
    assert wrong == []
    assert pipeline.frames == 25 * threads


def test_close_with_frames_in_flight_lets_them_finish() -> None:
    pipeline, track = pipeline_of(3, at_random_times), _core.Track(True, True)
    tickets = [Submitted(pipeline, moving(tag), track) for tag in range(8)]
    closing = threading.Thread(target=pipeline.close, daemon=True)
    closing.start()
    join(closing)
    for ticket, alpha in zip(tickets, one_by_one(range(8)), strict=True):
        np.testing.assert_array_equal(ticket.result(), alpha)
    with pytest.raises(Error, match="the engine is closed"):
        run(pipeline, moving(1), track)


def test_a_frame_in_flight_keeps_its_track() -> None:
    go = threading.Event()

    def wait(tensor: NDArray[np.float32]) -> object:
        assert go.wait(TIMEOUT_S)
        return predict(tensor)

    pipeline = pipeline_of(2, lambda _: wait)
    track: _core.Track | None = _core.Track(True, True)
    tickets = [Submitted(pipeline, moving(tag), track) for tag in range(2)]
    del track
    gc.collect()
    go.set()
    for ticket, alpha in zip(tickets, one_by_one(range(2)), strict=True):
        np.testing.assert_array_equal(ticket.result(), alpha)


# ---- memory ----------------------------------------------------------------------------------------------------


def test_nothing_is_allocated_a_frame() -> None:
    pipeline, rng = pipeline_of(), np.random.default_rng(1)
    tracks = [_core.Track(True, True), _core.Track(False, True), None]
    sizes = [(40, 50), (400, 90), (90, 400), (33, 21)]
    outputs = {"alpha": (), "cutout": (4,), "composite": (3,)}
    jobs = [
        (rng.integers(0, 256, (*size, channels), dtype=np.uint8), output, track, refine, decontaminate)
        for size in sizes
        for channels in (1, 3, 4)
        for output in outputs
        for track in tracks
        for refine, decontaminate in ((True, False), (False, True), (True, True))
    ]
    results = {(size, name): np.empty((*size, *last), np.uint8) for size in sizes for name, last in outputs.items()}

    def all_jobs() -> tuple[int, int]:
        for frame, output, track, refine, decontaminate in jobs:
            result = results[frame.shape[:2], output]
            pipeline.run(
                frame, result, "bgr", _core.FrameOptions(output, refine=refine, decontaminate=decontaminate), track
            )
        return _core.allocation_count(), _core.bytes_in_use()

    before = _core.allocation_count()
    warm = all_jobs()
    assert warm[0] > before, "the counter does not count"
    for _ in range(2):
        assert all_jobs() == warm


@pytest.mark.slow
def test_memory_is_given_back() -> None:
    gc.collect()
    before = _core.bytes_in_use()
    pipeline, track = pipeline_of(), _core.Track(True, True)
    result = np.empty((300, 400, 4), np.uint8)
    frame = moving(1, 300, 400)
    pipeline.run(frame, result, "bgr", _core.FrameOptions("cutout", refine=True, decontaminate=True), track)
    of_track = SIZE[0] * SIZE[1] * (4 + 3)  # the state and the guide
    del pipeline
    gc.collect()
    assert _core.bytes_in_use() >= before + of_track
    del track
    gc.collect()
    assert _core.bytes_in_use() == before


@pytest.mark.slow
def test_close_while_threads_submit_hangs_nobody() -> None:
    frame = np.zeros((2, 2, 3), np.uint8)

    def feed(pipeline: _core.Pipeline) -> None:
        result = np.empty((2, 2), np.uint8)
        with contextlib.suppress(Error):  # it is closed
            while True:
                pipeline.submit(frame, result, "rgb", _core.FrameOptions())

    for attempt in range(300):
        pipeline = _core.Pipeline([fakes.network(lambda _: 0.5, (2, 2))], stretch="fixed")
        feeding = [threading.Thread(target=feed, args=(pipeline,), daemon=True) for _ in range(2)]
        for thread in feeding:
            thread.start()
        time.sleep(0.0005 + 0.0001 * (attempt % 17))
        closing = threading.Thread(target=pipeline.close, daemon=True)
        closing.start()
        for thread in (closing, *feeding):
            thread.join(TIMEOUT_S)
            assert not thread.is_alive(), f"deadlock at attempt {attempt}"
