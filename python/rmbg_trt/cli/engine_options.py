# SPDX-License-Identifier: Apache-2.0
"""Options that all commands with an engine share, and the engine made of them."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import download_bar, say

if TYPE_CHECKING:
    from pathlib import Path

    from ..engine import Engine


class Output(str, enum.Enum):
    """Values of ``--output``."""

    alpha = "alpha"
    cutout = "cutout"
    composite = "composite"


class Filter(str, enum.Enum):
    """Values of ``--filter``."""

    lanczos = "lanczos"
    bilinear = "bilinear"
    area = "area"


class Stretch(str, enum.Enum):
    """Values of ``--stretch``."""

    minmax = "minmax"
    none = "none"


ModelOption = Annotated[str, typer.Option("--model", help="A model of the catalogue, or a file.")]
DeviceOption = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda or cuda:N; cuda fails where there is none.")
]
RuntimeOption = Annotated[str, typer.Option("--runtime", help="What runs the network; see 'rmbg-trt doctor'.")]
PrecisionOption = Annotated[str, typer.Option("--precision", help="auto, fp32, bf16, ...: the network's arithmetic.")]
FilterOption = Annotated[Filter, typer.Option("--filter", help="Resampling to the network's size and back.")]


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


def fetch(model: str) -> Path:
    """The file of a model, with a bar while it is fetched into the cache."""
    from .. import models

    with download_bar(f"Fetching {model}") as progress:
        return models.resolve(model, progress=progress)


def open_engine(model: str, **options: Any) -> Engine:
    """Makes an RGB engine, with a bar while its model is fetched, and says what it runs on."""
    from .. import models
    from ..engine import Engine

    path = fetch(model)
    engine = Engine(model if model in models.CATALOGUE else path, color="rgb", **options)
    say(str(engine.info))
    return engine
