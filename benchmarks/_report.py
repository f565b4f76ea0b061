# SPDX-License-Identifier: Apache-2.0
"""What every benchmark saves: the machine, the software versions, the commit and the figures.

Nothing here identifies a single machine: no host name, no user, no path.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(os.environ.get("RMBG_RESULTS") or ROOT / "benchmarks" / "results")
PACKAGES = ("rembg", "scikit-image", "lightning", "kornia", "pysodmetrics", "pymatting", "scipy")  # besides bench's own
Bound = dict[str, Any]
console = Console() if sys.stdout.isatty() else Console(width=110)  # tables stay whole in a log


def parser(doc: str | None, *, saves: bool = True) -> argparse.ArgumentParser:
    """Options that all benchmarks share; the script's docstring is its help."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.set_defaults(no_save=False)
    if saves:
        made.add_argument("--no-save", action="store_true", help="print only; leave benchmarks/results/ as it is")
    made.add_argument("--tag", default="", help="added to the result's file name, for a second kind of machine")
    return made


def machine() -> dict[str, Any]:
    """The machine as `rmbg-trt bench` reports it; the CPU's name alone does not identify cloud processors."""
    from rmbg_trt.bench import machine  # here, because page.py reads results without the package

    found = machine.machine()
    return {**found, "cpu": f"{found['cpu']}{_cpu_numbers()}"}


def software() -> dict[str, str]:
    """Versions of everything that was timed."""
    from rmbg_trt.bench import machine

    return machine.software(*PACKAGES)


def commit() -> dict[str, Any]:
    """The commit, and whether files differ from it, other than the results, which a benchmark itself changes.

    For a copy without its repository, the environment variable RMBG_COMMIT names the commit.
    """
    changed = _git("status", "--porcelain", "--", ".", ":!benchmarks/results")
    hash = _git("rev-parse", "--short=12", "HEAD") or os.environ.get("RMBG_COMMIT")
    return {"hash": hash, "dirty": None if changed is None else bool(changed)}


def save(claim: str, options: argparse.Namespace, figures: dict[str, Any]) -> None:
    """Writes results/<claim>.json, unless --no-save. Paths among the options are cut to their last part."""
    if options.no_save:
        return
    kept = {name: value for name, value in vars(options).items() if name not in ("no_save", "tag")}
    report = {
        "claim": claim,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "options": {name: value.name if isinstance(value, Path) else value for name, value in kept.items()},
        "commit": commit(),
        "machine": machine(),
        "software": software(),
        "figures": figures,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{claim}{f'_{options.tag}' if options.tag else ''}.json"
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(f"saved {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}")


def bound(value: float, *, at_most: float | None = None, at_least: float | None = None, unit: str = "") -> Bound:
    """A measured value and its claimed limit. Bounds under a key "bounds" are listed first on the results page."""
    met = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    asked = {name: each for name, each in (("at_most", at_most), ("at_least", at_least)) if each is not None}
    return {"is": float(f"{value:.4g}"), **asked, "unit": unit, "met": met}


def measured(figure: Bound) -> str:
    """The measured value of a bound."""
    return f"{figure['is']:g} {figure['unit']}".rstrip()


def asked(figure: Bound) -> str:
    """The claimed limit of a bound, in words."""
    words = [f"{name.replace('_', ' ')} {figure[name]:g}" for name in ("at_most", "at_least") if name in figure]
    return f"{', '.join(words)} {figure['unit']}".rstrip()


def bounds_in(figures: Any) -> Iterator[tuple[str, Bound]]:
    """All bounds of a report by name, at any depth."""
    if isinstance(figures, dict):
        for name, each in figures.items():
            yield from each.items() if name == "bounds" else bounds_in(each)


def show_bounds(figures: Any) -> None:
    """Prints them."""
    table = Table("claim", "is", "asked", "", title="bounds", title_justify="left")
    for name, each in bounds_in(figures):
        table.add_row(name, measured(each), asked(each), "met" if each["met"] else "MISSED")
    if table.row_count:
        console.print(table)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None  # a source archive, or no git
    return done.stdout.strip()


def _cpu_numbers() -> str:
    """As in " (family/model/stepping 6/85/7)"; empty where it is not known."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return ""
    lines = (line.partition(":") for line in info.read_text().split("\n\n")[0].splitlines())
    facts = {key.strip(): value.strip() for key, _, value in lines}
    return f" (family/model/stepping {'/'.join(facts.get(key, '?') for key in ('cpu family', 'model', 'stepping'))})"
