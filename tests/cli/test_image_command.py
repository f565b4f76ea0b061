# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt image``: its options, results and messages, with a fake engine that records its calls."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import typer.testing
from PIL import Image
from tests.image.samples import DISPLAY_P3, shown
from tests.make import image_file
from tests.video import restless

import rmbg_trt
from rmbg_trt import models
from rmbg_trt.cli import app


class FakeEngine:
    """Alpha is 255 in the left half and 0 in the right one."""

    made: ClassVar[Any] = {}
    calls: ClassVar[Any] = []

    def __init__(self, model: Any, **options: Any) -> None:
        type(self).made = {"model": model, **options}
        self.info = "FAKE on cpu"

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def run(self, frame: Any, *, options: rmbg_trt.FrameOptions) -> Any:
        self.calls.append((frame, options.output, options.background, options.premultiplied))
        alpha = np.zeros(frame.shape[:2], np.uint8)
        alpha[:, : frame.shape[1] // 2] = 255
        if options.output == "alpha":
            return alpha
        return frame[..., :3] if options.output == "composite" else np.dstack([frame[..., :3], alpha])


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> type[FakeEngine]:
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(FakeEngine, "made", {})
    monkeypatch.setattr(FakeEngine, "calls", [])
    monkeypatch.setattr("rmbg_trt.cli.options.Engine", FakeEngine)
    monkeypatch.setattr(models, "resolve", lambda name, progress=None: Path(name))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # the command lifts it
    return FakeEngine


def command(*arguments: object, stdin: bytes | None = None) -> Any:
    result = typer.testing.CliRunner().invoke(app, ["image", *map(str, arguments)], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def said(result: Any) -> str:
    """What was said on stderr, as one line."""
    return re.sub(r"\s+", " ", result.stderr)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# ---- what is made ------------------------------------------------------------------------------------------------


def test_one_picture_becomes_a_cutout_beside_it(engine: type[FakeEngine], tmp_path: Path) -> None:
    source = image_file(tmp_path / "cat.png")
    result = command(source)
    assert result.exit_code == 0
    cutout = np.asarray(Image.open(tmp_path / "cat_cutout.png"))
    assert cutout[0, 0].tolist() == [200, 100, 50, 255]
    assert cutout[0, 7].tolist() == [0, 0, 0, 0]
    assert result.stderr.splitlines()[0] == "FAKE on cpu"
    assert result.stdout == ""
    assert engine.made["color"] == "rgb"
    assert engine.calls[0][0][0, 0].tolist() == [200, 100, 50]


def test_engine_options(engine: type[FakeEngine], tmp_path: Path) -> None:
    options = ["--model", "my.onnx", "--device", "cpu", "--runtime", "r", "--precision", "fp32"]
    command(image_file(tmp_path / "a.png"), *options, "--size", "320x480", "--filter", "area")
    assert engine.made == {
        "model": Path("my.onnx"),
        "device": "cpu",
        "runtime": "r",
        "precision": "fp32",
        "calibration": None,
        "size": (320, 480),
        "filter": "area",
        "refine": False,
        "stretch": "minmax",
        "color": "rgb",
    }
    command(image_file(tmp_path / "b.png"), "--size", "256")
    assert (engine.made["size"], engine.made["model"]) == (256, "u2net")


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ("", {}),
        ("--no-refine --no-decontaminate --stretch minmax", {}),
        ("--refine", {"refine": True}),
        ("--decontaminate", {"decontaminate": True}),
        ("--stretch none", {"stretch": "none"}),
        ("--stretch 0.2,0.7", {"stretch": (0.2, 0.7)}),
    ],
)
def test_edges_and_colors(
    fake_engine: Callable[..., rmbg_trt.Engine],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    flags: str,
    options: dict[str, Any],
) -> None:
    def engine(model: Any, **asked: Any) -> rmbg_trt.Engine:
        asked = {name: asked[name] for name in ("color", "refine", "stretch")}
        return fake_engine(restless.predict, size=restless.SIZE, **asked)

    def cutout(**options: Any) -> Any:
        return fake_engine(restless.predict, size=restless.SIZE, color="rgb", **options).run(frame, output="cutout")

    monkeypatch.setattr("rmbg_trt.cli.options.Engine", engine)
    monkeypatch.setattr(models, "resolve", lambda name, progress=None: Path(name))
    frame = restless.frame(1)
    Image.fromarray(frame).save(tmp_path / "a.png")
    assert command(tmp_path / "a.png", *flags.split()).exit_code == 0
    found = [np.asarray(Image.open(tmp_path / "a_cutout.png"))]
    assert restless.same(found, [cutout(**options)])
    assert restless.same(found, [cutout()]) == (options == {})


