# SPDX-License-Identifier: Apache-2.0
"""The command line ``rmbg-trt``: one module a command, imported when the command is called, so that help is quick."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ..signals import exit_on_termination

# Each command and the first sentence of its help; a test compares it with the command's own.
COMMANDS = {
    "image": "Remove the background of images.",
    "video": "Remove the background of video clips.",
    "camera": "Remove the background of a live camera, stream or file.",
    "models": "List, fetch and find the model weights.",
    "prepare": "Make one dataset for training and evaluation from published datasets.",
    "train": "Train U²-Net or U-Net on a prepared dataset.",
    "evaluate": "Evaluate models on images with masks.",
    "export": "Build a verified plan for an NVIDIA GPU from a checkpoint or an ONNX file.",
    "bench": "Measure how fast models are on this machine.",
    "doctor": "Examine this machine, and remove the background of a test image to see whether everything works.",
}


def load(name: str) -> Any:
    """The command of a name, from the module of that name: its function, or its Typer application ``<name>_app``."""
    module = importlib.import_module(f".{name}", __name__)
    command = getattr(module, f"{name}_app", None)
    if command is None:
        command = typer.Typer(add_completion=False, rich_markup_mode="rich")
        command.command(name)(getattr(module, name))
    return typer.main.get_command(command)


class LazyGroup(TyperGroup):
    """Lists commands by their name and first sentence; the one that is called is loaded."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands.update({name: TyperCommand(name, help=text) for name, text in COMMANDS.items()})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command to run, loaded, its name and the arguments left for it."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(str(name)), rest


app = typer.Typer(
    name="rmbg-trt",
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _app() -> None:
    """Remove the background from images and video with U²-Net."""


def main() -> None:
    """Entry point of the console script."""
    with exit_on_termination():
        app()
