# SPDX-License-Identifier: Apache-2.0
"""A training run: a folder with its configuration, history, checkpoints and pictures, which can be resumed.

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

from ..errors import Error, InputError, ModelError
from ..files import atomic_file
from . import requirements
from .config import LAST, TrainConfig, load_config, save_config
from .data.pairs import Pair, read_pairs

if TYPE_CHECKING:
    from rich.console import Console

    from .callbacks import Checkpoints
    from .data.loader import TrainLoader
    from .models import ModelConfig
    from .processors import Processors

log = logging.getLogger("rmbg_trt.training")

CONFIG = "config.yaml"


@dataclass(frozen=True)
class Watch:
    """How a run is followed.

    Attributes:
        say: Called with what is about to happen: network, processor, precision, pictures.
        tell: Called after each epoch with its line of ``metrics.csv``.
        terminal: Where a progress bar is shown, or None.
    """

    say: Callable[[str], None] = log.info
    tell: Callable[[dict[str, float]], None] = lambda row: None
    terminal: Console | None = None


@dataclass(frozen=True)
class TrainReport:
    """What a run came to.

    Attributes:
        folder: Of the run.
        epochs: That were finished, those before a resumption counted.
        best: The best value of what was monitored, or None before the first epoch's end.
        best_epoch: When it was, from 1.
        stopped: Why it ended before its time and can be resumed, "interrupted" or "time limit"; nothing if it did not.
    """

    folder: Path
    epochs: int
    best: float | None
    best_epoch: int
    stopped: str


def train(config: TrainConfig, folder: Path, *, resume: bool = False, watch: Watch | None = None) -> TrainReport:
    """Trains a network.

    Args:
        config: The run.
        folder: Where it lives. For a new run it must not hold one.
        resume: Go on from its ``last.ckpt``, as if it had never stopped. `resumable` gives its configuration.
        watch: How it is followed.

    Returns:
        The report. ``best.safetensors`` in the folder is what to export; `Engine` takes it as it is.

    Raises:
        InputError: An option, a picture or the folder is not what it should be.
        ModelError: The weights to start from are damaged or of another architecture.
        UnavailableError: A package, the weights or the device are not here.
        Error: The loss became NaN (its batch is kept), or the folder cannot be written.
    """
    requirements.check()
    watch = watch or Watch()
    if resume and not (folder / CONFIG).is_file():
        raise InputError(f"{folder} holds no run to resume (there is no {CONFIG})")
    if not resume and (folder / LAST).exists():
        raise InputError(f"{folder} holds a run already; resume it, or choose another folder")
    config = _found_from_anywhere(config)
    training = chosen(read_pairs(config.data, "train"), config.limit_train, config.seed)
    validation = chosen(read_pairs(config.data, "val"), config.limit_val, config.seed)
    with _quiet():
        import lightning.pytorch as lightning

        from .data.dataset import PairDataset
        from .data.loader import TrainLoader
        from .module import MatteModule
        from .processors import find_processors
        from .weights import MODEL, initial_model, resumed_model

        lightning.seed_everything(config.seed, verbose=False)
        processors = find_processors(config)
        checkpoint = folder / LAST if resume and (folder / LAST).is_file() else None  # else it never came to one
        if checkpoint is not None and (folder / MODEL).is_file():
            model, model_config = resumed_model((folder / MODEL).read_text(encoding="utf-8"))
        else:
            model, model_config = initial_model(config)
        loader = TrainLoader(
            PairDataset(training, model_config, config.augment, config.seed), config.batch, config.seed, processors
        )
        shown = _validation_loader(validation, model_config, config, processors)
        watch.say(_describe(config, model_config, processors, loader, len(validation)))
        if processors.rank == 0 and checkpoint is None:
            save_config(config, folder / CONFIG)
            with atomic_file(folder / MODEL) as file:
                file.write(model_config.to_json().encode())
        trainer, checkpoints = _trainer(config, folder, processors, loader, watch)
        module = MatteModule(model, model_config, config, config.epochs * -(-len(loader) // config.accumulate))
        stopped = _fit(trainer, module, loader, shown, checkpoint)
    epochs = trainer.fit_loop.epoch_progress.current.processed
    return TrainReport(folder, epochs, checkpoints.best, checkpoints.best_epoch, stopped)


def resumable(folder: Path, **changes: Any) -> TrainConfig:
    """The configuration of a run that can be resumed.

    Args:
        folder: Of the run.
        changes: Fields that may differ: workers, device, max_minutes, checkpoint_minutes, pictures. None: as before.

    Raises:
        InputError: There is no run, or its configuration is damaged.
    """
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder} holds no run (there is no {CONFIG})")
    config = load_config(folder / CONFIG)
    return dataclasses.replace(config, **{name: value for name, value in changes.items() if value is not None})


def _found_from_anywhere(config: TrainConfig) -> TrainConfig:
    """Whole paths, so that a run can be resumed from another folder."""
    init = str(Path(config.init).absolute()) if Path(config.init).is_file() else config.init
    return dataclasses.replace(config, data=str(Path(config.data).absolute()), init=init)


def chosen(pairs: list[Pair], limit: int, seed: int) -> list[Pair]:
    """`limit` of the pairs, always the same for a seed, in their order; all for 0."""
    if not 0 < limit < len(pairs):
        return pairs
    return [pairs[index] for index in sorted(random.Random(seed).sample(range(len(pairs)), limit))]


def _describe(
    config: TrainConfig, model: ModelConfig, processors: Processors, loader: TrainLoader, validation: int
) -> str:
    return (
        f"{model.architecture} on {processors.name}, {processors.precision}, from {config.init or 'random weights'}: "
        f"{loader.count} training pictures in {len(loader)} steps of {loader.batch * loader.world}, "
        f"{validation} validation pictures"
    )


def _validation_loader(pairs: list[Pair], model: ModelConfig, config: TrainConfig, processors: Processors) -> Any:
    """This process's share of the validation pictures, in their order."""
    from torch.utils.data import DataLoader, Subset

    from .data.dataset import PairDataset, leave_signals_alone

    if len(pairs) < processors.world:
        raise InputError(f"{len(pairs)} validation pictures are fewer than the {processors.world} processes")
    mine = Subset(PairDataset(pairs, model, None, config.seed), range(processors.rank, len(pairs), processors.world))
    return DataLoader(
        mine,
        config.batch,
        num_workers=processors.workers,
        pin_memory=processors.on_gpu,
        worker_init_fn=leave_signals_alone,
    )


