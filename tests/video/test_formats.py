# SPDX-License-Identifier: Apache-2.0
"""Which codec a file takes, and what is refused, with advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rmbg_trt.errors import InputError
from rmbg_trt.video import VideoOptions
from rmbg_trt.video.formats import choose_format


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("a.mp4", "composite", ("libx264", "yuv420p", {"crf": "18"})),
        ("a.MOV", "cutout", ("prores_ks", "yuva444p10le", {"profile": "4444"})),
        ("a.mov", "composite", ("libx264", "yuv420p", {"crf": "18"})),
        ("a.mov", "alpha", ("prores_ks", "yuv422p10le", {"profile": "hq"})),
        ("a.mkv", "cutout", ("ffv1", "bgra", {})),
        ("a.mkv", "alpha", ("ffv1", "gray", {})),
        ("a.mkv", "composite", ("libx264", "yuv420p", {})),
        ("a.webm", "cutout", ("libvpx-vp9", "yuva420p", {"crf": "20", "auto-alt-ref": "0"})),
        ("a.webp", "cutout", ("libwebp_anim", "bgra", {})),
        ("f/%06d.png", "cutout", ("png", "rgba", {})),
    ],
)
def test_default_codec_for_each_suffix(name: str, kind: Any, expected: tuple[str, str, dict[str, str]]) -> None:
    recipe = choose_format(Path(name), VideoOptions.of(output=kind))
    assert (recipe.codec.encoder, recipe.pixel_format) == expected[:2]
    assert expected[2].items() <= dict(recipe.options).items()


@pytest.mark.parametrize(
    ("name", "kind", "options", "message"),
    [
        ("a.mp4", "cutout", {}, r"no transparency.*mov, webm, mkv, webp or a PNG sequence"),
        ("a.mkv", "cutout", {"codec": "h264"}, "no transparency"),
        ("a.avi", "cutout", {}, "'.avi'; expected .mp4"),
        ("a", "cutout", {}, "'no suffix'"),
        ("a.png", "cutout", {}, r"one image.*a/%06d.png"),
        ("a.webm", "composite", {"codec": "h264"}, "takes vp9 here"),
        ("a.mp4", "composite", {"codec": "divx"}, "'divx'; expected h264"),
        ("a.mov", "cutout", {"crf": 3}, "prores takes no crf"),
        ("a.mov", "cutout", {"bitrate": "3M"}, "prores takes no bit rate"),
        ("a.mov", "cutout", {"lossless": True}, "prores is not lossless here; h264"),
        ("a.mp4", "composite", {"crf": 52}, "0 .best. to 51"),
        ("a.mp4", "composite", {"crf": 3, "bitrate": "3M"}, "contradict"),
        ("a.mp4", "composite", {"bitrate": "fast"}, "'fast'; expected bits"),
    ],
)
def test_contradicting_choices_are_refused(name: str, kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_format(Path(name), VideoOptions.of(output=kind, **options))
