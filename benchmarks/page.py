# SPDX-License-Identifier: Apache-2.0
"""Makes docs/benchmarks.md and docs/images/how_fast.svg of the results that lie in benchmarks/results.

Every figure on the page is one of a JSON file, shown as it was measured: medians with their quartiles, the machine, the
date and the commit. What has no result yet is listed as never run.

Examples:
  python benchmarks/page.py
  python benchmarks/page.py --check     (exit code 1 if they are not those of the results)
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from _chart import chart
from _report import asked, bounds_in, measured
from _tables import flat, markdown, shown

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
CHART = ROOT / "docs" / "images" / "how_fast.svg"

# In the order of the page: the claim, its title, its command.
CLAIMS = [
    ("versus_peers", "A photograph to its mask, against every rival", "versus_peers.py"),
    ("versus_peers_folder", "Two hundred pictures to cutouts, against rembg's command", "versus_peers.py"),
    ("versus_peers_video", "A clip, against the rivals' commands", "versus_peers_video.py CLIP"),
    ("cpu_network", "The network alone on a CPU", "cpu_network.py"),
    ("cpu_precision", "The default precision on a CPU: what it loses and gains", "cpu_precision.py --images FOLDER"),
    ("int8", "int8 on a CPU: what it loses and gains", "int8.py --images FOLDER --masks FOLDER"),
    ("pre_post", "Everything round the network, against rembg's", "pre_post.py"),
    ("matting_quality", "Edges, colours and rest", "matting_quality.py --clip CLIP --masks FOLDER"),
    ("growth", "How time grows with pixels and pictures", "growth.py"),
    ("guard", "What the guard compares with", "guard.py --store"),
    ("video_throughput", "A video job against the network alone", "video_throughput.py CLIP"),
    ("live_latency", "Live: the age of a picture when it is shown", "live_latency.py"),
    ("memory", "Memory over many frames", "memory.py"),
    ("start_up", "Start-up", "start_up.py"),
    ("gpu_latency", "Latency on a GPU, by stage", "gpu_latency.py"),
    ("export_parity", "An exported model against the official file", "export_parity.py --images FOLDER"),
    ("export_speed", "The speed of an exported model", "export_speed.py"),
    ("fine_tune", "A fine-tuned model against the weights it began with", "trained_run.py RUN u2netp SET"),
    ("training_speed", "Training: pictures a second", "training_speed.py"),
]
HEAD = """<!-- Made by benchmarks/page.py of benchmarks/results; changes here are lost. -->
# Benchmarks

Every figure is one of a file in [benchmarks/results](../benchmarks/results), with the command that made it; run it on
your machine. Contenders run by turns in one run, so compare ratios, not milliseconds, between machines. A range in
brackets is the quartiles. `rmbg-trt bench` measures latency on your machine ([bench.md](bench.md)).
"""
GLANCE = """## At a glance

What is claimed, and what was measured. A claim on time is on the median of the ratios within the rounds of one run.

| benchmark | claim | measured | asked | met |
|---|---|---|---|---|
"""
AGAIN = "_AGAIN"  # how the file of a run ends that was made a second time (--tag AGAIN)
REPEATS = """## Run twice

The ratios of the tables that were run twice from the start: median and quartiles of the rounds of each run. Where only
all rounds overlap, the machine, or the contender, was another in the two runs for longer than a run takes.

