# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt models``: lists the catalogue of weights, fetches them and finds them in the cache."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from .. import models
from ..errors import Error
from .console import EXIT_FAILED, EXIT_USAGE, VerboseOption, download_bar, error_boundary, fail, out, say, setup_logging

models_app = typer.Typer(
    name="models",
    add_completion=False,
    help="List, fetch and find the model weights.\n\nExample: [bold]rmbg-trt models pull u2net[/bold]",
    rich_markup_mode="rich",
)


@models_app.callback(invoke_without_command=True)
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_models()


@models_app.command("list")
@error_boundary()
def list_models() -> None:
    """Show the catalogue: name, size, licence, whether it is cached, and where.

    Example: [bold]rmbg-trt models list[/bold]
    """
    table = Table("Name", title="Models", title_justify="left")
    table.add_column("Size", justify="right")
    for column in ("Licence", "Cached"):
        table.add_column(column)
    table.add_column("Path", overflow="fold")
    for model in models.CATALOGUE.values():
        cached = "[green]yes[/green]" if models.is_cached(model.name) else "no"
        size = f"{model.size_bytes / 1e6:.1f} MB"
        table.add_row(model.name, size, model.license, cached, Text(str(models.model_path(model.name))))
    out.print(table)


@models_app.command("pull")
@error_boundary()
def pull(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Models to fetch.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Fetch the whole catalogue.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Fetch models again that are already cached.")] = False,
    verbose: VerboseOption = False,
) -> None:
    """Fetch models into the cache and verify their sha256.

    If a model fails, the others are still fetched, and the exit code is 1.

    Example: [bold]rmbg-trt models pull u2net u2netp[/bold]
    """
    setup_logging(verbose)
    if bool(names) == everything:
        fail("give the names of the models to pull, or --all; see: rmbg-trt models list", EXIT_USAGE)
    wanted = list(models.CATALOGUE) if everything else list(dict.fromkeys(names or ()))
    for name in wanted:
        models.model_path(name)  # raises for an unknown name before anything is fetched

    failed = 0
    for name in wanted:
        cached = not force and models.is_cached(name)
        try:
            with download_bar(name) as progress:
                path = models.pull(name, force=force, progress=progress)
        except Error as error:
            failed += 1
            say(f"Error: {error}", style="bold red")
            continue
        say(f"{name}: {'already at' if cached else 'pulled to'} {path}", style="green")
    if failed:
        raise typer.Exit(EXIT_FAILED)


@models_app.command("path")
@error_boundary()
def path_of(name: Annotated[str, typer.Argument(help="A catalogue name.")]) -> None:
    """Print only the path of a cached model, for use in scripts.

    Example: [bold]trtexec --onnx=$(rmbg-trt models path u2net)[/bold]
    """
    path = models.model_path(name)
    if not models.is_cached(name):
        fail(f"{name} is not in the cache; fetch it with: rmbg-trt models pull {name}")
    typer.echo(path)
