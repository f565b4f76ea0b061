# SPDX-License-Identifier: Apache-2.0
"""What a training run is told: dataclasses read from YAML, changed on the command line, kept with the run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from ..errors import InputError, UnavailableError
from ..files import atomic_file

LAST = "last.ckpt"  # in a run's folder: what it is resumed from
LOSSES = ("bce", "dice", "bce_dice", "matte")
OPTIMIZERS = ("adamw", "adam")
SCHEDULES = ("cosine", "plateau", "constant")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
MONITORS = ("val_iou", "val_maxf", "val_mae", "val_loss")


@dataclass(frozen=True)
class AugmentConfig:
    """What is done to training pictures, each with its mask.

    Attributes:
        crop: Side of the random crop, as a share of the picture's: 0.9 is 288 of 320; 1: the whole picture.
        flip: Probability of mirroring left and right.
        scale: Smallest and largest factor the picture is scaled by about its centre, before the crop.
        jitter: Largest change of brightness, contrast and saturation, as a factor (0.2: 0.8 to 1.2); hue a tenth of it.
            One picture in five keeps its colours.
        blur: Probability of a Gaussian blur with a standard deviation of 0.3 to 2 pixels.
        jpeg: Probability of JPEG artefacts, quality 30 to 90.
        background: Probability that the background is taken from another training picture, its object painted over.
    """

    crop: float = 0.9
    flip: float = 0.5
    scale: tuple[float, float] = (0.85, 1.25)
    jitter: float = 0.2
    blur: float = 0.1
    jpeg: float = 0.1
    background: float = 0.0


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        data: The prepared set.
        architecture: "u2net", "u2netp" or "unet"; empty: that of `init`, or u2netp.
        init: Weights to start from: a catalogue name, an ``.onnx``, ``.pth`` or ``.safetensors`` file; empty: random.
        freeze_batch_norm: Keep the statistics of batch normalisation as they are (for fine-tuning with small batches).
        size: Side of the square that pictures are resized to, as the engine does it.
        batch: Pictures a step, on each process.
        accumulate: Steps whose gradients are added up before the weights change.
        epochs: Times that all training pictures are seen.
        max_minutes: Stop this long after each start, with a checkpoint to resume from; 0: no limit. The schedule does
            not look at it.
        limit_train: Use only this many training pictures (the first of a seeded shuffle); 0: all.
        limit_val: The same for validation.
        loss: "bce" (U²-Net's, summed over all its outputs), "dice", "bce_dice", or "matte" for alpha mattes
            (L1 and Laplacian pyramid).
        optimizer: "adamw" or "adam".
        lr: Largest learning rate.
        weight_decay: Of AdamW.
        schedule: "cosine", "plateau" (halved when the validation loss rests) or "constant".
        warmup_steps: Steps over which the learning rate rises; at most a tenth of all steps.
        min_lr: The learning rate at the end of "cosine", and the smallest of "plateau".
        plateau_patience: Epochs without a better validation loss before "plateau" halves the rate.
        clip_norm: Largest norm of the gradient; 0: not clipped.
        ema: Decay of the running mean of the weights, which is what is validated and kept; 0: none. It starts lower.
        keep: Share of the weights that the run began with, mixed into what is validated and kept: fine-tuning that
            forgets less (Wortsman et al., CVPR 2022).
        precision: "auto" (bf16 on a GPU that has it, else fp16 there; fp32 on the CPU), "fp32", "bf16" or "fp16".
        channels_last: Memory order of the convolutions; faster on most machines.
        compile: Let ``torch.compile`` make the network faster, which takes minutes at the start.
        monitor: What decides which weights are best: "val_iou", "val_maxf", "val_mae" or "val_loss".
        patience: Stop after this many epochs without a better one; 0: never.
        checkpoint_minutes: Write ``last.ckpt`` at least this often, besides after each epoch.
        pictures: Validation pictures in the grid that each epoch draws; 0: none.
        workers: Processes that read and augment pictures; -1: one a core less one, at most 16.
        device: "auto", "cpu" or "cuda".
        seed: Of everything random.
        augment: What is done to training pictures.
    """

    data: str
    architecture: str = ""
    init: str = ""
    freeze_batch_norm: bool = False
    size: int = 320
    batch: int = 12
    accumulate: int = 1
    epochs: int = 100
    max_minutes: float = 0.0
    limit_train: int = 0
    limit_val: int = 0
    loss: str = "bce"
    optimizer: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup_steps: int = 100
    min_lr: float = 1e-6
    plateau_patience: int = 5
    clip_norm: float = 1.0
    ema: float = 0.999
    keep: float = 0.0
    precision: str = "auto"
    channels_last: bool = True
    compile: bool = False
    monitor: str = "val_iou"
    patience: int = 0
    checkpoint_minutes: float = 10.0
    pictures: int = 8
    workers: int = -1
    device: str = "auto"
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    @property
    def larger_is_better(self) -> bool:
        """Of what is monitored."""
        return self.monitor in ("val_iou", "val_maxf")

    def __post_init__(self) -> None:
        _one_of("loss", self.loss, LOSSES)
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        _one_of("schedule", self.schedule, SCHEDULES)
        _one_of("precision", self.precision, PRECISIONS)
        _one_of("monitor", self.monitor, MONITORS)
        _one_of("device", self.device, ("auto", "cpu", "cuda"))
        for name in ("batch", "accumulate", "epochs", "lr", "checkpoint_minutes"):
            _check(name, getattr(self, name), getattr(self, name) > 0, "a number above 0")
        for name in ("limit_train", "limit_val", "warmup_steps", "patience", "pictures", "max_minutes", "min_lr"):
            _check(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        for name in ("weight_decay", "clip_norm", "plateau_patience"):
            _check(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        _check("ema", self.ema, 0 <= self.ema < 1, "0 to below 1")
        _check("keep", self.keep, 0 <= self.keep < 1, "0 to below 1")
        _check("keep", self.keep, self.keep == 0 or bool(self.init), "0 where there is no init")
        _check("size", self.size, 32 <= self.size <= 4096, "32 to 4096")
        _check("seed", self.seed, 0 <= self.seed < 2**32, "0 to 4294967295")
        _check("workers", self.workers, self.workers >= -1, "-1 or more")
        each = self.augment
        _check("augment.crop", each.crop, 0.1 <= each.crop <= 1, "0.1 to 1")
        for name in ("flip", "blur", "jpeg", "background", "jitter"):
            _check(f"augment.{name}", getattr(each, name), 0 <= getattr(each, name) <= 1, "0 to 1")
        low, high = each.scale
        _check("augment.scale", each.scale, 0.1 <= low <= high <= 10, "two factors, 0.1 to 10, the smaller first")


def load_config(path: Path | None, overrides: Iterable[str] = (), **values: Any) -> TrainConfig:
    """Makes a configuration.

    Args:
        path: A YAML file with some of the fields of `TrainConfig`, or None.
        overrides: "name=value" or "augment.name=value", in YAML's spelling; they win over the file.
        values: Fields; those that are None are left out; they win over everything.

    Raises:
        InputError: A field does not exist or has a value of another kind; the message says what is expected.
        UnavailableError: PyYAML is not installed.
    """
    yaml = _yaml()
    fields: dict[str, Any] = {}
    if path is not None:
        try:
            read = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path} could not be read: {error.strerror or error}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
        if not isinstance(read, dict):
            raise InputError(f"{path} holds {type(read).__name__}; expected lines as 'lr: 0.001'")
        fields.update(read)
    for text in overrides:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{text!r} is no setting; expected name=value, as lr=0.001 or augment.flip=0")
        group, dot, rest = name.strip().partition(".")
        if dot:
            fields[group] = {**(fields.get(group) or {}), rest: yaml.safe_load(value)}
        else:
            fields[group] = yaml.safe_load(value)
    fields.update({name: value for name, value in values.items() if value is not None})
    if "data" not in fields:
        raise InputError("no data: give the folder of a prepared set")
    config: TrainConfig = _build(TrainConfig, fields, "")
    return config


def save_config(config: TrainConfig, path: Path) -> None:
    """Writes a configuration as YAML, whole or not at all. Raises Error when it cannot be written."""
    with atomic_file(path) as file:
        file.write(to_yaml(config).encode())


def to_yaml(config: TrainConfig) -> str:
    """All settings, as `load_config` reads them."""
    values = dataclasses.asdict(config)
    values["augment"]["scale"] = list(values["augment"]["scale"])
    text: str = _yaml().safe_dump(values, sort_keys=False, allow_unicode=True)
    return text


def _build(kind: Any, fields: Mapping[str, Any], prefix: str) -> Any:
    types = get_type_hints(kind)
    unknown = sorted(set(map(str, fields)) - set(types))
    if unknown:
        raise InputError(f"there is no setting {prefix}{unknown[0]}; there are: {', '.join(types)}")
    return kind(**{name: _as(types[name], value, prefix + name) for name, value in fields.items()})


def _as(kind: Any, value: Any, name: str) -> Any:
    """A value of YAML as the kind that a field has."""
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else _build(kind, value or {}, f"{name}.")  # type: ignore[arg-type]
    if get_origin(kind) is tuple and isinstance(value, (list, tuple)) and len(value) == len(get_args(kind)):
        return tuple(_as(one, each, name) for one, each in zip(get_args(kind), value, strict=True))
    if kind is str and isinstance(value, (str, Path)):
        return str(value)
    if kind is bool and isinstance(value, bool):
        return value
    if kind in (int, float) and not isinstance(value, bool):
        try:  # YAML 1.1 reads 1e-3 as text
            number = float(value)
            if math.isfinite(number) and (kind is float or number == int(number)):
                return kind(number)
        except (TypeError, ValueError):
            pass
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    raise InputError(f"{name} is {value!r}; expected {words.get(kind, 'two numbers, as [0.8, 1.2]')}")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    _check(name, value, value in allowed, f"one of {', '.join(allowed)}")


def _check(name: str, value: Any, fine: bool, expected: str) -> None:
    if not fine:
        raise InputError(f"{name} is {value!r}; expected {expected}")


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as error:
        raise UnavailableError('PyYAML is not installed: pip install "rmbg-trt[train]"') from error
    return yaml
