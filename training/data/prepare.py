# SPDX-License-Identifier: Apache-2.0
"""Makes a prepared set from published datasets: read, check, compare, split, write.

The sources are only read. A pair that is not fit for training is skipped, with its reason in the report.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from ...errors import InputError
from ...files import atomic_folder
from ..requirements import require
from .inspect_pair import Inspected, inspect_pair
from .options import Options, Source
from .pairs import TABLE, Pair, create_csv
from .plots import contact_sheet, plot_data
from .report import REPORT, Report, is_prepared
from .sources import Found, Rejected
from .split import assign_splits, group_near_duplicates
from .write_pair import count_names, smaller_size, write_pair

STAGES = ("reading", "checking", "comparing", "writing", "drawing")
Progress = Callable[[str, int, int], None]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def prepare(
    sources: Sequence[Source],
    target: str | os.PathLike[str],
    options: Options = Options(),  # noqa: B008  # it is frozen
    *,
    progress: Progress | None = None,
) -> Report:
    """Makes a prepared set, which `pairs.read_pairs` reads.

    Args:
        sources: The datasets.
        target: The set's folder. It appears when the whole set is complete.
        options: How the set is made.
        progress: Called with the stage, the number of finished items, and their total.

    Returns:
        What was made, and what was skipped.

    Raises:
        InputError: A folder is not the dataset it should be, the target is taken, or no pair is fit.
        UnavailableError: An optional package is missing.
        Error: The set cannot be written; nothing of it is left.
    """
    require("ImageHash", "matplotlib")
    on_progress = progress or (lambda stage, done, total: None)
    folder = check_target(Path(target), [path for source in sources for path in source.folders], options.overwrite)
    report = Report(
        options=dataclasses.asdict(options),
        sources=[
            {"category": source.category, "folders": [str(path.absolute()) for path in source.folders]}
            for source in sources
        ],
    )
    with _timed(report, "reading"):
        found = _read(sources, report, on_progress)
    with _timed(report, "checking"):
        fit = _inspect(found, options, report, on_progress)
    with _timed(report, "comparing"):
        on_progress("comparing", 0, 1)
        chosen = _choose(fit, options, report)
        on_progress("comparing", 1, 1)
    if options.dry_run:
        for name, (found_pair, inspected, split) in _named(chosen):
            image, mask = Path(str(found_pair.image)), Path(str(found_pair.mask))
            pair = Pair(name, image, mask, found_pair.category, split)
            report.add(pair, found_pair, smaller_size(inspected.size, options.size))
        return report
    with atomic_folder(folder) as part:
        with _timed(report, "writing"):
            _write(chosen, part, options, report, on_progress)
        with _timed(report, "drawing"):
            on_progress("drawing", 0, 2)
            contact_sheet(report.pairs).save(part / "contact_sheet.png")
            on_progress("drawing", 1, 2)
            plot_data(report.pairs, part / "files_per_category.png")
            on_progress("drawing", 2, 2)
        create_csv(report.pairs, part / TABLE)
        report.write(part / REPORT)
    report.move(folder)
    return report


def check_target(target: Path, sources: Sequence[Path], overwrite: bool) -> Path:
    """Checks, before any work, that a set may be made in a folder.

    Args:
        target: The set's folder; may be missing or empty.
        sources: The folders that the set is made from.
        overwrite: Allow replacing a set that `prepare` made before; nothing else is ever replaced.

    Returns:
        The absolute path, symbolic links followed.

    Raises:
        InputError: The folder is taken, or it is inside a source or contains one.
    """
    folder = Path(os.path.realpath(target))
    for source in (Path(os.path.realpath(path)) for path in sources):
        if folder.is_relative_to(source) or source.is_relative_to(folder):
            raise InputError(f"{target} and the source {source} overlap; choose another folder for the set")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{target} is a file; expected a folder for the set")
    if folder.is_dir() and any(folder.iterdir()):
        if not is_prepared(folder):
            raise InputError(f"{target} exists and is not a prepared set, so it is not replaced; choose another folder")
        if not overwrite:
            raise InputError(f"{target} exists; use --overwrite (overwrite=True) to replace it")
    return folder


class _Chosen(NamedTuple):
    found: Found
    inspected: Inspected
    split: str


def _read(sources: Sequence[Source], report: Report, on_progress: Progress) -> list[Found]:
    found: list[Found] = []
    for done, source in enumerate(sources):
        on_progress("reading", done, len(sources))
        listing = source.read()
        found += listing.pairs
        report.rejected += listing.rejected
    on_progress("reading", len(sources), len(sources))
    if not found:
        raise InputError(_nothing_left("no image has a mask", report))
    return found


def _inspect(
    found: list[Found], options: Options, report: Report, on_progress: Progress
) -> list[tuple[Found, Inspected]]:
    inspect = partial(inspect_pair, min_side=options.min_side, keep_empty=options.keep_empty)
    results = _run(inspect, found, options.workers, partial(on_progress, "checking"))
    report.rejected += [result for result in results if isinstance(result, Rejected)]
    fit = [(pair, result) for pair, result in zip(found, results, strict=True) if isinstance(result, Inspected)]
    if not fit:
        raise InputError(_nothing_left("no pair is fit", report))
    return fit


def _choose(fit: list[tuple[Found, Inspected]], options: Options, report: Report) -> list[_Chosen]:
    """Draws the splits, and skips near-duplicates where they are not allowed."""
    groups = group_near_duplicates([inspected.hash for _, inspected in fit], options.hash_distance).tolist()
    report.duplicate_groups = sum(size > 1 for size in Counter(groups).values())
    fractions = {"val": options.val, "test": options.test}
    choices, categories = [found.splits for found, _ in fit], [found.category for found, _ in fit]
    splits = assign_splits(choices, categories, groups, fractions, options.seed)

    def rank(index: int) -> tuple[bool, int]:
        height, width = fit[index][1].size
        return splits[index] is not None, height * width

    kept: dict[int, int] = {}  # for each group the image that the others duplicate: the largest that has a split
    for index, group in enumerate(groups):
        if group not in kept or rank(index) > rank(kept[group]):
            kept[group] = index
    chosen = []
    for index, ((found, inspected), split) in enumerate(zip(fit, splits, strict=True)):
        other = kept[groups[index]]
        if split is not None and (other == index or options.duplicates == "keep"):
            chosen.append(_Chosen(found, inspected, split))
            continue
        kind = "near-duplicate" if split else f"near-duplicate of a {splits[other]} image"
        reason = f"it is nearly the same as {fit[other][0].image} ({splits[other]})"
        report.rejected.append(Rejected(str(found.image), found.category, kind, reason))
    return chosen


def _write(chosen: list[_Chosen], folder: Path, options: Options, report: Report, on_progress: Progress) -> None:
    for part in ("images", "masks"):
        (folder / part).mkdir()

    def write(item: tuple[str, _Chosen]) -> tuple[Pair, list[str]] | Rejected:
        name, (found, inspected, split) = item
        try:
            return write_pair(found, inspected, name, split, folder, shorter=options.size, link=options.link)
        except InputError as error:  # the file changed after it was checked
            return Rejected(str(found.image), found.category, "unreadable", str(error))

    results = _run(write, _named(chosen), options.workers, partial(on_progress, "writing"))
    for (found, inspected, _), result in zip(chosen, results, strict=True):
        if isinstance(result, Rejected):
            report.rejected.append(result)
        else:
            report.add(result[0], found, smaller_size(inspected.size, options.size))
            report.changes.update(result[1])
    if not report.pairs:
        raise InputError(_nothing_left("no pair could be written", report))


def _named(chosen: list[_Chosen]) -> list[tuple[str, _Chosen]]:
    return list(zip(count_names(pair.found.category for pair in chosen), chosen, strict=True))


def _run(
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    workers: int | None,
    on_progress: Callable[[int, int], None],
) -> list[_Result]:
    """Does the work in threads (Pillow decodes without the GIL); an exception or Ctrl-C stops it at once."""
    on_progress(0, len(items))
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                on_progress(done, len(items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in futures]


@contextmanager
def _timed(report: Report, stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    report.seconds[stage] = time.perf_counter() - started


def _nothing_left(what: str, report: Report) -> str:
    counts = ", ".join(f"{kind}: {count}" for kind, count in report.rejected_counts().items())
    examples = "".join(f"\n  - {rejected.file}: {rejected.reason}" for rejected in report.rejected[:3])
    return f"the set would be empty: {what} ({counts}){examples}"
