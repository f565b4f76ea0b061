# SPDX-License-Identifier: Apache-2.0
"""Options that commands with an engine share, and the engine, or the matter of videos, made of them."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import EXIT_USAGE, download_bar, fail, say

if TYPE_CHECKING:
    from ..engine import Engine
    from ..video_matter import VideoMatter


class Output(enum.StrEnum):
    """Values of ``--output``."""

    alpha = "alpha"
    cutout = "cutout"
    composite = "composite"


class Filter(enum.StrEnum):
    """Values of ``--filter``."""

    lanczos = "lanczos"
    bilinear = "bilinear"
    area = "area"


class Stretch(enum.StrEnum):
    """Values of ``--stretch`` where nothing but these makes sense."""

    minmax = "minmax"
    none = "none"


ModelOption = Annotated[str, typer.Option("--model", help="A model of the catalogue, or a file.")]
DeviceOption = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda or cuda:N; cuda fails where there is none.")
]
RuntimeOption = Annotated[str, typer.Option("--runtime", help="What runs the network; see 'rmbg-trt doctor'.")]
PrecisionOption = Annotated[
    str, typer.Option("--precision", help="auto, fp32, bf16, int8, fp16: the network's arithmetic.")
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option("--calibration", metavar="FOLDER", help="Photographs, or images/ and masks/, to make int8 with."),
]
SizeOption = Annotated[
    str | None, typer.Option("--size", metavar="N|HxW", help="Network input, for models that are open.")
]
FilterOption = Annotated[Filter, typer.Option("--filter", help="Resampling to the network's size and back.")]

_REFINE = "Let alpha follow the frame's colours: hair and edges as fine as the picture."
_DECONTAMINATE = "Take the old background's colour out of the edges."
RefineOption = Annotated[bool, typer.Option("--refine/--no-refine", help=_REFINE)]
DecontaminateOption = Annotated[bool, typer.Option("--decontaminate/--no-decontaminate", help=_DECONTAMINATE)]
StabilizeOption = Annotated[
    bool, typer.Option("--stabilize/--no-stabilize", help="Hold back flicker from frame to frame.")
]
StretchOption = Annotated[
    str,
    typer.Option(
        "--stretch",
        metavar="minmax|none|LOW,HIGH",
        help="Stretch alpha: minmax each picture's own range, none not at all, LOW,HIGH as 0.1,0.9 this part of 0..1.",
    ),
]
VideoStretchOption = Annotated[
    str,
    typer.Option(
        "--stretch",
        metavar="none|minmax|running|LOW,HIGH",
        help="Stretch alpha: none not at all, LOW,HIGH as 0.1,0.9 this part of 0..1, running the range of the last "
        "frames, minmax each frame's own, which flickers.",
    ),
]


def sides(size: str | None) -> int | tuple[int, int] | None:
    """Reads "320" or "320x480" (height x width), as ``--size`` takes it.

    Raises:
        InputError: It is neither.
    """
    from ..errors import InputError

    if size is None:
        return None
    parts = size.lower().split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"--size is {size!r}; expected one side, as 320, or HEIGHTxWIDTH, as 320x480")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def stretch_of(stretch: str, *, running: bool = False) -> str | tuple[float, float]:
    """Reads what ``--stretch`` takes: a word, or "LOW,HIGH" as two numbers.

    Args:
        stretch: As it was given.
        running: Whether "running" is one of the words.

    Raises:
        InputError: It is neither.
    """
    from ..errors import InputError

    words = ("none", "minmax", "running") if running else ("minmax", "none")
    if stretch in words:
        return stretch
    try:
        low, high = (float(end) for end in stretch.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not 0 <= low < high <= 1:
        raise InputError(
            f"--stretch is {stretch!r}; expected {', '.join(words)}, or LOW,HIGH with 0 <= LOW < HIGH <= 1, as 0.1,0.9"
        )
    return low, high


def fetch(model: str) -> Path:
    """The file of a model, with a bar while it is fetched into the cache."""
    from .. import models

    with download_bar(f"Fetching {model}") as progress:
        return models.resolve(model, progress=progress)


def open_engine(model: str, **options: Any) -> Engine:
    """Makes an RGB engine, with a bar while its model is fetched, and says what it runs on."""
    from .. import models
    from ..engine import Engine

    check_calibration(options.get("calibration"), options.get("precision"))
    path = fetch(model)
    engine = Engine(model if model in models.CATALOGUE else path, color="rgb", **options)
    say(str(engine.info))
    return engine


def check_calibration(folder: Path | None, precision: str | None) -> None:
    """Ends the command where ``--calibration`` makes no sense; to be called before anything is fetched."""
    if folder is not None and precision != "int8":
        fail("--calibration is for --precision int8", EXIT_USAGE)
    if folder is not None and not folder.is_dir():
        fail(f"--calibration is {folder}; expected a folder of photographs", EXIT_USAGE)


@contextlib.contextmanager
def open_matter(
    model: str,
    *,
    stabilize: bool,
    refine: bool,
    decontaminate: bool,
    stretch: str | tuple[float, float],
    **options: Any,
) -> Iterator[VideoMatter]:
    """As `open_engine`, for the frames of videos; its engine is closed when the block ends."""
    from ..video_matter import VideoMatter

    with open_engine(model, stretch="none" if stretch == "running" else stretch, **options) as engine:
        yield VideoMatter(
            engine,
            stabilize=stabilize,
            refine=refine,
            decontaminate=decontaminate,
            stretch=stretch,  # type: ignore[arg-type]  # of stretch_of()
        )
