# SPDX-License-Identifier: Apache-2.0
"""The commands in messages about missing packages: they work whatever rmbg-trt was installed from."""

from __future__ import annotations

import importlib.metadata

import pytest

from rmbg_trt import install
from rmbg_trt.install import install_command, why_not_imported

REQUIRES = [
    "numpy>=1.24",
    'isal>=1.7; platform_machine in "x86_64 AMD64"',
    'av>=18.1; extra == "video"',
    "rmbg-trt[video]; extra == 'camera'",
    'opencv-python>=4.10; extra == "camera"',
    'rmbg-trt[camera,video]; extra == "all"',
    'pillow-heif<2,>=0.18; python_version >= "3.10" and extra == "heif"',
]


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("video", 'pip install "av>=18.1"'),
        ("camera", 'pip install "av>=18.1" "opencv-python>=4.10"'),
        ("all", 'pip install "av>=18.1" "opencv-python>=4.10"'),
        ("heif", 'pip install "pillow-heif<2,>=0.18"'),
        ("vid", 'pip install ".[vid]" in a checkout of rmbg-trt'),
    ],
)
def test_it_names_the_packages(monkeypatch: pytest.MonkeyPatch, extra: str, command: str) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: REQUIRES)
    assert install_command(extra) == command


def test_without_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "NAME", "no-such-package-as-this")
    assert install_command("video") == 'pip install ".[video]" in a checkout of no-such-package-as-this'


def test_no_message_names_an_index_that_may_not_have_us() -> None:
    assert "rmbg-trt" not in install_command("train")


def test_why_a_package_cannot_be_imported() -> None:
    missing = why_not_imported("PyAV", ModuleNotFoundError("No module named 'av'"), "video")
    assert missing == f"PyAV is not installed: {install_command('video')}"
    refused = why_not_imported("PyAV", ImportError("libavcodec.so: failed to map segment"), "video")
    assert refused.startswith("PyAV does not load (libavcodec.so: failed to map segment)")
