# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt train``: trains on a prepared set, in a run folder that can be resumed."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from ..training import requirements
from ..training.config import TrainConfig, load_config, to_yaml
from ..training.train import TrainReport, Watch, resumable
from ..training.train import train as run_training
from .console import EXIT_INTERRUPTED, EXIT_USAGE, VerboseOption, console, error_boundary, fail, out, say, setup_logging
from .options import expand_options


@dataclass(frozen=True, kw_only=True)
class NewRunSettings:
    """Settings of a new run; a resumed run keeps its own, except `epochs`. The names are those of `TrainConfig`."""

    architecture: Annotated[
        str | None, typer.Option("--model", help="u2net, u2netp or unet. Default: that of --init, or u2netp.")
    ] = None
    init: Annotated[
        str | None,
        typer.Option(metavar="WEIGHTS", help="Start from a catalogue name, an .onnx, .pth or .safetensors file."),
    ] = None
    loss: Annotated[str | None, typer.Option(help="bce, dice, bce_dice, or matte for alpha mattes.")] = None
    epochs: Annotated[int | None, typer.Option(help="Passes over all images; a new total with --resume. 100.")] = None
    batch: Annotated[int | None, typer.Option(help="Images per step, on each process. Default: 12.")] = None
    lr: Annotated[float | None, typer.Option("--lr", help="Peak learning rate. Default: 0.001.")] = None
    size: Annotated[int | None, typer.Option(help="Side that images are resized to. Default: 320.")] = None
    precision: Annotated[str | None, typer.Option(help="auto, fp32, bf16 or fp16.")] = None
    seed: Annotated[int | None, typer.Option(help="Of everything random. Default: 0.")] = None


@dataclass(frozen=True, kw_only=True)
class MachineSettings:
    """Settings that may change when a run is resumed. The names are those of `TrainConfig`."""

    max_minutes: Annotated[float | None, typer.Option(help="Stop after this time; --resume continues.")] = None
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None
    workers: Annotated[int | None, typer.Option(help="Processes that read images. Default: one per core.")] = None


@error_boundary()
@expand_options
def train(
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="A prepared set (see: rmbg-trt prepare).", show_default=False)
    ] = None,
    *,
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="RUN", help="The run's folder, a new one.", show_default=False)
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN", help="Continue a run that was stopped.", show_default=False),
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings as YAML.", show_default=False)
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A setting, such as loss=matte or augment.flip=0; repeatable."
        ),
    ] = None,
    new_run: NewRunSettings,
    machine: MachineSettings,
    show: Annotated[bool, typer.Option("--show-settings", help="Print all settings as YAML and stop.")] = False,
    verbose: VerboseOption = False,
) -> None:
    """Train U²-Net or U-Net on a prepared dataset.

    The run's folder gets best.safetensors (to export, evaluate and run),
    last.ckpt (to resume), config.yaml, metrics.csv, curves.png, a grid of
    validation images per epoch and a TensorBoard log. Ctrl-C writes a
    checkpoint; a resumed run continues as if it had never stopped.

    From random weights: [bold]rmbg-trt train combined/ -o runs/first --model u2net[/bold]

    Fine-tuning:
    [bold]rmbg-trt train people/ -o runs/people --init u2netp --lr 1e-4 --epochs 10 --set freeze_batch_norm=true[/bold]

    Resume: [bold]rmbg-trt train --resume runs/first[/bold], or
    [bold]... --epochs 150[/bold] to prolong a finished run

    Four GPUs: [bold]torchrun --nproc-per-node 4 --no-python rmbg-trt train combined/ -o runs/big[/bold]

    All settings: [bold]rmbg-trt train combined/ --show-settings[/bold]
    """
    setup_logging(verbose)
    requirements.require(*requirements.TRAINING)
    if resume is not None:
        fixed = {"data": data, **vars(new_run), "out": folder, "config": config_file}
        changes = {**vars(machine), "epochs": fixed.pop("epochs")}
        given = [name for name, value in fixed.items() if value is not None]
        if given or overrides:
            what = ", ".join(given) or "--set"
            fail(f"--resume continues with the run's own settings; it takes no {what}", EXIT_USAGE)
        config, folder = resumable(resume, **changes), resume
    else:
        try:
            config = load_config(config_file, overrides or (), data=data, **vars(new_run), **vars(machine))
        except InputError as error:
            fail(str(error), EXIT_USAGE)
    if show:
        out.print(to_yaml(config), end="", markup=False, highlight=False, soft_wrap=True)
        return
    if folder is None:
        fail("name a folder for the run: -o RUN", EXIT_USAGE)
    report = _run(config, folder, resume is not None)
    if _is_first_process():
        _print_report(report, config)
    if report.stopped == "interrupted":
        raise typer.Exit(EXIT_INTERRUPTED)


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _run(config: TrainConfig, folder: Path, resume: bool) -> TrainReport:
    """Trains; the first process prints a line per epoch and, on a terminal, a progress bar."""
    if not _is_first_process():
        logging.getLogger("rmbg_trt").setLevel(logging.ERROR)
        return run_training(config, folder, resume=resume, watch=Watch(on_message=lambda message: None))

    def on_epoch(row: dict[str, float]) -> None:
        say(
            f"epoch {row['epoch']:.0f}/{config.epochs}: loss {row['train_loss']:.4f}, "
            f"validation loss {row['val_loss']:.4f}, IoU {row['val_iou']:.4f}, maxF {row['val_maxf']:.4f}, "
            f"MAE {row['val_mae']:.4f}; {row['images_per_s']:.4g} images/s"
        )

    watch = Watch(say, on_epoch, console if console.is_terminal else None)
    return run_training(config, folder, resume=resume, watch=watch)


def _print_report(report: TrainReport, config: TrainConfig) -> None:
    best = "" if report.best is None else f"; best {config.monitor} {report.best:.4f} in epoch {report.best_epoch}"
    if report.stopped:
        say(f"Stopped ({report.stopped}) after {report.epochs} of {config.epochs} epochs{best}.", style="yellow")
        say(f"Continue with: rmbg-trt train --resume {report.folder}")
    else:
        say(f"{report.epochs} epochs{best}.")
    best_file = report.folder / "best.safetensors"
    if best_file.is_file() and report.stopped != "interrupted":
        say(f"Next: rmbg-trt evaluate {config.data} {best_file}, and rmbg-trt export {best_file} -o best.plan")
        out.print(str(best_file), markup=False, highlight=False, soft_wrap=True)
