# SPDX-License-Identifier: Apache-2.0
"""Makes a prepared set of datasets as they are published: read, check, compare, split, write.

The sources are only read. A pair that is not fit is left out with its reason and never ends the job.
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
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, TypeVar

from ...errors import InputError, UnavailableError
from ...files import atomic_folder
from .contact_sheet import contact_sheet
from .duplicates import group_near_duplicates
from .inspect_pair import Inspected, inspect_pair
from .options import Options, Source
from .pairs import TABLE, Pair, create_csv
from .plots import plot_data
from .rename import count_names
from .report import REPORT, Report
from .resize import smaller_size
from .sources import Found, Rejected
from .split import assign_splits
from .target import check_target
from .write_pair import write_pair

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
    """Makes a prepared set; see `pairs.read_pairs` for what reads it.

    Args:
        sources: The datasets.
        target: The set's folder. It appears when all is done.
        options: How.
        progress: Called with the stage, and how much of it is done, of how much.

    Returns:
        What was made, and what was left out.

    Raises:
        InputError: A folder is not the dataset it should be, the target is taken, or no pair is fit.
        UnavailableError: An optional package is missing.
        Error: The set cannot be written; nothing of it is left.
    """
    _check_packages()
    tell = progress or (lambda stage, done, total: None)
    place = check_target(
        Path(target), [each for source in sources for each in source.folders], overwrite=options.overwrite
    )
    report = Report(
        options=dataclasses.asdict(options),
        sources=[
            {"category": each.category, "folders": [str(path.absolute()) for path in each.folders]} for each in sources
        ],
    )
    with _timed(report, "reading"):
        found = _read(sources, report, tell)
    with _timed(report, "checking"):
        fit = _inspect(found, options, report, tell)
    with _timed(report, "comparing"):
        tell("comparing", 0, 1)
        chosen = _choose(fit, options, report)
        tell("comparing", 1, 1)
    if options.dry_run:
        for name, each in _named(chosen):
            pair = Pair(name, Path(str(each.found.image)), Path(str(each.found.mask)), each.found.category, each.split)
            report.add(pair, each.found, smaller_size(each.seen.size, options.size))
        return report
    with atomic_folder(place) as folder:
        with _timed(report, "writing"):
            _write(chosen, folder, options, report, tell)
        with _timed(report, "drawing"):
            tell("drawing", 0, 2)
            contact_sheet(report.pairs).save(folder / "contact_sheet.png")
            tell("drawing", 1, 2)
            plot_data(report.pairs, folder / "files_per_category.png")
            tell("drawing", 2, 2)
        create_csv(report.pairs, folder / TABLE)
        report.write(folder / REPORT)
    report.move(place)
    return report


class _Chosen(NamedTuple):
    found: Found
    seen: Inspected
    split: str


def _read(sources: Sequence[Source], report: Report, tell: Progress) -> list[Found]:
    found: list[Found] = []
    for done, source in enumerate(sources):
        tell("reading", done, len(sources))
        listing = source.read()
        found += listing.pairs
        report.rejected += listing.rejected
    tell("reading", len(sources), len(sources))
    if not found:
        raise InputError(_nothing_left("no picture has a mask", report))
    return found


def _inspect(found: list[Found], options: Options, report: Report, tell: Progress) -> list[tuple[Found, Inspected]]:
    inspect = partial(inspect_pair, min_side=options.min_side, keep_empty=options.keep_empty)
    results = _run(inspect, found, options.workers, partial(tell, "checking"))
    report.rejected += [each for each in results if isinstance(each, Rejected)]
    fit = [(each, seen) for each, seen in zip(found, results, strict=True) if isinstance(seen, Inspected)]
    if not fit:
        raise InputError(_nothing_left("no pair is fit", report))
    return fit


def _choose(fit: list[tuple[Found, Inspected]], options: Options, report: Report) -> list[_Chosen]:
    """Draws the splits, and leaves out near-duplicates where they must not be."""
    groups = group_near_duplicates([seen.hash for _, seen in fit], options.hash_distance)
    report.duplicate_groups = sum(size > 1 for size in Counter(groups.tolist()).values())
    fractions = {"val": options.val, "test": options.test}
    choices, categories = [each.splits for each, _ in fit], [each.category for each, _ in fit]
    splits = assign_splits(choices, categories, groups.tolist(), fractions, options.seed)

    kept: dict[int, int] = {}  # of each group the picture that the others are like: one that stays, the largest
    for index, group in enumerate(groups.tolist()):
        best = kept.get(group)
        rank = (splits[index] is not None, fit[index][1].size[0] * fit[index][1].size[1])
        if best is None or rank > (splits[best] is not None, fit[best][1].size[0] * fit[best][1].size[1]):
            kept[group] = index
    chosen = []
    for index, ((each, seen), split) in enumerate(zip(fit, splits, strict=True)):
        other = kept[int(groups[index])]
        if split is not None and (other == index or options.duplicates == "keep"):
            chosen.append(_Chosen(each, seen, split))
            continue
        kind = "near-duplicate" if split else f"near-duplicate of a {splits[other]} picture"
        reason = f"it is nearly the same as {fit[other][0].image} ({splits[other]})"
        report.rejected.append(Rejected(str(each.image), each.category, kind, reason))
    return chosen


def _write(chosen: list[_Chosen], folder: Path, options: Options, report: Report, tell: Progress) -> None:
    for part in ("images", "masks"):
        (folder / part).mkdir()

    def write(item: tuple[str, _Chosen]) -> tuple[Pair, list[str]] | Rejected:
        name, (found, seen, split) = item
        try:
            return write_pair(found, seen, name, split, folder, shorter=options.size, link=options.link)
        except InputError as error:  # it was read a moment ago
            return Rejected(str(found.image), found.category, "unreadable", str(error))

    results = _run(write, _named(chosen), options.workers, partial(tell, "writing"))
    for each, result in zip(chosen, results, strict=True):
        if isinstance(result, Rejected):
            report.rejected.append(result)
        else:
            report.add(result[0], each.found, smaller_size(each.seen.size, options.size))
            report.changes.update(result[1])
    if not report.pairs:
        raise InputError(_nothing_left("no pair could be written", report))


def _named(chosen: list[_Chosen]) -> list[tuple[str, _Chosen]]:
    return list(zip(count_names(each.found.category for each in chosen), chosen, strict=True))


def _run(
    work: Callable[[_Item], _Result], items: Sequence[_Item], workers: int | None, tell: Callable[[int, int], None]
) -> list[_Result]:
    """Does the work in threads (Pillow decodes without the GIL); an exception or Ctrl-C ends it at once."""
    tell(0, len(items))
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                tell(done, len(items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in futures]


@contextmanager
def _timed(report: Report, stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    report.seconds[stage] = time.perf_counter() - started


def _check_packages() -> None:
    missing = [
        name for name, module in (("ImageHash", "imagehash"), ("Matplotlib", "matplotlib")) if not find_spec(module)
    ]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise UnavailableError(f'{" and ".join(missing)} {verb} not installed: pip install "rmbg-trt[train]"')


def _nothing_left(what: str, report: Report) -> str:
    counts = ", ".join(f"{kind}: {count}" for kind, count in report.rejected_counts().items())
    examples = "".join(f"\n  - {each.file}: {each.reason}" for each in report.rejected[:3])
    return f"nothing is left to make a set of: {what} ({counts}){examples}"