def _trainer(
    config: TrainConfig, folder: Path, processors: Processors, loader: TrainLoader, watch: Watch
) -> tuple[Any, Checkpoints]:
    """Lightning's trainer with all that happens beside the steps."""
    import lightning.pytorch as lightning
    from lightning.pytorch.loggers import TensorBoardLogger

    from . import callbacks

    checkpoints = callbacks.Checkpoints(folder, config)
    # The order counts: the mean of the weights first, the record before what saves it, the stop last.
    stages: list[Any] = [callbacks.Average(config.ema, config.keep)] if config.ema or config.keep else []
    stages += [callbacks.NanGuard(folder, loader.names), callbacks.Record(folder, loader, watch.tell)]
    stages += [callbacks.Pictures(folder, config.pictures), checkpoints]
    if watch.terminal is not None:
        stages.append(callbacks.Bar(watch.terminal))
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
    """Trains. Returns why it was stopped, with a checkpoint, or nothing."""
    import torch

    from .callbacks import InterruptedRun

    try:
        trainer.fit(module, training, validation, ckpt_path=checkpoint, weights_only=True)
    except InterruptedRun as stop:
        return str(stop)
    except SystemExit as error:  # what Lightning makes of a Ctrl-C
        raise KeyboardInterrupt from error
    except torch.OutOfMemoryError as error:
        raise Error(
            "the GPU's memory is too small; take a smaller batch (accumulate makes up for it) or a smaller size"
        ) from error
    except Error as error:
        text = str(error)
        if not text.startswith("Caught "):
            raise
        name = f"{type(error).__name__}: "  # a worker's: the message stands at the end of its traceback
        raise type(error)(text.rpartition(name)[2].strip()) from None
    except OSError as error:
        raise Error(f"the run stopped: {error}") from error
    except RuntimeError as error:
        if checkpoint is not None and "loading state_dict" in str(error):
            raise ModelError(f"{checkpoint} is of another network than {CONFIG} says") from error
        raise
    return ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's advice is for those who write against it; its errors and our own words remain."""
    import lightning.pytorch  # noqa: F401  # which sets the levels of its loggers

    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [each.level for each in loggers]
    try:
        for each in loggers:
            each.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
