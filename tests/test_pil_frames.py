# SPDX-License-Identifier: Apache-2.0
"""PIL images given to the engine: what comes back is what the command line makes of the same file."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests.fakes import Predict
from tests.image.samples import ADOBE_RGB, DISPLAY_P3, gradient, saved, shown

import rmbg_trt
from rmbg_trt import Engine, FrameOptions
from rmbg_trt.folder_job import Options, Task, run_tasks

BRAND = (43, 87, 151)
MakeEngine = Callable[..., Engine]


def left(tensor: Any) -> Any:
    """Alpha is 1 in the left half."""
    return (np.arange(tensor.shape[3]) < tensor.shape[3] // 2).astype(np.float32)[None, :]


def of_brightness(tensor: Any) -> Any:
    return tensor[0].mean(axis=0) / 8 + 0.5


def by_both(
    make: MakeEngine, path: Path, predict: Predict = of_brightness, color: str = "bgr", **options: Any
) -> tuple[Image.Image, Image.Image]:
    """The result of ``Engine.run`` for the opened image, and of a folder job for the file."""
    frame = FrameOptions(**{"output": "cutout", **options})
    with Image.open(path) as image:
        direct = make(predict, color=color).run(image, options=frame)
    task = Task(path, path.with_name("result.png"), "png")
    (outcome,) = run_tasks([task], make(predict, color="rgb"), Options(frame))
    assert outcome.error is None
    with Image.open(task.target) as image:
        image.load()
    return direct, image


def assert_alike(direct: Image.Image, written: Image.Image) -> None:
    assert (direct.mode, direct.size) == (written.mode, written.size)
    visible = np.asarray(direct)[..., -1:] > 0 if direct.mode == "RGBA" else True  # files have no hidden colors
    np.testing.assert_array_equal(np.asarray(direct) * visible, np.asarray(written))
    assert direct.info.get("icc_profile") == written.info.get("icc_profile")


def photograph_of_a_phone(path: Path) -> Path:
    """Stored on its side, with a wide-gamut profile, a resolution and a camera's name."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110] = 6, "Maker", "Model 1"
    sideways = Image.fromarray(gradient()).transpose(Image.Transpose.ROTATE_90)
    sideways.save(path, exif=exif, icc_profile=DISPLAY_P3, dpi=(300, 150), quality=95)
    return path


def test_a_photograph_of_a_phone(fake_engine: MakeEngine, tmp_path: Path) -> None:
    direct, written = by_both(fake_engine, photograph_of_a_phone(tmp_path / "a.jpg"))
    assert_alike(direct, written)
    assert direct.size == (30, 24)  # upright
    assert direct.info["icc_profile"] == DISPLAY_P3
    assert direct.info["dpi"] == pytest.approx((150, 300))
    exif = direct.getexif()
    assert (exif[0x010F], exif[0x0110], exif.get(0x0112)) == ("Maker", "Model 1", None)
    again = Image.open(io.BytesIO(saved(direct, "PNG")))  # as users save it
    assert again.info["icc_profile"] == DISPLAY_P3


def test_an_alpha_has_no_colors_to_describe(fake_engine: MakeEngine, tmp_path: Path) -> None:
    direct, written = by_both(fake_engine, photograph_of_a_phone(tmp_path / "a.jpg"), output="alpha")
    assert_alike(direct, written)
    assert (direct.mode, "icc_profile" in direct.info) == ("L", False)


def lab(image: Image.Image) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert converted is not None
    return converted


