# SPDX-License-Identifier: Apache-2.0
"""Claim: faster than every rival, from an image to its mask and from a folder of images to cutouts.

Each rival has its own environment (benchmarks/peers/install.sh creates them) and child process. Runs are interleaved,
A B C A B C, with the same images; only one works at a time. Time is measured inside the child, from the decoded image,
as the rival's own interface takes it, to the finished mask. Threads are left at each
program's default. All have the official weights, except where the table says that they cannot be had.

Masks are compared with the reference recipe (Pillow, NumPy, ONNX Runtime in fp32) on three photographs, so that nobody
is faster by being wrong. A rival with a recipe of its own differs on purpose, and may see another object in an
ambiguous image (the close-up of a cat), so the table has the median image and the worst.

The folder task runs the programs' own commands as a user would, and counts the whole time, start included.

Rivals that cannot run here are listed with the reason.

Examples:
  benchmarks/peers/install.sh
  benchmarks/.venv-peers/rmbg-trt/bin/python benchmarks/versus_peers.py
  ... benchmarks/versus_peers.py --models u2netp --peers rmbg-trt rembg --rounds 3 --tasks masks
  ... benchmarks/versus_peers.py --tasks folder --count 20 --folder-rounds 1
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from _photograph import NAMES, photograph, size
from _report import Bound, bound, console, parser, save, show_bounds
from _timing import ratio, rest, shown, summary
from peers.children import Child, ChildError, provide_weights
from peers.contenders import CONTENDERS, OURS, REFERENCE, Contender
from peers.folder_task import folder_task
from peers.masks import agreement, alpha_of, middle, worst
from peers.turns import times_as_fast
from rich.table import Table

WARM_UP = 2  # the first run of torch.compile compiles
OURS_ON_GPU, OURS_FP32 = "rmbg-trt GPU", "rmbg-trt fp32"
AT_MOST = {  # of a rival's time
    ("u2netp", OURS, "rembg"): 0.42,
    ("u2net", OURS, "rembg"): 0.48,
    ("u2net", "rmbg-trt int8", "rembg"): 0.30,
    **{(model, OURS, rival): 0.45 for model in ("u2netp", "u2net") for rival in ("pytorch", "backgroundremover kept")},
}


def opened(wanted: list[Contender], model: str, stack: ExitStack) -> tuple[dict[str, Child], dict[str, str]]:
    """The children that could be started, and why the others could not."""
    children: dict[str, Child] = {}
    not_run: dict[str, str] = {}
    for contender in wanted:
        reason = contender.why_not()
        if contender.name == OURS_FP32 and OURS in children and children[OURS].facts["precision"] == "fp32":
            reason = f"{OURS} is fp32 here"
        if not reason:
            console.print(f"starting {contender.name} ...", style="dim")
            try:
                children[contender.name] = stack.enter_context(Child(contender, model))
            except ChildError as error:
                reason = str(error)
        if reason:
            not_run[contender.name] = reason
    return children, not_run


def each_or_drop(children: dict[str, Child], not_run: dict[str, str], act: Callable[[Child], None]) -> None:
    """Does something with every child; one that fails takes part no longer."""
    for name, child in list(children.items()):
        try:
            act(child)
        except ChildError as error:
            not_run[name] = str(error)
            del children[name]


def by_turns(children: dict[str, Child], frames: int, rounds: int, not_run: dict[str, str]) -> dict[str, list[float]]:
    """Milliseconds; index i is one round, in which all had the same image. Slow contenders run fewer rounds."""
    times: dict[str, list[float]] = {name: [] for name in children}
    most = {each.name: each.most_rounds for each in CONTENDERS}
    for turn in range(WARM_UP + rounds):

        def run(child: Child, turn: int = turn) -> None:
            if turn >= WARM_UP + most[child.name]:
                return
            rest()
            elapsed_ms = 1e3 * child.run(turn % frames)
            if turn >= WARM_UP:
                times[child.name].append(elapsed_ms)

        each_or_drop(children, not_run, run)
    return {name: times[name] for name in children}


def compare(model: str, options: Any) -> dict[str, Any]:
    provide_weights(model)
    wanted = [each for each in CONTENDERS if model in each.models and each.name in options.peers]
    names = [options.image] if options.image else list(NAMES)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        masks_folder = options.masks or folder
        children, not_run = opened(wanted, model, stack)
        for index, name in enumerate(names):
            path = folder / f"{index}.png"
            photograph(name, options.size).save(path, compress_level=1)
            each_or_drop(children, not_run, lambda child, path=path: child.add_frame(path))
        times = by_turns(children, len(names), options.rounds, not_run)
        facts = {name: child.facts for name, child in children.items()}
        masks: dict[str, list[Path]] = {}

        def keep_masks(child: Child) -> None:
            made = [masks_folder / f"{model}_{child.name.replace(' ', '_')}_{index}.png" for index in range(len(names))]
            for index, path in enumerate(made):
                child.save(index, path)
            masks[child.name] = made

        masks_folder.mkdir(parents=True, exist_ok=True)
        each_or_drop(children, not_run, keep_masks)
        alphas = {name: [alpha_of(path) for path in paths] for name, paths in masks.items()}
    official = {each.name for each in wanted if each.weights == "official"} & set(alphas)
    agreements = {
        name: [agreement(a, b) for a, b in zip(alphas[name], alphas[REFERENCE], strict=True)]
        for name in sorted(official - {REFERENCE})
        if REFERENCE in alphas
    }
    return {
        "times": summary(times),
        "ours_is_times_as_fast": {
            name: times_as_fast(times, name, baseline(name, facts)) for name in times if OURS in times
        },
        "agreement_with_the_reference_recipe": {
            name: {"images": each, "median": middle(each), "worst": worst(each)} for name, each in agreements.items()
        },
        "bounds": bounds(model, times),
        "weights": {each.name: each.weights for each in wanted if each.name in times},
        "contenders": facts,
        "not_run": not_run,
    }


def bounds(model: str, times: dict[str, list[float]]) -> dict[str, Bound]:
    """What is claimed of a model, as shares of the rivals' time within each round."""
    return {
        f"{model}: {ours}, of the time of {rival}": bound(ratio(times, ours, rival)["median"], at_most=most)
        for (of, ours, rival), most in AT_MOST.items()
        if of == model and ours in times and rival in times
    }


