# SPDX-License-Identifier: Apache-2.0
"""The command line ``rmbg-trt``: one module a command; each imports what it needs when it runs."""

from __future__ import annotations

import typer

from .bench import bench
from .camera import camera
from .doctor import doctor
from .evaluate import evaluate
from .export import export
from .image import image
from .models import models_app
from .prepare import PrepareCommand, prepare
from .train import train
from .video import video

app = typer.Typer(
    name="rmbg-trt",
    help="Take the background out of pictures and video with U²-Net.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("image")(image)
app.command("video")(video)
app.command("camera")(camera)
app.add_typer(models_app, name="models")
app.command("prepare", cls=PrepareCommand)(prepare)
app.command("train")(train)
app.command("evaluate")(evaluate)
app.command("export")(export)
app.command("bench")(bench)
app.command("doctor")(doctor)


def main() -> None:
    """Entry point of the console script."""
    app()
