# SPDX-License-Identifier: Apache-2.0
"""What every benchmark leaves behind: on which machine, of which versions, of which commit, and the figures.

Nothing here tells one machine from another of its kind: no host name, no user, no path.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
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
PACKAGES = (
    "rembg",
    "torch",
    "onnxruntime",
    "openvino",
    "onnx",
    "tensorrt-rtx-cu13-bindings",
    "numpy",
    "pillow",
    "scikit-image",
    "av",
    "lightning",
    "kornia",
    "pysodmetrics",
    "pymatting",
    "scipy",
)
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
    """The processor, its memory, what the core found of it, and how busy it was."""
    from rmbg_trt import _core

    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "core_sees": _core.cpu_info(),
        "gpus": [device["name"] for device in _core.cuda_devices()],
        "driver": _driver(),
        "os": platform.platform(),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "threads_asked_for": {
            name: os.environ[name] for name in ("RMBG_NUM_THREADS", "OMP_NUM_THREADS") if name in os.environ
        },
    }


def software() -> dict[str, str]:
    """Versions of everything that was timed."""
    import rmbg_trt
    from rmbg_trt import _core

    found = {"python": platform.python_version(), "rmbg-trt": rmbg_trt.__version__}
    found["compiler"] = _core.build_info()["compiler"]
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> dict[str, Any]:
    """The commit, and whether files differ from it (results apart, which a benchmark itself changes).

    Where a copy without its repository is measured, the environment's RMBG_COMMIT says the commit.
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
    """What was claimed beside what was measured. Those under a "bounds" in the figures head the page of results."""
    met = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    asked = {name: each for name, each in (("at_most", at_most), ("at_least", at_least)) if each is not None}
    return {"is": float(f"{value:.4g}"), **asked, "unit": unit, "met": met}


def measured(figure: Bound) -> str:
    """What a bound is."""
    return f"{figure['is']:g} {figure['unit']}".rstrip()


def asked(figure: Bound) -> str:
    """The claim of a bound, in words."""
    words = [f"{name.replace('_', ' ')} {figure[name]:g}" for name in ("at_most", "at_least") if name in figure]
    return f"{', '.join(words)} {figure['unit']}".rstrip()


def bounds_in(figures: Any) -> Iterator[tuple[str, Bound]]:
    """All bounds of a report, by name, however deep they lie."""
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


def _driver() -> str | None:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.split()[0] if done.stdout.split() else None


def _cpu_model() -> str:
    """The name alone does not tell cloud processors apart; family, model and stepping do."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor() or platform.machine()
    lines = (line.partition(":") for line in info.read_text().split("\n\n")[0].splitlines())
    facts = {key.strip(): value.strip() for key, _, value in lines}
    numbers = "/".join(facts.get(key, "?") for key in ("cpu family", "model", "stepping"))
    return f"{facts.get('model name', platform.machine())} (family/model/stepping {numbers})"


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None