def baseline(name: str, facts: dict[str, dict[str, Any]]) -> str:
    """The one of ours that a contender is measured against: on a GPU the one on the GPU."""
    on_gpu = str(facts[name]["device"]).lower().startswith("cuda") or "GPU" in name
    return OURS_ON_GPU if on_gpu and OURS_ON_GPU in facts else OURS


def show(model: str, figures: dict[str, Any]) -> None:
    title = f"{model}: image to mask; masks against the reference recipe, median and worst image"
    table = Table(title=title, title_justify="left")
    for column in ("", "ms (quartiles)", "ours is times as fast", "mean |d alpha|", "max", "IoU"):
        table.add_column(column)
    for name, time_ms in sorted(figures["times"].items(), key=lambda item: item[1]["median"]):
        faster = figures["ours_is_times_as_fast"].get(name)
        table.add_row(
            name,
            shown(time_ms, 0),
            shown(faster) if faster and name != OURS else "",
            *mask_columns(name, figures),
        )
    console.print(table)
    show_bounds(figures)
    for name, reason in figures["not_run"].items():
        console.print(f"  not run: {name}: {reason}", highlight=False, markup=False)


def mask_columns(name: str, figures: dict[str, Any]) -> list[str]:
    found = figures["agreement_with_the_reference_recipe"].get(name)
    if not found:
        random = figures["weights"][name] != "official"
        return ["", "", "random weights" if random else "the reference" if name == REFERENCE else ""]
    median, worst_one = found["median"], found["worst"]
    digits = {"mean_abs_alpha_of_255": 3, "max_abs_alpha_of_255": 0, "iou": 4}
    return [f"{median[key]:.{places}f}, {worst_one[key]:.{places}f}" for key, places in digits.items()]


def main() -> None:
    names = [each.name for each in CONTENDERS]
    made = parser(__doc__)
    made.add_argument("--models", nargs="+", default=["u2netp", "u2net"], choices=["u2netp", "u2net"])
    made.add_argument("--tasks", nargs="+", default=["masks", "folder"], choices=["masks", "folder"])
    made.add_argument("--peers", nargs="+", default=names, choices=names, metavar="NAME", help=", ".join(names))
    made.add_argument("--rounds", type=int, default=15, help="timed runs of each (default: %(default)s)")
    made.add_argument("--image", type=Path, help="a photograph of your own (default: three of scikit-image's)")
    made.add_argument("--size", type=size, default=(1920, 1080), metavar="WxH", help="(default: 1920x1080)")
    made.add_argument("--masks", type=Path, metavar="FOLDER", help="keep the masks there, to look at")
    made.add_argument("--count", type=int, default=200, help="images of the folder task (default: %(default)s)")
    made.add_argument("--folder", type=Path, help="images of your own for the folder task (default: made ones)")
    made.add_argument("--folder-rounds", type=int, default=3, help="runs of the folder task (default: %(default)s)")
    options = made.parse_args()
    if min(options.rounds, options.count, options.folder_rounds) < 1:
        made.error("--rounds, --count and --folder-rounds are at least 1")
    if "masks" in options.tasks:
        figures = {}
        for model in options.models:
            figures[model] = compare(model, options)
            show(model, figures[model])
        save("versus_peers", options, figures)
    if "folder" in options.tasks:
        save("versus_peers_folder", options, {model: folder_task(model, options) for model in options.models})


if __name__ == "__main__":
    main()