@pytest.mark.parametrize(
    ("mode", "format"),
    [
        *((mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *((mode, "TIFF") for mode in ("I", "F", "CMYK", "LAB", "YCbCr", "I;16", "I;16B", "LA")),
        ("CMYK", "JPEG"),
    ],
)
def test_files_of_every_mode(fake_engine: MakeEngine, tmp_path: Path, mode: str, format: str) -> None:
    rgb = Image.fromarray(gradient())
    levels = np.asarray(rgb.convert("L"))
    deep = {"I;16": levels.astype("<u2") * 257, "I;16B": (levels.astype(">u2") * 257).astype(">u2")}
    deep |= {"I": levels.astype(np.int32) * 257, "F": levels.astype(np.float32) / 255}
    image = Image.fromarray(deep[mode]) if mode in deep else lab(rgb) if mode == "LAB" else rgb.convert(mode)
    image.save(tmp_path / "a.x", format)
    direct, written = by_both(fake_engine, tmp_path / "a.x")
    assert_alike(direct, written)
    colors = np.asarray(direct)[..., :3].astype(int)
    expected = np.repeat(levels[..., None], 3, axis=2) if mode in (*deep, "L", "LA") else np.asarray(rgb)
    if mode not in ("1", "P", "CMYK"):  # which have few colors
        assert np.abs(colors - expected).mean() < 3


@pytest.mark.parametrize("mode", ["I", "F", "I;16", "LAB", "La", "RGBa", "PA", "RGBX"])
def test_images_in_memory_of_rare_modes(fake_engine: MakeEngine, mode: str) -> None:
    rgb = Image.fromarray(gradient())
    levels = np.asarray(rgb.convert("L"))
    steps = {"La": ("LA", "La"), "RGBa": ("RGBA", "RGBa"), "PA": ("P", "PA"), "RGBX": ("RGBX",)}
    deep = {"I": levels.astype(np.int32) * 257, "F": levels.astype(np.float32), "I;16": levels.astype(np.uint16) * 257}
    image = lab(rgb) if mode == "LAB" else Image.fromarray(deep[mode]) if mode in deep else rgb
    for step in steps.get(mode, ()):
        image = image.convert(step)
    assert image.mode == mode
    cutout = np.asarray(fake_engine(lambda _: 1.0, stretch="none").run(image, output="cutout")).astype(int)
    gray = mode in (*deep, "La")
    expected = np.repeat(levels[..., None], 3, axis=2) if gray else np.asarray(rgb)
    if mode == "PA":
        expected = np.asarray(rgb.convert("P").convert("RGB"))  # which has few colors
    assert (cutout[..., 3] == 255).all()
    assert np.abs(cutout[..., :3] - expected).mean() < 3


def test_a_frame_of_an_animation_is_the_one_it_stands_at(fake_engine: MakeEngine) -> None:
    frames = [Image.new("RGB", (9, 7), color) for color in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    image = Image.open(io.BytesIO(saved(frames[0], "PNG", save_all=True, append_images=frames[1:])))
    image.seek(1)
    cutout = fake_engine(lambda _: 1.0).run(image, output="cutout")
    assert cutout.getpixel((4, 3))[:3] == (0, 250, 0)


def test_the_image_of_the_user_is_not_changed(fake_engine: MakeEngine, tmp_path: Path) -> None:
    image = Image.open(photograph_of_a_phone(tmp_path / "a.jpg"))
    info, size = dict(image.info), image.size
    fake_engine(left).run(image, output="cutout")
    assert (image.info, image.size, image.getexif()[0x0112]) == (info, size, 6)
    key = Image.new("RGB", (4, 4), (1, 2, 3))
    key.info["transparency"] = (300, 2, 3)
    fake_engine(left).run(key)
    assert key.info == {"transparency": (300, 2, 3)}


def test_a_damaged_file_is_an_input_error(fake_engine: MakeEngine, tmp_path: Path) -> None:
    data = saved(Image.effect_noise((64, 64), 90), "JPEG")
    (tmp_path / "cut.jpg").write_bytes(data[:-300])
    with (
        Image.open(tmp_path / "cut.jpg") as image,
        pytest.raises(rmbg_trt.InputError, match="the frame is cut short"),
    ):
        fake_engine(left).run(image)


# ---- backgrounds mean the same color behind every photograph ----------------------------------------------------


@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("profile", [None, ADOBE_RGB, DISPLAY_P3])
@pytest.mark.parametrize("background", ["#2b5797", BRAND, "array", "untagged", "tagged", "tagged in P3"])
def test_a_brand_color_is_shown_as_asked(
    fake_engine: MakeEngine, tmp_path: Path, profile: bytes | None, background: Any, color: str
) -> None:
    plain = Image.new("RGB", (60, 50), BRAND)
    stored = {"tagged": ADOBE_RGB, "tagged in P3": DISPLAY_P3}.get(background)
    if background == "array":
        background = np.asarray(plain)
    elif background in ("untagged", "tagged", "tagged in P3"):
        background = plain if stored is None else converted(plain, stored)
    Image.fromarray(gradient()).save(tmp_path / "a.png", **({"icc_profile": profile} if profile else {}))
    options = {"output": "composite", "background": background, "color": color}
    direct, written = by_both(fake_engine, tmp_path / "a.png", left, **options)
    assert_alike(direct, written)
    for result in (direct, written):
        assert result.info.get("icc_profile") == profile
        pixel = result.getpixel((29, 12))
        assert isinstance(pixel, tuple)
        assert shown(pixel, profile) == pytest.approx(BRAND, abs=2)


def converted(image: Image.Image, profile: bytes) -> Image.Image:
    """The image in another profile, which it carries."""
    into = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    result = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), into, renderingIntent=1)
    assert result is not None
    assert result.getpixel((0, 0)) != image.getpixel((0, 0))
    result.info["icc_profile"] = profile
    return result


def test_blur_behind_a_photograph_with_a_profile(fake_engine: MakeEngine, tmp_path: Path) -> None:
    Image.fromarray(gradient()).save(tmp_path / "a.png", icc_profile=ADOBE_RGB)
    assert_alike(*by_both(fake_engine, tmp_path / "a.png", left, output="composite", background="blur:3"))


def test_a_background_image_is_upright_and_in_srgb_behind_an_array(fake_engine: MakeEngine, tmp_path: Path) -> None:
    background = Image.open(photograph_of_a_phone(tmp_path / "a.jpg"))
    frame = np.zeros((24, 30, 3), np.uint8)
    composite = fake_engine(lambda _: 0.0, color="rgb").run(frame, output="composite", background=background)
    with Image.open(tmp_path / "a.jpg") as image:
        upright = np.asarray(image.transpose(Image.Transpose.ROTATE_270))
    for y, x in ((3, 4), (20, 25), (12, 15)):
        assert tuple(composite[y, x]) == pytest.approx(shown(tuple(upright[y, x]), DISPLAY_P3), abs=1)


def test_a_transparent_background_is_refused_everywhere(fake_engine: MakeEngine, tmp_path: Path) -> None:
    clear = Image.new("RGBA", (8, 8), (1, 2, 3, 254))
    for frame in (Image.new("RGB", (8, 8)), np.zeros((8, 8, 3), np.uint8)):
        with pytest.raises(rmbg_trt.InputError, match="background image has transparent pixels"):
            fake_engine(left).run(frame, output="composite", background=clear)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    options = Options(FrameOptions(output="composite", background=clear))
    (outcome,) = run_tasks(
        [Task(tmp_path / "a.png", tmp_path / "b.png", "png")], fake_engine(left, color="rgb"), options
    )
    assert "background image has transparent pixels" in str(outcome.error)
    clear.putalpha(255)
    assert fake_engine(left).run(clear, output="composite", background=clear).mode == "RGB"


@pytest.mark.parametrize("background", ["nocolor", (1, 2), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_a_bad_background_is_an_input_error_with_a_profile_too(fake_engine: MakeEngine, background: Any) -> None:
    image = Image.new("RGB", (8, 8))
    for profile in (None, ADOBE_RGB):
        image.info["icc_profile"] = profile
        with pytest.raises(rmbg_trt.InputError, match="background"):
            fake_engine(left).run(image, output="composite", background=background)
