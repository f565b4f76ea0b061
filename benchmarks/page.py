# SPDX-License-Identifier: Apache-2.0
"""Makes docs/benchmarks.md and docs/images/how_fast.svg from the results in benchmarks/results.

The page has every claim with what was measured, and the command, machine and date of each benchmark. All other figures
stay in the JSON files. A benchmark without a result is listed as not run.

Examples:
  python benchmarks/page.py
  python benchmarks/page.py --check     (exit code 1 if they are out of date)
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from _chart import chart
from _report import asked, bounds_in, measured

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
CHART = ROOT / "docs" / "images" / "how_fast.svg"

# In the order of the page: the claim, its title, its command.
CLAIMS = [
    ("versus_peers", "One photograph to its mask", "versus_peers.py"),
    ("versus_peers_folder", "200 images to cutouts, end to end", "versus_peers.py"),
    ("versus_peers_video", "One clip, end to end", "versus_peers_video.py CLIP"),
    ("pre_post", "Pre- and postprocessing", "pre_post.py"),
    ("cpu_precision", "Default precision on a CPU", "cpu_precision.py --images FOLDER"),
    ("int8", "int8 on a CPU", "int8.py --images FOLDER --masks FOLDER"),
    ("matting_quality", "Matte quality", "matting_quality.py --clip CLIP --masks FOLDER"),
    ("growth", "Growth with pixels and images", "growth.py"),
    ("cpu_network", "The network alone on a CPU", "cpu_network.py"),
    ("video_throughput", "Video job against the network alone", "video_throughput.py CLIP"),
    ("live_latency", "Live latency", "live_latency.py"),
    ("memory", "Memory over 2,000 frames", "memory.py"),
    ("start_up", "Start-up time", "start_up.py"),
    ("cpp_start", "First mask of a C++ program", "cpp_start.py"),
    ("guard", "What the speed guard compares with", "guard.py --store"),
    ("export_parity", "Exported model against the official file", "export_parity.py --images FOLDER"),
    ("export_speed", "Speed of an exported model", "export_speed.py"),
    ("fine_tune", "Fine-tuned model against its initial weights", "trained_run.py RUN u2netp SET"),
    ("gpu_latency", "Latency on a GPU, by stage", "gpu_latency.py"),
    ("training_speed", "Training throughput", "training_speed.py"),
]
HEAD = """<!-- Made by benchmarks/page.py from benchmarks/results; edits here are lost. -->
# Benchmarks

![Bar chart: time of eight programs for one photograph](images/how_fast.svg)

*One 1920×1080 photograph to its mask, machine A, float32 unless it says int8. All programs but transparent-background
use the same weights.*

Each program runs in its own process and environment, and runs are interleaved, so other load affects all of them alike.
Compare ratios between machines, not milliseconds. "2.9×" is rmbg-trt's speed divided by the other program's, the median
of the ratios within the rounds of one run. To measure your own machine, see [Measure your machine](bench.md).

**Nothing on this page was measured on a GPU.** All figures, with quartiles, versions and commit, are in the JSON files
in `benchmarks/results`.

## Claims

A figure in parentheses is from a second, independent run.

| Benchmark | Claim | Measured | Required | Met |
|---|---|---|---|---|
"""
COMMANDS = """
## Commands and machines

Run each command with `python benchmarks/…`. `benchmarks/README.md` says what each needs.

