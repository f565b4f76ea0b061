# SPDX-License-Identifier: Apache-2.0
"""A training run: a folder with its configuration, history, checkpoints and previews, which can be resumed.

Under ``torchrun`` every process calls `train`; the first one writes.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ..errors import Error, InputError, ModelError
from ..files import atomic_file
from . import requirements
from .config import LAST, TrainConfig, load_config, save_config
from .data.pairs import Fingerprint, Pair, fingerprint, read_pairs

if TYPE_CHECKING:  # these need PyTorch
    from .callbacks import Checkpoints
    from .data.loader import TrainLoader
    from .models import ModelConfig
    from .processors import Processors

log = logging.getLogger("rmbg_trt.training")

CONFIG = "config.yaml"


@dataclass(frozen=True)
class Watch:
    """How the progress of a run is reported."""

    on_message: Callable[[str], None] = log.info  # called with a summary before the run: network, device, images
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None  # called after each epoch with its metrics
    terminal: Console | None = None  # shows a progress bar; without it, on_message gets a line a minute


@dataclass(frozen=True)
class TrainReport:
    """The result of a run."""

    folder: Path
    epochs: int  # finished epochs, including those before the run was resumed
    best: float | None  # the best value of the monitored metric, or None before the end of the first epoch
    best_epoch: int  # the epoch of that value, from 1
    stopped: str  # why it stopped early and can be resumed: "interrupted" or "time limit"; else empty


def train(config: TrainConfig, folder: Path, *, resume: bool = False, watch: Watch | None = None) -> TrainReport:
    """Trains a network.

    Args:
        config: Of the run.
        folder: Of the run. It must not contain another run.
        resume: Continue from ``last.ckpt`` in the folder, as if the run had never stopped. `resumable` returns the
            configuration.
        watch: How progress is reported.

    Returns:
        The report. Export ``best.safetensors`` from the folder; `Engine` also opens it as it is.

    Raises:
        InputError: An option, an image or the folder is wrong.
        ModelError: The initial weights are damaged or of another architecture.
        UnavailableError: A package, the weights or the device are not available.
        Error: The loss became NaN (the batch is saved), the training diverged, or the folder cannot be written.
    """
    requirements.require(*requirements.TRAINING)
    watch = watch or Watch()
    if resume and not (folder / CONFIG).is_file():
        raise InputError(f"{folder} holds no run to resume (there is no {CONFIG})")
    if not resume and (folder / LAST).exists():
        raise InputError(f"{folder} holds a run already; resume it, or choose another folder")
    config = _with_absolute_paths(config)
    training = choose(read_pairs(config.data, "train"), config.limit_train, config.seed)
    validation = choose(read_pairs(config.data, "val"), config.limit_val, config.seed)
    with _quiet():
        import lightning.pytorch as lightning

        from .data.dataset import PairDataset
        from .data.loader import TrainLoader
        from .module import MatteModule
        from .processors import find_processors
        from .weights import MODEL, initial_model, resumed_model

        lightning.seed_everything(config.seed, verbose=False)
        processors = find_processors(config)
        checkpoint = folder / LAST if resume and (folder / LAST).is_file() else None  # it may have stopped before one
        if checkpoint is not None and (folder / MODEL).is_file():
            model, model_config = resumed_model((folder / MODEL).read_text(encoding="utf-8"))
        else:
            model, model_config = initial_model(config)
        loader = TrainLoader(
            PairDataset(training, model_config, config.augment, config.seed), config.batch, config.seed, processors
        )
        validation_loader = _validation_loader(validation, model_config, config, processors)
        watch.on_message(_describe(config, model_config, processors, loader, len(validation)))
        if processors.rank == 0 and resume:
            save_config(dataclasses.replace(load_config(folder / CONFIG), epochs=config.epochs), folder / CONFIG)
        if processors.rank == 0 and checkpoint is None:
            save_config(config, folder / CONFIG)
            with atomic_file(folder / MODEL) as file:
                file.write(model_config.to_json().encode())
        data = fingerprint([*training, *validation])
        trainer, checkpoints = _trainer(config, folder, processors, loader, data, watch)
        module = MatteModule(model, model_config, config, config.epochs * -(-len(loader) // config.accumulate))
        stopped = _fit(trainer, module, loader, validation_loader, checkpoint)
    epochs = trainer.fit_loop.epoch_progress.current.processed
    return TrainReport(folder, epochs, checkpoints.best, checkpoints.best_epoch, stopped)


def resumable(folder: Path, **changes: Any) -> TrainConfig:
    """The configuration of a run that can be resumed.

    Args:
        folder: Of the run.
        changes: Fields that may change: epochs (more of them prolong a finished run), workers, device, max_minutes,
            checkpoint_minutes, previews. None: as before.

    Raises:
        InputError: There is no run, or its configuration is damaged.
    """
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder} holds no run (there is no {CONFIG})")
    config = load_config(folder / CONFIG)
    return dataclasses.replace(config, **{name: value for name, value in changes.items() if value is not None})


def choose(pairs: list[Pair], limit: int, seed: int) -> list[Pair]:
    """`limit` of the pairs, in their order, always the same for a seed; all for 0."""
    if not 0 < limit < len(pairs):
        return pairs
    return [pairs[index] for index in sorted(random.Random(seed).sample(range(len(pairs)), limit))]


def _with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """So that a run can be resumed from another folder."""
    init = str(Path(config.init).absolute()) if Path(config.init).is_file() else config.init
    return dataclasses.replace(config, data=str(Path(config.data).absolute()), init=init)


def _describe(
    config: TrainConfig, model: ModelConfig, processors: Processors, loader: TrainLoader, validation: int
) -> str:
    return (
        f"{model.architecture} on {processors.name}, {processors.precision}, from {config.init or 'random weights'}: "
        f"{loader.count} training images in {len(loader)} steps of {loader.batch * loader.world}, "
        f"{validation} validation images"
    )


def _validation_loader(pairs: list[Pair], model: ModelConfig, config: TrainConfig, processors: Processors) -> Any:
    """This process's share of the validation images, in their order."""
    from torch.utils.data import DataLoader, Subset

    from .data.dataset import PairDataset, leave_signals_alone

    if len(pairs) < processors.world:
        raise InputError(f"{len(pairs)} validation images are fewer than the {processors.world} processes")
    mine = Subset(PairDataset(pairs, model, None, config.seed), range(processors.rank, len(pairs), processors.world))
    return DataLoader(
        mine,
        config.batch,
        num_workers=processors.workers,
        pin_memory=processors.on_gpu,
        worker_init_fn=leave_signals_alone,
    )


