# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt prepare``: makes one checked set for training and evaluation from published datasets."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import progress as bars
from rich.table import Table
from typer.core import TyperCommand

from ..errors import InputError
from ..training.data import sources
from ..training.data.options import Options, Source
from ..training.data.pairs import split_hint
from ..training.data.prepare import STAGES
from ..training.data.prepare import prepare as run_prepare
from ..training.data.report import Report
from .console import EXIT_USAGE, error_boundary, fail, out, say, setup_logging, stages_bar
from .options import expand_options

_SEPARATOR = "\0"  # no argument of a command can contain it
_LISTED_REASONS = 5


class PrepareCommand(TyperCommand):
    """Accepts repeated options of two values, which Typer cannot declare: it gets both values as one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Joins the two values before parsing."""
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
        yield _SEPARATOR.join(values)


class _Duplicates(enum.StrEnum):
    keep = "keep"
    drop = "drop"


_Folders = list[Path] | None
_Pairs = list[str] | None  # each of two values, see PrepareCommand


def _published(layout: str) -> Any:
    return typer.Option(metavar="DIR", help=layout, rich_help_panel="Datasets")


def _pairs(help: str) -> Any:
    return typer.Option(metavar="[NAME=]IMAGES MASKS", help=help, rich_help_panel="Datasets")


@dataclass(frozen=True, kw_only=True)
class PublishedDatasets:
    """Datasets as they are published: an option NAME is read by ``sources.read_NAME``."""

    p3m: Annotated[_Folders, _published("P3M-10k: train and P3M-500-NP.")] = None
    cod10k: Annotated[_Folders, _published("COD10K-v3: Train and Test.")] = None
    people: Annotated[_Folders, _published("People Segmentation: images and masks.")] = None
    aisegment: Annotated[_Folders, _published("AISegment: clip_img and matting.")] = None
    duts: Annotated[_Folders, _published("DUTS: DUTS-TR and DUTS-TE; or shards.")] = None


@dataclass(frozen=True, kw_only=True)
class PairFolders:
    """Folders of images and masks."""

    pairs: Annotated[_Pairs, _pairs("A folder of images and one of masks with the same names.")] = None
    train_pairs: Annotated[_Pairs, _pairs("The same, all for training.")] = None
    val_pairs: Annotated[_Pairs, _pairs("The same, all for validation.")] = None
    test_pairs: Annotated[_Pairs, _pairs("The same, all for the test.")] = None


_PAIRS = {"pairs": sources.ANY, "train_pairs": ("train",), "val_pairs": ("val",), "test_pairs": ("test",)}


@dataclass(frozen=True, kw_only=True)
class SetChoice:
    """How the set is made; the fields are those of `Options`."""

    size: Annotated[int | None, typer.Option(metavar="N", help="Shrink images whose shorter side has more pixels.")] = (
        None
    )
    link: Annotated[bool, typer.Option("--link/--copy", help="Link to unchanged files, or copy them.")] = True
    val: Annotated[float, typer.Option(help="Share for validation, if a dataset has no validation set.")] = 0.05
    test: Annotated[float, typer.Option(help="Share for the test, if a dataset has no test set.")] = 0.05
    seed: Annotated[int, typer.Option(help="Of the random split.")] = 0
    duplicates: Annotated[
        _Duplicates, typer.Option(help="Near-duplicates in one split. Two splits never share any.")
    ] = _Duplicates.keep
    hash_distance: Annotated[
        int, typer.Option(metavar="BITS", help="Most bits, of 64, in which near-duplicates differ.")
    ] = 6
    min_side: Annotated[int, typer.Option(metavar="N", help="Reject images with a shorter side.")] = 32
    keep_empty: Annotated[
        bool, typer.Option("--keep-empty", help="Keep masks that are all background or all foreground.")
    ] = False
    workers: Annotated[int | None, typer.Option(metavar="N", help="Threads. Default: one per CPU core.")] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing prepared set.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")] = False

    def options(self) -> Options:
        """The same as `Options`. Raises `InputError` for invalid values."""
        return Options(**{**vars(self), "duplicates": self.duplicates.value})


