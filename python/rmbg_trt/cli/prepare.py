# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt prepare``: datasets as they are published become one checked set that training and evaluation read."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ..errors import InputError
from ..training.data import sources
from ..training.data.options import Options, Source
from ..training.data.prepare import STAGES
from ..training.data.prepare import prepare as run_prepare
from ..training.data.report import Report
from .console import EXIT_USAGE, error_boundary, fail, out, say, setup_logging, stages_bar

_PUBLISHED = ("p3m", "cod10k", "people", "aisegment", "duts")
_PAIRS = {"pairs": None, "train_pairs": "train", "val_pairs": "val", "test_pairs": "test"}
_BETWEEN = "\0"  # no argument of a command can hold it
_LISTED_REASONS = 5


class PrepareCommand(TyperCommand):
    """Takes options of two values that may be given again, which Typer cannot declare: it gets the two as one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Joins the two values before they are parsed."""
        return super().parse_args(ctx, list(_joined(args)))


def _joined(args: list[str]) -> Iterator[str]:
    options = {f"--{name.replace('_', '-')}" for name in _PAIRS}
    left = list(args)
    while left:
        option, equals, first = left.pop(0).partition("=")
        if option not in options:
            yield option + equals + first
            continue
        values = [first] if equals else []
        while left and len(values) < 2 and not left[0].startswith("-"):
            values.append(left.pop(0))
        yield option
        yield _BETWEEN.join(values)


class _Duplicates(enum.StrEnum):
    keep = "keep"
    drop = "drop"


_Folders = list[Path] | None
_Pairs = list[str] | None  # each of two values, see PrepareCommand


def _published(layout: str) -> Any:
    return typer.Option(metavar="DIR", help=layout, rich_help_panel="Datasets")


def _pairs(help: str) -> Any:
    return typer.Option(metavar="[NAME=]IMAGES MASKS", help=help, rich_help_panel="Datasets")


prepare_app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@prepare_app.command(cls=PrepareCommand)
@error_boundary()
def prepare(
    target: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="The folder of the set.")],
    p3m: Annotated[_Folders, _published("P3M-10k: train and P3M-500-NP.")] = None,
    cod10k: Annotated[_Folders, _published("COD10K-v3: Train and Test.")] = None,
    people: Annotated[_Folders, _published("People Segmentation: images and masks.")] = None,
    aisegment: Annotated[_Folders, _published("AISegment: clip_img and matting.")] = None,
    duts: Annotated[_Folders, _published("DUTS: DUTS-TR and DUTS-TE; or shards.")] = None,
    shards: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]DIR",
            help="Tars with images/ and masks/ inside; train*, val*, test* name the split.",
            rich_help_panel="Datasets",
        ),
    ] = None,
    pairs: Annotated[_Pairs, _pairs("Two folders of pictures and masks of the same names.")] = None,
    train_pairs: Annotated[_Pairs, _pairs("The same, all for training.")] = None,
    val_pairs: Annotated[_Pairs, _pairs("The same, all for validation.")] = None,
    test_pairs: Annotated[_Pairs, _pairs("The same, all for the test.")] = None,
    size: Annotated[
        int | None, typer.Option(metavar="N", help="Make pictures smaller whose shorter side has more pixels.")
    ] = None,
    link: Annotated[
        bool, typer.Option("--link/--copy", help="Link to what may stay as it is, or copy it into the set.")
    ] = True,
    val: Annotated[float, typer.Option(help="Share for validation, of datasets that come without it.")] = 0.05,
    test: Annotated[float, typer.Option(help="Share for the test, of datasets that come without it.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    duplicates: Annotated[
        _Duplicates, typer.Option(help="Near-duplicates within a split. In two splits there are never any.")
    ] = _Duplicates.keep,
    hash_distance: Annotated[
        int, typer.Option(metavar="BITS", help="Near-duplicates differ in so many of 64 bits at most.")
    ] = 6,
    min_side: Annotated[int, typer.Option(metavar="N", help="Reject pictures with a shorter side.")] = 32,
    keep_empty: Annotated[
        bool, typer.Option("--keep-empty", help="Keep masks that are all background or all foreground.")
    ] = False,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Threads. Default: one per processor.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a prepared set that is there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="List all that is left out; show tracebacks.")
    ] = False,
) -> None:
    """Make one dataset for training and evaluation from published datasets.

    Every pair is decoded and checked. Masks become 8-bit gray of their
    picture's size. A published validation or test set stays one; where there
    is none it is drawn, and nothing in it has a near-duplicate in training.
    The sources are only read. The set holds images/, masks/, pairs.csv,
    report.json, contact_sheet.png and files_per_category.png.

    For example: [bold]rmbg-trt prepare --p3m P3M-10k --duts DUTS -o combined[/bold]

    Your own pictures, with a name for them:
    [bold]rmbg-trt prepare --pairs shoes=photos masks --size 640 -o shoes[/bold]

    Splits made by hand:
    [bold]rmbg-trt prepare --train-pairs a/images a/masks --val-pairs b/images b/masks -o set[/bold]
    """
    setup_logging(verbose)
    given = dict(zip(_PUBLISHED, (p3m, cod10k, people, aisegment, duts), strict=True))
    two = dict(zip(_PAIRS, (pairs, train_pairs, val_pairs, test_pairs), strict=True))
    sources = list(_sources(given, shards, two))
    if not sources:
        fail("give at least one dataset, such as --p3m DIR or --pairs IMAGES MASKS; see: rmbg-trt prepare --help", 2)
    try:
        options = Options(
            size=size,
            val=val,
            test=test,
            seed=seed,
            link=link,
            duplicates=duplicates.value,
            hash_distance=hash_distance,
            min_side=min_side,
            keep_empty=keep_empty,
            workers=workers,
            overwrite=overwrite,
            dry_run=dry_run,
        )
    except InputError as error:
        fail(str(error), EXIT_USAGE)
    report = _run(sources, target, options)
    _show(report, verbose)
    left_out = f", {len(report.rejected)} files left out" if report.rejected else ""
    if dry_run:
        say(f"{len(report.pairs)} pairs{left_out}. Nothing was written.")
    else:
        say(f"{len(report.pairs)} pairs in {target}{left_out}; look at {target / 'contact_sheet.png'}", style="green")