@pytest.mark.parametrize("stretch", ["running", "wide", "0.5", "0.5,0.5", "-1,1"])
def test_a_stretch_that_is_none(engine: type[FakeEngine], tmp_path: Path, stretch: str) -> None:
    result = command(image_file(tmp_path / "a.png"), f"--stretch={stretch}")
    assert result.exit_code == 2
    assert f"--stretch is {stretch!r}; expected minmax, none, or LOW,HIGH" in said(result)
    assert engine.made == {}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ("cutout", None, False)),
        (["--output", "alpha"], ("alpha", None, False)),
        (["--background", "#ff0000"], ("composite", "#ff0000", False)),
        (["--background", "blur:5"], ("composite", "blur:5", False)),
        (["--background", "navy", "--output", "alpha"], ("alpha", None, False)),
        (["--premultiplied"], ("cutout", None, True)),
    ],
)
def test_output_options(engine: type[FakeEngine], tmp_path: Path, options: list[str], expected: Any) -> None:
    result = command(image_file(tmp_path / "a.png"), *options)
    assert result.exit_code == 0
    assert engine.calls[0][1:] == expected
    assert names(tmp_path) == ["a.png", f"a_{expected[0]}.png"]
    assert ("--background is not used" in said(result)) == ("alpha" in options and "navy" in options)


def test_a_picture_as_background(engine: type[FakeEngine], tmp_path: Path) -> None:
    beach = image_file(tmp_path / "beach.png", color=(1, 2, 3))
    assert command(image_file(tmp_path / "a.png"), "--background", beach, "--format", "jpg").exit_code == 0
    assert engine.calls[0][1] == "composite"
    assert engine.calls[0][2].shape == (6, 8, 3)
    assert engine.calls[0][2][0, 0].tolist() == [1, 2, 3]
    assert Image.open(tmp_path / "a_composite.jpg").format == "JPEG"


def test_a_transparent_image_as_background(engine: type[FakeEngine], tmp_path: Path) -> None:
    Image.new("RGBA", (8, 6), (1, 2, 3, 254)).save(tmp_path / "clear.png")
    result = command(image_file(tmp_path / "a.png"), "--background", tmp_path / "clear.png")
    assert (result.exit_code, engine.calls) == (2, [])
    assert "has transparent pixels" in said(result)


def test_formats(engine: type[FakeEngine], tmp_path: Path) -> None:
    source = image_file(tmp_path / "a.png")
    for arguments, name, format in (
        (["-o", tmp_path / "x.webp"], "x.webp", "WEBP"),
        (["-o", tmp_path / "x.tif"], "x.tif", "TIFF"),
        (["-o", tmp_path / "d", "--format", "tiff"], "d/a.tiff", "TIFF"),
        (["--format", "webp", "--quality", "40"], "a_cutout.webp", "WEBP"),
        (["-o", tmp_path / "x.jpg", "--output", "alpha"], "x.jpg", "JPEG"),
    ):
        assert command(source, *arguments).exit_code == 0
        assert Image.open(tmp_path / name).format == format


def test_a_folder_resumes_where_it_was(engine: type[FakeEngine], tmp_path: Path) -> None:
    for name in ("a.jpg", "sub/b.png", "sub/c.webp"):
        image_file(tmp_path / "in" / name)
    job = (tmp_path / "in", "-o", tmp_path / "out")
    first = command(*job)
    assert (first.exit_code, names(tmp_path / "out")) == (0, ["a.png", "sub/b.png", "sub/c.png"])
    assert "3 done in" in said(first)
    assert "0 skipped, 0 failed" in said(first)
    again = command(*job)
    assert (again.exit_code, len(engine.calls)) == (0, 3)
    assert said(again).strip() == "Nothing to do: 3 images are done already; --overwrite replaces the results."
    (tmp_path / "out" / "a.png").unlink()
    assert "1 done in" in said(command(*job))
    assert len(engine.calls) == 4
    command(*job, "--overwrite")
    assert len(engine.calls) == 7
    late = time.time() + 100
    os.utime(tmp_path / "in" / "sub" / "b.png", (late, late))
    assert "1 done in" in said(command(*job, "--only-new"))
    assert "2 skipped" in said(command(*job, "--only-new"))