def _trainer(
    config: TrainConfig, folder: Path, processors: Processors, loader: TrainLoader, data: Fingerprint, watch: Watch
) -> tuple[Any, Checkpoints]:
    """Lightning's trainer with all callbacks."""
    import lightning.pytorch as lightning
    from lightning.pytorch.loggers import TensorBoardLogger

    from . import callbacks

    checkpoints = callbacks.Checkpoints(folder, config)
    # The order matters: Average first, Record before Checkpoints, which saves it, Interrupt last.
    stages: list[Any] = [callbacks.Average(config.ema, config.keep)] if config.ema or config.keep else []
    stages += [callbacks.NanGuard(folder, loader.names), callbacks.DivergenceGuard(folder, config.lr)]
    stages += [callbacks.Record(folder, loader, data, watch.on_epoch, watch.on_message)]
    stages += [callbacks.Previews(folder, config.previews), checkpoints]
    if watch.terminal is not None:
        stages.append(callbacks.Bar(watch.terminal))
    else:
        stages.append(callbacks.Lines(watch.on_message, loader.batch * loader.world))
    trainer = lightning.Trainer(
        **processors.for_lightning(),
        sync_batchnorm=processors.on_gpu and processors.world > 1 and not config.freeze_batch_norm,
        max_epochs=config.epochs,
        accumulate_grad_batches=config.accumulate,
        gradient_clip_val=config.clip_norm or None,
        callbacks=[*stages, callbacks.Interrupt(checkpoints, config.max_minutes)],
        plugins=[callbacks.AtomicCheckpoints()],
        logger=TensorBoardLogger(folder, name="", version="tensorboard"),
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        log_every_n_steps=10,
    )
    return trainer, checkpoints


def _fit(trainer: Any, module: Any, training: Any, validation: Any, checkpoint: Path | None) -> str:
    """Trains. Returns why the run was stopped, with a checkpoint, or an empty string."""
    import torch

    from .callbacks import InterruptedRun

    try:
        trainer.fit(module, training, validation, ckpt_path=checkpoint, weights_only=True)
    except InterruptedRun as stop:
        return str(stop)
    except SystemExit as error:  # Lightning converts Ctrl-C to this
        raise KeyboardInterrupt from error
    except torch.OutOfMemoryError as error:
        raise Error(
            "the GPU does not have enough memory; use a smaller batch (with accumulate to compensate) or a smaller size"
        ) from error
    except Error as error:
        text = str(error)
        if not text.startswith("Caught "):
            raise
        name = f"{type(error).__name__}: "  # from a worker: the message is at the end of its traceback
        raise type(error)(text.rpartition(name)[2].strip()) from None
    except OSError as error:
        raise Error(f"the run stopped: {error}") from error
    except RuntimeError as error:
        if checkpoint is not None and "loading state_dict" in str(error):
            raise ModelError(f"{checkpoint} is not of the network that {CONFIG} describes") from error
        raise
    return ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides Lightning's advice, which is for its developers; its errors and our messages remain."""
    import lightning.pytorch  # noqa: F401  # which sets the levels of its loggers

    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