def _sources(
    published: dict[str, list[Path] | None], shards: list[str] | None, pairs: dict[str, list[str] | None]
) -> Iterator[Source]:
    from functools import partial

    for category, folders in published.items():
        for folder in folders or ():
            yield Source(category, (folder,), partial(getattr(sources, f"read_{category}"), folder))
    for text in shards or ():
        category, folder = _named(text, "shards")
        yield Source(category, (folder,), partial(sources.read_shards, folder, category))
    for option, split in _PAIRS.items():
        for value in pairs[option] or ():
            text, _, masks = value.partition(_BETWEEN)
            if not masks:
                fail(f"--{option.replace('_', '-')} needs two folders: IMAGES MASKS", EXIT_USAGE)
            category, images = _named(text, "pairs")
            both = (images, Path(masks))
            splits = sources.ANY if split is None else (split,)
            yield Source(category, both, partial(sources.read_pairs_of_folders, *both, category, splits))


def _named(text: str, default: str) -> tuple[str, Path]:
    """Takes NAME=DIR apart; a folder that is there may have a "=" in its name."""
    match = re.fullmatch(r"([\w-]+)=(.+)", text)
    if match is None or Path(text).exists():
        return default, Path(text)
    return match[1], Path(match[2])


def _run(sources: list[Source], target: Path, options: Any) -> Report:
    from rich import progress

    left = progress.TimeRemainingColumn(elapsed_when_finished=True)
    with stages_bar(STAGES, progress.MofNCompleteColumn(), left) as tell:
        return run_prepare(sources, target, options, progress=tell)


def _show(report: Report, verbose: bool) -> None:
    from rich.table import Table

    table = Table("Category", title="Pictures", title_justify="left")
    for column in ("train", "val", "test", "all"):
        table.add_column(column, justify="right")
    rows = list(report.counts().items())
    for category, counts in rows:
        table.add_row(category, *(f"{count:,}" for count in (*counts.values(), sum(counts.values()))))
    if len(rows) > 1:
        totals = [sum(counts[split] for _, counts in rows) for split in rows[0][1]]
        table.add_section()
        table.add_row("all", *(f"{count:,}" for count in (*totals, sum(totals))))
    out.print(table)
    for what, count in sorted(report.changes.items()):
        say(f"{count:7,} {what}")
    for kind, count in report.rejected_counts().items():
        say(f"{count:7,} left out: {kind}", style="yellow")
        same = [each for each in report.rejected if each.kind == kind]
        for each in same if verbose else same[:_LISTED_REASONS]:
            say(f"          {each.file}: {each.reason}")
        if len(same) > _LISTED_REASONS and not verbose:
            say("          ... and more; --verbose lists all, and so does the report.json of a set that is written")