def test_failures_are_listed_and_the_rest_is_done(engine: type[FakeEngine], tmp_path: Path) -> None:
    image_file(tmp_path / "in" / "good.png")
    (tmp_path / "in" / "empty.png").touch()
    (tmp_path / "in" / "text [bold].jpg").write_text("no picture")
    result = command(tmp_path / "in", "-o", tmp_path / "out")
    assert (result.exit_code, names(tmp_path / "out")) == (1, ["good.png"])
    assert "1 done" in said(result)
    assert "2 failed" in said(result)
    for file, reason in (("empty.png", "is empty"), ("text [bold].jpg", "is not an image")):
        assert re.search(rf"failed: \S*{re.escape(file)}: .*{reason}", said(result))


def test_large_pictures_need_max_pixels(engine: type[FakeEngine], tmp_path: Path) -> None:
    source = image_file(tmp_path / "a.png", size=(20, 10))
    Image.MAX_IMAGE_PIXELS = 50  # the command's own limit takes its place
    refused = command(source, "--max-pixels", 199)
    assert refused.exit_code == 1
    assert "20 x 10 = 200 pixels, more than the limit of 199; --max-pixels" in said(refused)
    assert command(source, "--max-pixels", 200).exit_code == 0


# ---- results that are there already ------------------------------------------------------------------------------


def test_a_target_that_something_else_made_is_an_error(engine: type[FakeEngine], tmp_path: Path) -> None:
    a, b = (image_file(tmp_path / name, size=size) for name, size in (("a.png", (8, 6)), ("b.png", (9, 7))))
    out = ("-o", tmp_path / "out.png")
    assert command(a, *out).exit_code == 0
    assert "1 image is done already" in said(command(a, *out))
    for other in (
        (b,),
        (a, "--output", "alpha"),
        (a, "--refine"),
        (a, "--model", "another.onnx"),
        (a, "--stretch", "none"),
    ):
        result = command(*other, *out)
        assert result.exit_code == 2
        assert "out.png was made " in said(result)
        assert "--overwrite" in said(result)
    with Image.open(tmp_path / "out.png") as image:
        assert (image.size, image.mode) == ((8, 6), "RGBA")
    assert len(engine.calls) == 1
    assert command(b, *out, "--overwrite").exit_code == 0
    assert Image.open(tmp_path / "out.png").size == (9, 7)


def test_another_background_is_not_done_already(engine: type[FakeEngine], tmp_path: Path) -> None:
    source = image_file(tmp_path / "a.png")
    assert command(source, "--background", "red").exit_code == 0
    result = command(source, "--background", "blue")
    assert result.exit_code == 2
    assert "a_composite.png was made with other options (background red, " in said(result)


def test_a_name_that_says_another_format(engine: type[FakeEngine], tmp_path: Path) -> None:
    result = command(image_file(tmp_path / "a.png"), "-o", tmp_path / "q.png", "--format", "webp")
    assert "q.png will be a webp file, as --format says, in spite of its name" in said(result)
    assert Image.open(tmp_path / "q.png").format == "WEBP"


def test_a_background_image_is_converted_into_the_profile(engine: type[FakeEngine], tmp_path: Path) -> None:
    source = image_file(tmp_path / "a.png", icc_profile=DISPLAY_P3)
    behind = image_file(tmp_path / "b.png", (43, 87, 151))
    for background in ("#2b5797", behind):
        assert command(source, "--background", background, "--overwrite").exit_code == 0
        value = np.asarray(engine.calls[-1][2]).reshape(-1, 3)[0]
        assert shown(tuple(value), DISPLAY_P3) == pytest.approx((43, 87, 151), abs=1)


# ---- pipes -------------------------------------------------------------------------------------------------------


def test_stdin_to_stdout_is_the_picture_and_nothing_else(engine: type[FakeEngine], tmp_path: Path) -> None:
    data = image_file(tmp_path / "a.png").read_bytes()
    for arguments, format in ((["-"], "PNG"), (["-", "-o", "-", "--format", "webp"], "WEBP")):
        result = command(*arguments, stdin=data)
        assert result.exit_code == 0
        image = Image.open(io.BytesIO(result.stdout_bytes))
        assert (image.format, image.size) == (format, (8, 6))
        assert result.stderr.startswith("FAKE on cpu")
    assert names(tmp_path) == ["a.png"]


def test_file_to_stdout_and_stdin_to_file(engine: type[FakeEngine], tmp_path: Path) -> None:
    source = image_file(tmp_path / "a.png")
    assert Image.open(io.BytesIO(command(source, "-o", "-").stdout_bytes)).mode == "RGBA"
    to_file = ("-", "-o", tmp_path / "x.tiff")
    assert command(*to_file, stdin=source.read_bytes()).exit_code == 0
    assert Image.open(tmp_path / "x.tiff").format == "TIFF"
    again = command(*to_file, stdin=source.read_bytes())  # nobody knows whether it is the same image
    assert (again.exit_code, "x.tiff exists already; --overwrite replaces it" in said(again)) == (2, True)
    assert command(*to_file, "--overwrite", stdin=source.read_bytes()).exit_code == 0
    assert len(engine.calls) == 3


