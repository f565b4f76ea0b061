# SPDX-License-Identifier: Apache-2.0
"""Command-line options that several commands share, each declared once.

A single option is an alias such as `ModelOption`. Options that belong together are the fields of a dataclass, such as
`EngineChoice`: under `expand_options`, a command with a parameter of that type has all its options in that place.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from .. import models
from ..engine import Engine
from ..errors import InputError
from ..options import FrameOptions
from ..video_matter import VideoMatter
from .console import EXIT_USAGE, download_bar, fail, say


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
    """Values of ``--stretch`` in commands that measure."""

    minmax = "minmax"
    none = "none"


ModelOption = Annotated[str, typer.Option("--model", help="A catalogue name, or a model file.")]
StretchOption = Annotated[
    str,
    typer.Option(
        "--stretch",
        metavar="minmax|none|LOW,HIGH",
        help="Map alpha to 0..1: minmax from each image's own range, LOW,HIGH (as 0.1,0.9) from that range, none: off.",
    ),
]
MeasuredStretchOption = Annotated[
    Stretch, typer.Option("--stretch", help="minmax maps each alpha's own range to 0..1, none leaves it.")
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option("--calibration", metavar="FOLDER", help="Photographs, or images/ and masks/, to calibrate int8 with."),
]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Images processed at once; cores + 2 by default.")
]
SlotsOption = Annotated[
    int,
    typer.Option("--slots", min=1, max=64, help="Frames in flight: more keep a GPU busier, but each takes longer."),
]


@dataclass(frozen=True, kw_only=True)
class EngineChoice:
    """What runs the network: the options of every command that opens an engine."""

    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N; cuda fails where there is none.")] = "auto"
    runtime: Annotated[str, typer.Option(help="What runs the network; see 'rmbg-trt doctor'.")] = "auto"
    precision: Annotated[str, typer.Option(help="Arithmetic of the network: auto, fp32, bf16, int8, fp16.")] = "auto"
    calibration: CalibrationOption = None
    size: Annotated[
        str | None, typer.Option(metavar="N|HxW", help="Network input, if the model allows it; its own by default.")
    ] = None
    filter: Annotated[Filter, typer.Option(help="Resampling to the network's size and back.")] = Filter.lanczos

    def __post_init__(self) -> None:
        """Raises `InputError` for what no engine can do."""
        parse_size(self.size)
        if self.calibration is not None and self.precision != "int8":
            raise InputError("--calibration is for --precision int8")
        if self.calibration is not None and not self.calibration.is_dir():
            raise InputError(f"--calibration is {self.calibration}; expected a folder of photographs")

    def keywords(self) -> dict[str, Any]:
        """The same as keywords of `Engine`."""
        return {**vars(self), "size": parse_size(self.size), "filter": self.filter.value}

    def open(self, model: str, **options: Any) -> Engine:
        """Opens an RGB engine, with a progress bar while its model is fetched, and prints what it runs on."""
        path = fetch(model)
        engine = Engine(model if model in models.CATALOGUE else path, color="rgb", **self.keywords(), **options)
        say(str(engine.info))
        return engine


RefineOption = Annotated[
    bool, typer.Option("--refine/--no-refine", help="Refine edges and hair, guided by the colors of the frame.")
]
DecontaminateOption = Annotated[
    bool, typer.Option("--decontaminate/--no-decontaminate", help="Remove the old background's color from edges.")
]


@dataclass(frozen=True, kw_only=True)
class FrameChoice:
    """What to make of a frame: the options that become `FrameOptions`."""

    output: Annotated[
        Output | None,
        typer.Option(help="By default composite with a background, else cutout.", show_default=False),
    ] = None
    background: Annotated[str | list[str] | None, typer.Option(metavar="WHAT")] = None  # commands differ in it
    premultiplied: Annotated[
        bool, typer.Option("--premultiplied", help="Multiply the colors of a cutout by alpha.")
    ] = False
    refine: RefineOption = True
    decontaminate: DecontaminateOption = True

    def frame_options(self) -> FrameOptions:
        """The same as `FrameOptions`; raises `InputError` for ``--premultiplied`` without a cutout."""
        output = self.output.value if self.output else "cutout" if self.background in (None, []) else "composite"
        if self.premultiplied and output != "cutout":
            raise InputError(f"--premultiplied is for cutouts, not for --output {output}")
        return FrameOptions(**{**vars(self), "output": output})


@dataclass(frozen=True, kw_only=True)
class MatteChoice:
    """How the alpha of one video frame follows from those before it."""

    stabilize: Annotated[bool, typer.Option("--stabilize/--no-stabilize", help="Suppress flicker between frames.")] = (
        True
    )
    stretch: Annotated[
        str,
        typer.Option(
            metavar="none|minmax|running|LOW,HIGH",
            help="Map alpha to 0..1: none: off; LOW,HIGH (as 0.1,0.9) from that range, running from the range of the "
            "last frames, minmax from each frame's own, which flickers.",
        ),
    ] = "none"

    def __post_init__(self) -> None:
        """Raises `InputError` for a wrong ``--stretch``."""
        parse_stretch(self.stretch, running=True)

    @contextlib.contextmanager
    def open(self, engine: EngineChoice, model: str, frame: FrameOptions, *, slots: int) -> Iterator[VideoMatter]:
        """Opens an engine for the frames of videos; it is closed when the block ends."""
        stretch: Any = parse_stretch(self.stretch, running=True)
        with engine.open(model, slots=slots, stretch="none" if stretch == "running" else stretch) as opened:
            yield VideoMatter(
                opened,
                refine=frame.refine,
                decontaminate=frame.decontaminate,
                stabilize=self.stabilize,
                stretch=stretch,
            )


def expand_options(command: Callable[..., None]) -> Callable[..., None]:
    """Decorates a command: each parameter whose type is a dataclass of options becomes the options in it.

    The command gets the dataclass. An `InputError` that it raises ends the command as wrong usage.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        fields = dataclasses.fields(groups[name]) if name in groups else [parameter]
        types = get_type_hints(groups[name], include_extras=True) if name in groups else hints
        parameters += [
            inspect.Parameter(each.name, parameter.KEYWORD_ONLY, default=each.default, annotation=types[each.name])
            for each in fields
        ]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        try:
            for name, group in groups.items():
                values[name] = group(**{field.name: values.pop(field.name) for field in dataclasses.fields(group)})
        except InputError as error:
            fail(str(error), EXIT_USAGE)
        command(**values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def parse_size(size: str | None) -> int | tuple[int, int] | None:
    """Reads "320" or "320x480" (height x width), as ``--size`` takes it. Raises `InputError` for anything else."""
    if size is None:
        return None
    parts = size.lower().split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"--size is {size!r}; expected one side, as 320, or HEIGHTxWIDTH, as 320x480")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def parse_stretch(stretch: str, *, running: bool = False) -> str | tuple[float, float]:
    """Reads a value of ``--stretch``: a word, or "LOW,HIGH" as two numbers. Raises `InputError` for anything else.

    Args:
        stretch: The value.
        running: Whether "running" is one of the words.
    """
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
    """The file of a model; shows a progress bar if it must be fetched into the cache."""
    with download_bar(f"Fetching {model}") as progress:
        return models.resolve(model, progress=progress)
