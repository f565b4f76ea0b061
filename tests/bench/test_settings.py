# SPDX-License-Identifier: Apache-2.0
"""What is measured, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from rmbg_trt.bench import FULL, QUICK, Configuration, Settings
from rmbg_trt.bench.settings import parse_numbers, parse_sizes
from rmbg_trt.errors import InputError


def test_sizes_are_names_or_width_by_height() -> None:
    assert parse_sizes("480p, 1080P,1000x600,480p") == ((480, 854), (1080, 1920), (600, 1000))
    assert parse_numbers("slots", "1,2, 4,2") == (1, 2, 4)


@pytest.mark.parametrize("text", ["", "900p", "0x5", "10x", "x10", "1x2x3", "-1x5", "99999x5", "480p,,720p", "¹x5"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="WIDTHxHEIGHT"):
        parse_sizes(text)


def test_one_axis_is_varied_at_a_time() -> None:
    found = [str(each) for each in Settings(places=("pageable", "pinned")).configurations((1, 2))]
    assert found == [
        "480p alpha pageable x1",
        "720p alpha pageable x1",
        "1080p alpha pageable x1",
        "1440p alpha pageable x1",
        "2160p alpha pageable x1",
        "1080p alpha pinned x1",
        "1080p cutout pageable x1",
        "1080p composite pageable x1",
        "1080p alpha pageable x2",
    ]


def test_full_is_every_combination_once() -> None:
    found = FULL.configurations((1, 2))
    assert len(found) == len(set(found)) == 5 * 3 * 3 * 2


def test_the_base_is_1080p_or_the_first() -> None:
    assert QUICK.base((1,)) == Configuration(1080, 1920, "pageable", "alpha", 1)
    assert str(Settings(sizes=((600, 1000), (480, 854)), outputs=("cutout",)).base((4, 1))) == (
        "1000x600 cutout pageable x4"
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"places": ("pageable", "disk")}, "places has disk; expected some of pageable, pinned, device"),
        ({"outputs": ()}, "outputs has nothing"),
        ({"sizes": ()}, "no frame size"),
        ({"slots": (0,)}, "slots is"),
        ({"slots": ()}, "slots is"),
        ({"rates": (0.0,)}, "a rate is"),
        ({"rates": (float("nan"),)}, "a rate is"),
        ({"repeats": 0}, "repeats is 0; expected at least 1"),
        ({"queue": 0}, "queue is 0"),
        ({"seconds": 0.0}, "seconds"),
        ({"image": "a", "video": "b"}, "not from both"),
    ],
)
def test_what_cannot_be_measured_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Settings(**wrong)