| Benchmark | Command | Results | Machine | Date |
|---|---|---|---|---|
"""
AGAIN = "_AGAIN"  # ends the file name of a run that was made a second time (--tag AGAIN)

# What stored claims are called on the page. A name that fits none is shown as it is stored.
SPEED = [  # shares of another program's time, which the page shows as speed ratios, and times as fast
    (r"(\w+): rmbg-trt( int8)?, of the time of (.*)", r"\1\2 vs. \3"),
    (r"(\w+): a folder to cutouts, of the time of (.*)", r"\1 vs. \2"),
    (r"(\w+), default: of the time of (.*)", r"\1 vs. \2"),
    (r"round the network, (\d+)x(\d+): of rembg's time", r"\1×\2 vs. rembg"),
    (r"(.*), times as fast as (.*)", r"\1 vs. \2"),
]
WORDS = [
    (r"the faster of native and OpenVINO in fp32", "the fastest float32"),
    (r"openvino bf16, the default before", "OpenVINO's bf16"),
    (r"pytorch", "PyTorch"),
    (r"backgroundremover kept", "backgroundremover"),
    (r"(\w+): IoU that int8 loses, 39 masks", r"\1: mean IoU lost, 39 masks"),
    (r"(\w+), default: ", r"\1: "),
    (r"time outside the network, its growth over that of the pixels", "growth of pre- and postprocessing / of pixels"),
    (r"time per image, of 200 over of 1", "time per image, 200 images / one image"),
    (r"error over the frame's, worst scene", "foreground color error / the frame's, worst scene"),
    (r"error over pymatting's, worst scene", "foreground color error / pymatting's, worst scene"),
    (r"(SAD|Grad) on (hair|hard), worst scene", r"change of \1, \2 edges, worst scene"),
    (r"flicker, ", "change of flicker, "),
    (r"\|", r"\\|"),
]


class Result(NamedTuple):
    """A file of results."""

    claim: str
    file: Path
    title: str
    command: str
    report: dict[str, Any]


def read(results: Path) -> list[Result]:
    """All of `CLAIMS` in the order of the page; the untagged run of each comes first."""
    found = []
    for claim, title, command in CLAIMS:
        for file in sorted(results.glob(f"{claim}.json")) + sorted(results.glob(f"{claim}_[!a-z]*.json")):
            tag = file.stem.removeprefix(claim).strip("_").lower()
            report = json.loads(file.read_text(encoding="utf-8"))
            found.append(Result(claim, file, f"{title} ({tag})" if tag else title, command, report))
    return found


def in_words(name: str, bound: dict[str, Any]) -> tuple[str, str, str]:
    """A claim in plain words, what was measured and what is required."""
    for pattern, claim in SPEED:
        if re.fullmatch(pattern, name):
            name = re.sub(pattern, claim, name)
            share = "at_most" in bound
            value, limit = bound["is"], bound["at_most"] if share else bound["at_least"]
            figures = (f"{1 / value if share else value:.1f}×", f"≥ {1 / limit if share else limit:.2g}×")
            break
    else:
        figures = (measured(bound), asked(bound).replace("at most", "≤").replace("at least", "≥"))
    for pattern, word in WORDS:
        name = re.sub(pattern, word, name)
    return name, *figures


def claims(results: list[Result], again: dict[str, Result]) -> str:
    """The rows of all claims; `again` has the second runs by the name of the first."""
    lines = []
    for result in results:
        second = dict(bounds_in(again[result.file.stem].report["figures"])) if result.file.stem in again else {}
        for name, bound in bounds_in(result.report["figures"]):
            claim, figure, limit = in_words(name, bound)
            if name in second:
                figure += f" ({in_words(name, second[name])[1]})"
            lines.append(f"| {result.title} | {claim} | {figure} | {limit} | {'yes' if bound['met'] else '**no**'} |")
    return "\n".join(lines) + "\n"


def machine_of(result: Result) -> str:
    machine = result.report["machine"]
    gpus = f", {', '.join(machine['gpus'])}" if machine.get("gpus") else ""
    isa = machine["core_sees"]["isa"]
    return f"{machine['cpu']}, {machine['cores']} cores, {isa}{gpus}"


def commands(results: list[Result]) -> str:
    """The command, file, machine and date of every result, then the machines, then what was never run."""
    letters: dict[str, str] = {}
    lines = []
    for result in results:
        letter = letters.setdefault(machine_of(result), chr(ord("A") + len(letters)))
        cells = (result.title, f"`{result.command}`", f"`{result.file.name}`", letter, result.report["date"])
        lines.append(f"| {' | '.join(cells)} |")
    run = {each.claim for each in results}
    lines += [f"| {title} | `{command}` | not run | | |" for claim, title, command in CLAIMS if claim not in run]
    machines = [f"* **{letter}**: {machine}" for machine, letter in letters.items()]
    return COMMANDS + "\n".join([*lines, "", *machines]) + "\n"


def page(found: list[Result]) -> str:
    """The whole page."""
    again = {each.file.stem.removesuffix(AGAIN): each for each in found if each.file.stem.endswith(AGAIN)}
    results = [each for each in found if not each.file.stem.endswith(AGAIN)]
    text = HEAD + claims(results, again) + commands(results)
    if any(each.report["machine"].get("gpus") for each in found):
        text = text.replace("**Nothing on this page was measured on a GPU.** ", "")
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; say whether they are up to date")
    options = parser.parse_args()
    found = read(RESULTS)
    peers = next(each for each in found if each.file.stem == "versus_peers")
    files = {PAGE: page(found), CHART: chart(peers.report["figures"])}
    if not options.check:
        for file, text in files.items():
            file.write_text(text, encoding="utf-8")
        return 0
    old = [file for file, text in files.items() if not file.is_file() or file.read_text(encoding="utf-8") != text]
    for file in old:
        print(f"{file.relative_to(ROOT)} is out of date; run: python benchmarks/page.py", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