| benchmark | ratio | one run | another | change | overlap |
|---|---|---|---|---|---|
"""


class Result(NamedTuple):
    """A file of results, read once."""

    claim: str
    file: Path
    title: str
    command: str
    report: dict[str, Any]


def read(results: Path) -> list[Result]:
    """All of `CLAIMS`, in the order of the page; of each the plain one first."""
    found = []
    for claim, title, command in CLAIMS:
        for file in sorted(results.glob(f"{claim}.json")) + sorted(results.glob(f"{claim}_[!a-z]*.json")):
            tag = file.stem.removeprefix(claim).strip("_").lower()  # of another kind of run
            report = json.loads(file.read_text(encoding="utf-8"))
            found.append(Result(claim, file, f"{title} ({tag})" if tag else title, command, report))
    return found


def glance(results: list[Result]) -> str:
    """The claims of all results, each with its title, in one table."""
    lines = []
    for result in results:
        for name, each in bounds_in(result.report["figures"]):
            met = "yes" if each["met"] else "**no**"
            lines.append(f"| {result.title} | {name} | {measured(each)} | {asked(each)} | {met} |")
    return GLANCE + "\n".join(lines) + "\n"


def section(result: Result) -> str:
    report, name = result.report, result.file.name
    machine, commit = report["machine"], report["commit"]
    gpus = f", {', '.join(machine['gpus'])}" if machine.get("gpus") else ""
    changed = ", with changes" if commit.get("dirty") else ""
    tables = "\n".join(markdown(report["figures"]))
    return (
        f"## {result.title}\n\n`python benchmarks/{result.command}` · [{name}](../benchmarks/results/{name}) · "
        f"{report['date']}, commit {commit['hash']}{changed}\n\n{machine['cpu']}, {machine['cores']} cores{gpus}\n\n"
        f"<details><summary>All figures</summary>\n\n{tables}\n</details>\n"
    )


def overlap(one: dict[str, float], two: dict[str, float]) -> str:
    """What two spreads have in common."""
    if all(each["min"] == each["max"] for each in (one, two)):
        return "one round each"
    for low, high, what in (("p25", "p75", "quartiles"), ("min", "max", "all rounds")):
        if one[low] <= two[high] and two[low] <= one[high]:
            return what
    return "**none**"


def repeats(results: list[Result], again: dict[str, Result]) -> str:
    """The ratios of runs that were made twice, beside each other; `again` has the others by the name of the first."""
    lines = []
    for result in results:
        if result.file.stem not in again:
            continue
        first, second = (flat(each.report["figures"]) for each in (result, again[result.file.stem]))
        for name, one in first.items():
            two = second.get(name)
            if not isinstance(one, dict) or not isinstance(two, dict) or one.get("unit"):
                continue
            if one["p25"] == one["p75"] == 1:  # ours beside ours
                continue
            change = f"{100 * (two['median'] / one['median'] - 1):+.1f} %"
            lines.append(f"| {result.title} | {name} | {shown(one)} | {shown(two)} | {change} | {overlap(one, two)} |")
    return REPEATS + "\n".join(lines) + "\n" if lines else ""


def page(found: list[Result]) -> str:
    again = {each.file.stem.removesuffix(AGAIN): each for each in found if each.file.stem.endswith(AGAIN)}
    results = [each for each in found if not each.file.stem.endswith(AGAIN)]
    parts = [section(each) for each in results]
    run = {each.claim for each in found}
    never = [f"* {title}: `python benchmarks/{command}`" for claim, title, command in CLAIMS if claim not in run]
    if never:
        parts.append("## Not run yet, or with no saved result\n\n" + "\n".join(never) + "\n")
    if not any(each.report["machine"].get("gpus") for each in found):
        parts.append("**No result on this page was measured on a GPU yet.**\n")
    return "\n".join([HEAD, glance(results), repeats(results, again), *parts])


def main() -> int:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--check", action="store_true", help="write nothing; say whether they are up to date")
    options = made.parse_args()
    found = read(RESULTS)
    made_now = {PAGE: page(found)}
    for each in found:
        if each.file.stem == "versus_peers":
            made_now[CHART] = chart(each.report["figures"])
    if not options.check:
        for file, text in made_now.items():
            file.write_text(text, encoding="utf-8")
        return 0
    old = [file for file, text in made_now.items() if not file.is_file() or file.read_text(encoding="utf-8") != text]
    for file in old:
        print(f"{file.relative_to(ROOT)} is not that of the results; run: python benchmarks/page.py", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
