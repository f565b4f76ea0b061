# SPDX-License-Identifier: Apache-2.0
"""Claim: a clip at least twice as fast as the rivals' own video commands, with frames, times and sound kept.

Two tasks, each with the program's own command, the whole time from start to end, interleaved:
  transparent  ProRes 4444 with alpha: rmbg-trt against backgroundremover, with the same weights (its recipe, frames
               brought to 320 lines and each pair of them stretched, is another, so the mattes are alike, not equal);
  green        over the color 120,255,155: rmbg-trt against transparent-background, whose network is another one, with
               random weights (its own cannot be had here): its time and what becomes of the clip count, not its matte.
All programs run with their defaults. A clip without sound gets a tone, so that it shows who keeps the sound.

Needs PyAV and benchmarks/peers/install.sh; backgroundremover needs the programs ffmpeg and ffprobe.

Examples:
  benchmarks/.venv-peers/rmbg-trt/bin/python benchmarks/versus_peers_video.py CLIP
  ... benchmarks/versus_peers_video.py CLIP --model u2netp --seconds 1 --rounds 1 --tasks transparent
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _report import bound, console, parser, save, show_bounds
from _timing import shown, summary
from peers.children import HERE, WEIGHTS, environment, provide_weights
from peers.clips import alphas, facts, held_against, prepare
from peers.commands import by_name, our_command, timed
from peers.contenders import CONTENDERS, OURS, RANDOM, Contender, installed
from peers.masks import agreement, middle, worst
from peers.turns import times_as_fast
from rich.table import Table

TARGET = 2.0
RIVALS = ("backgroundremover", "transparent-background fast", "transparent-background")
GREEN = "#78ff9b"  # transparent-background's own
EVERY = 10  # frames between those whose alphas are compared


@dataclass(frozen=True)
class Program:
    """One command of one task; `command` makes `target` or a file beside it."""

    contender: Contender
    command: list[str]
    target: Path
    variables: dict[str, str]
    weights: str = "official"


def transparent(model: str, clip: Path, folder: Path) -> list[Program]:
    rival = by_name("backgroundremover")
    theirs, ours = folder / "theirs.mov", folder / "ours.mov"
    script = str(rival.python.with_name("backgroundremover"))
    variables = {f"{model.upper()}_PATH": str(WEIGHTS / f"{model}.pth")}
    return [
        _ours(model, clip, ours, []),
        Program(rival, [script, "-i", str(clip), "-m", model, "-tv", "-o", str(theirs)], theirs, variables),
    ]


def green(model: str, clip: Path, folder: Path) -> list[Program]:
    programs = [_ours(model, clip, folder / "ours.mp4", ["--background", GREEN])]
    for mode, name in (("fast", "transparent-background fast"), ("base", "transparent-background")):
        rival = by_name(name)
        checkpoint = random_checkpoint(rival, mode) if not rival.why_not() else ""
        target = folder / mode / f"{clip.stem}_green.mp4"
        options = ["-t", "green", "-m", mode, "--ckpt", checkpoint, "-d", str(target.parent)]
        command = [str(rival.python.with_name("transparent-background")), "-s", str(clip), *options]
        variables = {"TRANSPARENT_BACKGROUND_FILE_PATH": str(WEIGHTS), "NO_ALBUMENTATIONS_UPDATE": "1"}
        programs.append(Program(rival, command, target, variables, RANDOM))
    return programs


def _ours(model: str, clip: Path, target: Path, more: list[str]) -> Program:
    options = ["--model", str(WEIGHTS / f"{model}.onnx"), "--device", "cpu", "--overwrite", *more]
    return Program(by_name(OURS), [*our_command(), "video", str(clip), "-o", str(target), *options], target, {})


def random_checkpoint(rival: Contender, mode: str) -> str:
    """Made by the rival's own code in its own environment; the path of the file."""
    code = "import sys, peer_transparent_background as peer; print(peer.random_checkpoint(*sys.argv[1:]))"
    command = [str(rival.python), "-c", code, mode, str(WEIGHTS)]
    done = subprocess.run(command, cwd=HERE, env=environment(rival), stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.split("\n")[-2]


def why_not(program: Program) -> str:
    """Why it cannot run here, or nothing."""
    reason = program.contender.why_not()
    if not reason and program.contender.name == "backgroundremover":
        path = environment(program.contender)["PATH"]
        missing = [name for name in ("ffmpeg", "ffprobe") if not shutil.which(name, path=path)]
        reason = f"calls {' and '.join(missing)}, not found: install FFmpeg" if missing else ""
        weights = Path(next(iter(program.variables.values())))
        if not reason and not weights.is_file():
            reason = f"its weights are not there: benchmarks/peers/install.sh pytorch makes {weights.name}"
    return reason


def run(task: str, programs: list[Program], clip: Path, rounds: int) -> dict[str, Any]:
    not_run = {each.contender.name: reason for each in programs if (reason := why_not(each))}
    running = [each for each in programs if each.contender.name not in not_run]
    times: dict[str, list[float]] = {each.contender.name: [] for each in running}
    for turn in range(rounds):
        for each in list(running):
            name = each.contender.name
            if turn >= each.contender.most_rounds:
                continue
            console.print(f"{task}, round {turn + 1} of {rounds}: {name} ...", style="dim")
            each.target.unlink(missing_ok=True)
            elapsed_ms, said, code = timed(each.command, each.contender, each.variables)
            made = each.target.is_file() and each.target.stat().st_size > 0  # some programs fail with exit code 0
            if code or not made:
                how = f"ended with code {code}" if code else "made no file"
                not_run[name] = f"{how}: {said[-300:]}"
                running.remove(each)
                del times[name]
                continue
            times[name].append(elapsed_ms)
    source = facts(clip)
    results = {each.contender.name: facts(each.target) for each in running}
    figures: dict[str, Any] = {
        "frames": source["frames"],
        "times_of_the_clip": summary(times),
        "frames_per_second": {name: round(1e3 * source["frames"] / _median(ms), 3) for name, ms in times.items()},
        "ours_is_times_as_fast": {
            name: times_as_fast(times, name, OURS) for name in times if name != OURS and OURS in times
        },
        "bounds": {
            f"{task} clip, times as fast as {name}": bound(times_as_fast(times, name, OURS)["median"], at_least=TARGET)
            for name in times
            if name != OURS and OURS in times
        },
        "results": {
            name: {**{key: value for key, value in found.items() if key != "times"}, **held_against(source, found)}
            for name, found in results.items()
        },
        "weights": {each.contender.name: each.weights for each in running},
        "not_run": not_run,
    }
    if task == "transparent" and len(results) == 2:
        pairs = zip(*(alphas(each.target, EVERY) for each in running), strict=False)
        alike = [agreement(a, b) for a, b in pairs]
        figures["agreement_of_the_two"] = {"frames": len(alike), "median": middle(alike), "worst": worst(alike)}
    return figures


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def show(task: str, figures: dict[str, Any]) -> None:
    table = Table(title=f"{task}: {figures['frames']} frames, start included", title_justify="left")
    for column in ("", "seconds (quartiles)", "fps", "ours is times as fast", "frames", "rate", "off by", "sound"):
        table.add_column(column)
    for name, time_ms in figures["times_of_the_clip"].items():
        result = figures["results"][name]
        faster = figures["ours_is_times_as_fast"].get(name)
        table.add_row(
            name,
            shown({key: time_ms[key] / 1e3 for key in ("median", "p25", "p75")}),
            str(figures["frames_per_second"][name]),
            shown(faster) if faster else "",
            f"{result['frames']}{'' if result['frame_count_right'] else ' WRONG'}",
            f"{result['rate']}{'' if result['rate_right'] else ' WRONG'}",
            f"{result['largest_error_of_a_frames_time_ms']} ms",
            f"{result['sound'] or 'none'}, {'kept' if result['sound_kept'] else 'LOST'}",
        )
    console.print(table)
    show_bounds(figures)
    if "agreement_of_the_two" in figures:
        alike = figures["agreement_of_the_two"]
        console.print(
            f"  IoU of the two mattes over {alike['frames']} frames: median {alike['median']['iou']:.4f}, "
            f"worst {alike['worst']['iou']:.4f}", highlight=False
        )  # fmt: skip
    for name, reason in figures["not_run"].items():
        console.print(f"  not run: {name}: {reason}", highlight=False, markup=False)


def main() -> None:
    tasks = {"transparent": transparent, "green": green}
    made = parser(__doc__)
    made.add_argument("clip", type=Path, help="any video; rivals read .mp4, .mov and .webm")
    made.add_argument("--model", default="u2net", choices=["u2net", "u2netp"], help="(default: %(default)s)")
    made.add_argument("--tasks", nargs="+", default=list(tasks), choices=list(tasks))
    made.add_argument("--seconds", type=float, help="of the clip to use (default: all)")
    made.add_argument("--peers", nargs="+", default=RIVALS, choices=RIVALS, metavar="NAME", help=", ".join(RIVALS))
    made.add_argument("--rounds", type=int, default=3, help="runs of each (default: %(default)s)")
    made.add_argument("--keep", type=Path, metavar="FOLDER", help="make the results there and leave them, to look at")
    options = made.parse_args()
    if options.rounds < 1:
        made.error("--rounds is at least 1")
    provide_weights(options.model)
    figures: dict[str, Any] = {"target": TARGET}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.keep or temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        clip = folder / f"clip{options.clip.suffix.lower()}"
        prepare(options.clip, clip, options.seconds)
        for task in options.tasks:
            programs = tasks[task](options.model, clip, folder)
            wanted = [each for each in programs if each.contender.name in (OURS, *options.peers)]
            figures[task] = run(task, wanted, clip, options.rounds)
            show(task, figures[task])
    figures["versions"] = {
        each.environment: installed(each) for each in CONTENDERS if each.name in RIVALS and not each.why_not()
    }
    save("versus_peers_video", options, figures)


if __name__ == "__main__":
    main()
