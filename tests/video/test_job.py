# SPDX-License-Identifier: Apache-2.0
"""Whole jobs: the matte of each frame, options, refused paths, and that no half-written file stays."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import fakes
from tests.video import restless
from tests.video.clips import alpha_of, decode, left_over, make_clip, pictures, smooth, worst

from rmbg_trt import Engine, VideoMatter
from rmbg_trt.errors import Error, InputError
from rmbg_trt.video import Progress, VideoJob, VideoOptions, matte_video
from rmbg_trt.video import sink as sinks


def test_each_frame_gets_its_own_matte(fake_engine: Callable[..., Engine], tmp_path: Path) -> None:
    tags = [10 * n for n in range(20)]
    frames = [np.full((48, 64, 3), (tag, 255, 255), np.uint8) for tag in tags]
    clip = make_clip(tmp_path / "a.mkv", frames, codec="ffv1", pixel_format="bgr0")
    engine = fake_engine(fakes.read_tag, color="rgb", stretch="none")
    matte_video(clip, tmp_path / "o.mkv", engine=engine, output="alpha", **restless.PLAIN)
    assert [int(alpha[20, 20]) for alpha in pictures(tmp_path / "o.mkv", "gray")] == tags


@pytest.mark.parametrize("name", ["o.mkv", "o.mov", "o.webm"])
def test_a_cutout_is_that_of_the_engine(engine: Engine, clip: Path, tmp_path: Path, name: str) -> None:
    lossless = name == "o.webm"
    matte_video(clip, tmp_path / name, engine=engine, lossless=lossless, **restless.PLAIN)
    for number, (picture, frame) in enumerate(zip(pictures(clip), decode(tmp_path / name), strict=True)):
        expected = engine.run(picture, output="cutout")
        assert worst(alpha_of(frame), expected[..., 3]) == 0
        seen = expected[..., 3] > 0
        back = frame.to_ndarray(format="rgb24")
        assert np.abs(back[seen].astype(int) - smooth(number)[seen]).mean() < 3


@pytest.mark.parametrize("name", ["o.mkv", "o.mov", "o.webm"])
def test_a_cutout_is_that_of_a_video_matter(engine: Engine, clip: Path, tmp_path: Path, name: str) -> None:
    matte_video(clip, tmp_path / name, engine=engine, lossless=name == "o.webm")
    matter = VideoMatter(engine)
    for picture, frame in zip(pictures(clip), decode(tmp_path / name), strict=True):
        wanted = matter.run(picture, output="cutout")
        assert worst(alpha_of(frame), wanted[..., 3]) == 0
        seen = wanted[..., 3] > 0
        assert np.abs(frame.to_ndarray(format="rgb24")[seen].astype(int) - wanted[seen][:, :3]).mean() < 3


@pytest.mark.parametrize(
    "options", [{}, {"refine": False}, {"decontaminate": False}, {"stabilize": False}, {"stretch": "running"}], ids=str
)
def test_each_option_reaches_the_matter(
    fake_engine: Callable[..., Engine], tmp_path: Path, options: dict[str, Any]
) -> None:
    clip = restless.clip(tmp_path / "a.mkv", restless.frames(6))
    engine = fake_engine(restless.predict, size=restless.SIZE, color="rgb", stretch="none")
    matte_video(clip, tmp_path / "o.mkv", engine=engine, **options)
    found = pictures(tmp_path / "o.mkv", "rgba")
    wanted = restless.expected(fake_engine, restless.frames(6), **options)
    assert restless.same(found, wanted)
    usual = restless.expected(fake_engine, restless.frames(6))
    assert restless.same(found, usual) == (options == {})
    for given in (engine, VideoMatter(engine, **options)):  # a job takes both
        job_options = VideoOptions.of(overwrite=True, **{name: on for name, on in options.items() if name != "stretch"})
        VideoJob(clip, tmp_path / "o.mkv", job_options).run(given)
        again = pictures(tmp_path / "o.mkv", "rgba")
        assert restless.same(again, wanted if isinstance(given, VideoMatter) or "stretch" not in options else usual)


def test_a_matter_is_reset_for_each_clip(fake_engine: Callable[..., Engine], tmp_path: Path) -> None:
    clip = restless.clip(tmp_path / "a.mkv", restless.frames(8))
    matter = VideoMatter(fake_engine(restless.predict, size=restless.SIZE, color="rgb", stretch="none"))
    whole = restless.expected(fake_engine, restless.frames(8))
    for part, wanted in (
        ({}, whole),
        ({}, whole),
        ({"duration": 0.16}, whole[:4]),
        ({"start": 0.16}, restless.expected(fake_engine, restless.frames(4, first=4))),
    ):
        matte_video(clip, tmp_path / "o.mkv", engine=matter, overwrite=True, **part)
        assert restless.same(pictures(tmp_path / "o.mkv", "rgba"), wanted)
    assert not restless.same(wanted, whole[4:])  # or this would show nothing


def test_a_failed_clip_does_not_affect_the_next(fake_engine: Callable[..., Engine], tmp_path: Path) -> None:
    clip = restless.clip(tmp_path / "a.mkv", restless.frames(8))
    matter = VideoMatter(fake_engine(restless.predict, size=restless.SIZE, slots=4, color="rgb", stretch="none"))

    def stop(done: Progress) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        matte_video(clip, tmp_path / "o.mkv", engine=matter, progress=stop)  # with frames in flight
    matte_video(clip, tmp_path / "o.mkv", engine=matter)
    wanted = restless.expected(fake_engine, restless.frames(8))
    assert restless.same(pictures(tmp_path / "o.mkv", "rgba"), wanted)


def test_frames_follow_one_another_whatever_slot_is_quicker(fake_engine: Callable[..., Engine], tmp_path: Path) -> None:
    def uneven(tensor: Any) -> Any:
        alpha = restless.predict(tensor)
        time.sleep(float(alpha[0, 0]) % 0.01)
        return alpha

    frames = restless.frames(24)
    clip = restless.clip(tmp_path / "a.mkv", frames)
    engine = fake_engine(uneven, size=restless.SIZE, slots=4, color="rgb", stretch="none")
    matte_video(clip, tmp_path / "o.mkv", engine=engine)
    assert restless.same(pictures(tmp_path / "o.mkv", "rgba"), restless.expected(fake_engine, frames))


def test_options_that_the_given_matter_decides(engine: Engine, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="refine, stretch: the given VideoMatter decides that"):
        matte_video(clip, tmp_path / "o.mov", engine=VideoMatter(engine), refine=True, stretch="running")
    with pytest.raises(InputError, match="stretch: the given engine decides that"):
        matte_video(clip, tmp_path / "o.mov", engine=engine, stretch="minmax")
    assert not (tmp_path / "o.mov").exists()


def test_without_an_engine_one_is_made(small_model: Path, clip: Path, tmp_path: Path) -> None:
    matte_video(clip, tmp_path / "o.mkv", model=small_model, device="cpu", refine=False, stretch=(0.2, 0.8))
    with VideoMatter(small_model, device="cpu", color="rgb", refine=False, stretch=(0.2, 0.8)) as matter:
        wanted = [matter.run(picture, output="cutout") for picture in pictures(clip)]
    assert restless.same(pictures(tmp_path / "o.mkv", "rgba"), wanted)


def test_progress_and_result(engine: Engine, tmp_path: Path) -> None:
    reports: list[Progress] = []
    result = matte_video(
        make_clip(tmp_path / "a.mp4", 10), tmp_path / "o.mp4", engine=engine, background="red", progress=reports.append
    )
    assert [progress.frames for progress in reports] == list(range(1, 11))
    assert [progress.seconds for progress in reports] == pytest.approx([n / 25 for n in range(10)])
    assert {progress.total_s for progress in reports} == {0.4}
    assert (result.frames, result.seconds, result.complete) == (10, pytest.approx(0.36), True)


# ---- what is in the way ------------------------------------------------------------------------------------------


def test_an_existing_file_is_kept_unless_overwrite(engine: Engine, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "o.mp4").write_text("mine")
    with pytest.raises(InputError, match=r"o.mp4 already exists; use overwrite"):
        matte_video(clip, tmp_path / "o.mp4", engine=engine, background="red")
    assert (tmp_path / "o.mp4").read_text() == "mine"
    matte_video(clip, tmp_path / "o.mp4", engine=engine, background="red", overwrite=True)
    assert len(decode(tmp_path / "o.mp4")) == 6


@pytest.mark.parametrize(
    ("source", "target", "options", "message"),
    [
        ("no.mp4", "o.mov", {}, "does not exist"),
        (".", "o.mov", {}, "is a folder; give the video files"),
        ("a.mp4", "a.mp4", {"background": "red", "overwrite": True}, "is the input itself"),
        ("a.mp4", "b.mp4", {"background": "b.mp4", "overwrite": True}, "is the background itself"),
        ("a.mp4", "o.mp4", {"background": "nothing.png"}, "no image or video of that name"),
        ("a.mp4", "o.mp4", {"background": Path("nothing.png")}, "does not exist"),
        ("a.mp4", "sub.mov", {}, "is a folder; name a file"),
        ("a.mp4", "o.mp4", {}, "no transparency"),
        ("a.mp4", "o.mp4", {"colour": "red"}, "colour.*VideoOptions"),
    ],
)
def test_usage(
    engine: Engine, clip: Path, monkeypatch: pytest.MonkeyPatch, source: str, target: str, options: Any, message: str
) -> None:
    monkeypatch.chdir(clip.parent)
    Path("sub.mov").mkdir()
    make_clip(Path("b.mp4"), 2)
    with pytest.raises(InputError, match=message):
        matte_video(source, target, engine=engine, **options)
    assert left_over(clip.parent) == []


def test_a_bgr_engine_is_refused(fake_engine: Callable[..., Engine], clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match='color="rgb"'):
        matte_video(clip, tmp_path / "o.mov", engine=fake_engine())
    with pytest.raises(InputError, match='color="rgb"'):
        VideoJob(clip, tmp_path / "o.mov").run(VideoMatter(fake_engine()))


# ---- nothing half-written ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["o.mp4", "o.mkv", "f/%06d.png"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_no_half_written_file_stays(engine: Engine, clip: Path, tmp_path: Path, name: str, error: type) -> None:
    def stop(done: Progress) -> None:
        if done.frames == 4:
            raise error

    with pytest.raises(error):
        matte_video(clip, tmp_path / name, engine=engine, background="red", progress=stop)
    assert not (tmp_path / name).parent.joinpath("000001.png").exists()
    assert not (tmp_path / name).exists()
    assert left_over(tmp_path) == []


def test_a_failing_network(fake_engine: Callable[..., Engine], clip: Path, tmp_path: Path) -> None:
    def fail(tensor: Any) -> Any:
        raise RuntimeError("no power")

    with pytest.raises(Error, match="no power"):
        matte_video(clip, tmp_path / "o.mov", engine=fake_engine(fail, color="rgb"))
    assert left_over(tmp_path) == []
    assert not (tmp_path / "o.mov").exists()


def test_a_full_disk(engine: Engine, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sinks.FileSink, "write", full)
    (tmp_path / "o.mov").write_text("mine")
    with pytest.raises(Error, match=r"o.mov could not be written: No space left"):
        matte_video(clip, tmp_path / "o.mov", engine=engine, overwrite=True)
    assert (tmp_path / "o.mov").read_text() == "mine"
    assert left_over(tmp_path) == []


def test_a_job_knows_whether_it_is_done(engine: Engine, clip: Path, tmp_path: Path) -> None:
    job = VideoJob(clip, tmp_path / "o.mov")
    assert not job.done
    job.run(engine)
    assert VideoJob(clip, tmp_path / "o.mov", VideoOptions(overwrite=True)).done