prepare_app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@prepare_app.command(cls=PrepareCommand)
@error_boundary()
@expand_options
def prepare(
    *,
    target: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="The folder of the set.")],
    published: PublishedDatasets,
    shards: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]DIR",
            help="Tars with images/ and masks/ inside; train*, val*, test* name the split.",
            rich_help_panel="Datasets",
        ),
    ] = None,
    pair_folders: PairFolders,
    choice: SetChoice,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List all skipped files; show tracebacks.")] = False,
) -> None:
    """Make one dataset for training and evaluation from published datasets.

    Every pair is decoded and checked. Masks become 8-bit gray, in the size of
    their image. Published validation and test sets stay as they are; if there
    is none, it is drawn at random, without near-duplicates of training images.
    The sources are only read. The set has images/, masks/, pairs.csv,
    report.json, contact_sheet.png and files_per_category.png.

    For example: [bold]rmbg-trt prepare --p3m P3M-10k --duts DUTS -o combined[/bold]

    Your own images, with a name for them:
    [bold]rmbg-trt prepare --pairs shoes=photos masks --size 640 -o shoes[/bold]

    Your own splits:
    [bold]rmbg-trt prepare --train-pairs a/images a/masks --val-pairs b/images b/masks -o set[/bold]
    """
    setup_logging(verbose)
    datasets = list(_sources(published, shards, pair_folders))
    if not datasets:
        fail("name at least one dataset, such as --p3m DIR or --pairs IMAGES MASKS; see: rmbg-trt prepare --help", 2)
    try:
        options = choice.options()
    except InputError as error:
        fail(str(error), EXIT_USAGE)
    report = _run(datasets, target, options)
    _show(report, verbose)
    if not any(pair.split == "val" for pair in report.pairs):
        say(f"There is no validation split, which training needs. {split_hint('val')}.", style="yellow")
    skipped = f", {len(report.rejected)} files skipped" if report.rejected else ""
    if options.dry_run:
        say(f"{len(report.pairs)} pairs{skipped}. Nothing was written.")
    else:
        say(f"{len(report.pairs)} pairs in {target}{skipped}; see {target / 'contact_sheet.png'}", style="green")


def _sources(published: PublishedDatasets, shards: list[str] | None, pair_folders: PairFolders) -> Iterator[Source]:
    for category, folders in vars(published).items():
        for folder in folders or ():
            yield Source(category, (folder,), partial(getattr(sources, f"read_{category}"), folder))
    for text in shards or ():
        category, folder = _named(text, "shards")
        yield Source(category, (folder,), partial(sources.read_shards, folder, category))
    for option, splits in _PAIRS.items():
        for value in getattr(pair_folders, option) or ():
            text, _, masks = value.partition(_SEPARATOR)
            if not masks:
                fail(f"--{option.replace('_', '-')} needs two folders: IMAGES MASKS", EXIT_USAGE)
            category, images = _named(text, "pairs")
            both = (images, Path(masks))
            yield Source(category, both, partial(sources.read_pairs_of_folders, *both, category, splits))


def _named(text: str, default: str) -> tuple[str, Path]:
    """Splits NAME=DIR; the name of an existing folder may contain a "="."""
    match = re.fullmatch(r"([\w-]+)=(.+)", text)
    if match is None or Path(text).exists():
        return default, Path(text)
    return match[1], Path(match[2])


def _run(datasets: list[Source], target: Path, options: Options) -> Report:
    remaining = bars.TimeRemainingColumn(elapsed_when_finished=True)
    with stages_bar(STAGES, bars.MofNCompleteColumn(), remaining) as on_progress:
        return run_prepare(datasets, target, options, progress=on_progress)


def _show(report: Report, verbose: bool) -> None:
    table = Table("Category", title="Images", title_justify="left")
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
        say(f"{count:7,} skipped: {kind}", style="yellow")
        same = [rejected for rejected in report.rejected if rejected.kind == kind]
        for rejected in same if verbose else same[:_LISTED_REASONS]:
            say(f"          {rejected.file}: {rejected.reason}")
        if len(same) > _LISTED_REASONS and not verbose:
            say("          ... and more; --verbose lists all, as does report.json in the set")
