# SPDX-License-Identifier: Apache-2.0
"""Settings of a benchmark: the axes, duration and repeats, and the configurations that follow from them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError

FORMAT = 1
"""Version of the report that ``rmbg-trt bench`` writes."""

SIZES = {
    "480p": (480, 854),
    "720p": (720, 1280),
    "1080p": (1080, 1920),
    "1440p": (1440, 2560),
    "2160p": (2160, 3840),
}
"""(height, width) of the named frame sizes."""

PLACES = ("pageable", "pinned", "device")
OUTPUTS = ("alpha", "cutout", "composite")
_MAX_SIDE = 16384


@dataclass(frozen=True)
class Configuration:
    """One combination that is measured."""

    height: int  # of the frames, in pixels
    width: int
    place: str  # memory of the frames: "pageable" (any NumPy array), "pinned" (``Engine.frame_buffer``) or "device"
    output: str  # "alpha", "cutout" or "composite"
    in_flight: int  # frames in flight, each in its own slot

    @property
    def size(self) -> str:
        """The name of the frame size."""
        return size_name(self.height, self.width)

    @property
    def megapixels(self) -> float:
        """Pixels of a frame, in millions."""
        return self.height * self.width / 1e6

    def __str__(self) -> str:
        return f"{self.size} {self.output} {self.place} x{self.in_flight}"


@dataclass(frozen=True)
class Settings:
    """What to measure, and how long."""

    sizes: tuple[tuple[int, int], ...] = tuple(SIZES.values())  # (height, width) of the frames
    places: tuple[str, ...] = PLACES
    outputs: tuple[str, ...] = OUTPUTS
    slots: tuple[int, ...] | None = None  # frames in flight; None: 1 and 2, and 4 on a GPU or with eight cores
    full: bool = False  # every combination; else one axis at a time, with the others at their base
    seconds: float = 6.0  # for each configuration, all repeats together, without warm-up
    frames: int | None = None  # for each repeat, instead of seconds
    warmup: int = 2  # untimed frames before each repeat
    repeats: int = 3  # how often all configurations are measured
    rates: tuple[float, ...] = ()  # frames per second of the open loop
    rate_seconds: float = 5.0  # duration of the open loop, for each repeat
    queue: int | None = None  # frames that may wait for a slot in the open loop; None: as many as slots
    image: str | os.PathLike[str] | None = None  # take the frames from an image; by default they are synthetic
    video: str | os.PathLike[str] | None = None  # take the frames from a video
    cold_start: bool = True  # whether to measure fresh processes
    engine: dict[str, Any] = field(default_factory=dict)  # keywords of Engine, such as device and precision

    def __post_init__(self) -> None:
        """Raises `InputError` for what cannot be measured."""
        for name, values, known in (("places", self.places, PLACES), ("outputs", self.outputs, OUTPUTS)):
            wrong = [value for value in values if value not in known]
            if wrong or not values:
                raise InputError(f"{name} has {', '.join(wrong) or 'nothing'}; expected some of {', '.join(known)}")
        if not self.sizes:
            raise InputError("no frame size is given")
        if self.slots is not None and (not self.slots or not all(1 <= each <= 64 for each in self.slots)):
            raise InputError(f"slots is {list(self.slots)}; expected whole numbers from 1 to 64")
        if not all(0.01 <= rate <= 100_000 for rate in self.rates):
            raise InputError(f"a rate is {list(self.rates)}; expected frames a second, from 0.01 to 100000")
        for each, least in (("repeats", 1), ("warmup", 0), ("frames", 1), ("queue", 1)):
            value = getattr(self, each)
            if value is not None and value < least:
                raise InputError(f"{each} is {value}; expected at least {least}")
        if not (self.seconds > 0 and self.rate_seconds > 0):
            raise InputError("seconds must be more than 0")
        if self.image is not None and self.video is not None:
            raise InputError("frames come from an image or from a video, not from both")

    def base(self, slots: Sequence[int]) -> Configuration:
        """The configuration that the others differ from in one axis: 1080p if it is one of the sizes."""
        height, width = SIZES["1080p"] if SIZES["1080p"] in self.sizes else self.sizes[0]
        return Configuration(height, width, self.places[0], self.outputs[0], slots[0])

    def configurations(self, slots: Sequence[int]) -> list[Configuration]:
        """All configurations, without duplicates, for these numbers of frames in flight."""
        if self.full:
            every = itertools.product(self.sizes, self.places, self.outputs, slots)
            return [Configuration(*size, place, output, each) for size, place, output, each in dict.fromkeys(every)]
        base = self.base(slots)
        found = [Configuration(*size, base.place, base.output, base.in_flight) for size in self.sizes]
        size = base.height, base.width
        found += [Configuration(*size, place, base.output, base.in_flight) for place in self.places]
        found += [Configuration(*size, base.place, output, base.in_flight) for output in self.outputs]
        found += [Configuration(*size, base.place, base.output, each) for each in slots]
        return list(dict.fromkeys(found))


QUICK = Settings(
    sizes=(SIZES["720p"], SIZES["1080p"]), places=("pageable",), outputs=("alpha",), slots=(1,), seconds=3.0
)
"""At most half a minute."""

FULL = Settings(full=True, seconds=10.0)
"""Every combination."""


def size_name(height: int, width: int) -> str:
    """The name of a frame size, such as "1080p", or "WIDTHxHEIGHT"."""
    return next((name for name, size in SIZES.items() if size == (height, width)), f"{width}x{height}")


def parse_sizes(text: str) -> tuple[tuple[int, int], ...]:
    """Reads "480p,1080p,1000x600" (width x height) into (height, width). Raises `InputError` for anything else."""
    return tuple(dict.fromkeys(_parse_size(part.strip()) for part in text.split(",")))


def _parse_size(text: str) -> tuple[int, int]:
    if text.lower() in SIZES:
        return SIZES[text.lower()]
    width, _, height = text.lower().partition("x")
    if all(side.isascii() and side.isdigit() and 1 <= int(side) <= _MAX_SIDE for side in (width, height)):
        return int(height), int(width)
    raise InputError(f"a frame size is {text!r}; expected {', '.join(SIZES)} or WIDTHxHEIGHT up to {_MAX_SIDE}")


def parse_numbers(name: str, text: str) -> tuple[int, ...]:
    """Reads "1,2,4"; ``name`` is for the message. Raises `InputError` for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"{name} is {text!r}; expected whole numbers, as 1,2,4")
    return tuple(dict.fromkeys(int(part) for part in parts))