def test_a_bad_stdin_fails(engine: type[FakeEngine]) -> None:
    for data, reason in ((b"", "stdin is empty"), (b"no picture at all", "stdin is not an image")):
        result = command("-", stdin=data)
        assert (result.exit_code, result.stdout_bytes) == (1, b"")
        assert reason in said(result)


# ---- usage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["missing.png"], "no file or folder missing.png"),
        (["*.gif"], "no image matches *.gif"),
        (["a.png", "b.png", "-o", "x.png"], "cannot become one file, x.png"),
        (["a.png", "-o", "x.bmp"], "x.bmp ends in '.bmp'"),
        (["a.png", "-o", "x.jpg"], "JPEG, which has no transparency"),
        (["a.png", "--format", "jpg"], "JPEG, which has no transparency"),
        (["a.png", "--format", "bmp"], "bmp"),
        (["a.png", "--quality", "0"], "--quality"),
        (["a.png", "--quality", "90"], "png is lossless"),
        (["a.png", "--output", "composite"], "needs --background"),
        (["a.png", "--background", "nocolor"], "'nocolor' is not a colour"),
        (["a.png", "--background", "blur:x"], "blur radius"),
        (["a.png", "--background", ""], "'' is not a colour"),
        (["a.png", "--background", "rgb(300,0,0)"], "expected numbers from 0 to 255"),
        (["a.png", "--background", "#ff000080"], "not opaque"),
        (["a.png", "--background", "white", "--premultiplied"], "--premultiplied is for cutouts"),
        (["a.png", "--size", "320x"], "expected one side"),
        (["a.png", "--overwrite", "--only-new"], "contradict"),
        (["a.png", "-o", "a.png", "--overwrite"], "a.png is an input and would be overwritten"),
        (["a.png", "--watch"], "only folders can be watched"),
        (["-", "a.png"], "- takes one image"),
        (["a.png", "b.png", "-o", "-"], "- takes one image"),
        (["-", "-o", "."], ". is not a file name"),
        (["missing.png", "-o", "-"], "no file missing.png"),
        ([""], "the name of an input or output is empty"),
        (["a.png", "-o", ""], "the name of an input or output is empty"),
    ],
)
def test_usage_errors_end_with_2_before_any_work(
    engine: type[FakeEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = [image_file(Path(name)).read_bytes() for name in ("a.png", "b.png")]
    result = command(*arguments)
    assert result.exit_code == 2
    assert reason in said(result)
    assert (engine.made, names(tmp_path)) == ({}, ["a.png", "b.png"])
    assert [Path(name).read_bytes() for name in ("a.png", "b.png")] == before


def test_an_engine_that_is_not_here_ends_with_1(
    engine: type[FakeEngine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise rmbg_trt.UnavailableError("there is no GPU")

    monkeypatch.setattr("rmbg_trt.cli.options.Engine", refuse)
    result = command(image_file(tmp_path / "a.png"), "--device", "cuda")
    assert (result.exit_code, said(result).strip()) == (1, "Error: there is no GPU")
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x89PNG\r\n\x1a\n broken"])
@pytest.mark.parametrize("piped", [False, True])
def test_a_bad_image_is_named_before_the_model_is_loaded(
    engine: type[FakeEngine], tmp_path: Path, content: bytes, piped: bool
) -> None:
    source = tmp_path / "a.jpg"
    source.write_bytes(content)
    stdin = content if piped else None
    result = command("-" if piped else source, "-o", tmp_path / "o.png", "--model", "nowhere.onnx", stdin=stdin)
    assert result.exit_code == 1
    assert "Error: stdin" in said(result) if piped else f"Error: {source}" in said(result)
    assert engine.made == {}
    assert names(tmp_path) == ["a.jpg"]


def test_a_target_that_cannot_be_written_is_named_before_the_model_is_loaded(
    engine: type[FakeEngine], tmp_path: Path
) -> None:
    for name in ("a.jpg", "b.jpg"):
        image_file(tmp_path / "in" / name)
    (tmp_path / "file").write_bytes(b"")
    result = command(tmp_path / "in", "-o", tmp_path / "file" / "out")
    assert result.exit_code == 1
    assert "could not be written: Not a directory" in said(result)
    assert engine.made == {}
