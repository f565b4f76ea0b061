# SPDX-License-Identifier: Apache-2.0
"""The settings of a training run: dataclasses read from YAML, changed on the command line, saved with the run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from ..errors import InputError
from ..files import atomic_file
from .requirements import require

LAST = "last.ckpt"  # in a run's folder: the checkpoint to resume from
LOSSES = ("bce", "dice", "bce_dice", "matte")
OPTIMIZERS = ("adamw", "adam")
SCHEDULES = ("cosine", "plateau", "constant")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
MONITORS = ("val_iou", "val_maxf", "val_mae", "val_loss")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation of training images and their masks."""

    crop: float = 0.9  # side of the random crop, as a share of the image's: 0.9 is 288 of 320; 1: the whole image
    flip: float = 0.5  # probability of mirroring left and right
    scale: tuple[float, float] = (0.85, 1.25)  # range of the random scaling about the centre, before the crop
    # Largest change of brightness, contrast and saturation, as a factor (0.2: 0.8 to 1.2); of hue, a tenth of it.
    # One image in five keeps its colors.
    jitter: float = 0.2
    blur: float = 0.1  # probability of a Gaussian blur with a standard deviation of 0.3 to 2 pixels
    jpeg: float = 0.1  # probability of JPEG artefacts, quality 30 to 90
    background: float = 0.0  # probability of a background from another training image, with its object painted over


@dataclass(frozen=True)
class TrainConfig:
    """A training run."""

    data: str  # the prepared set
    architecture: str = ""  # "u2net", "u2netp" or "unet"; empty: that of `init`, or u2netp
    init: str = ""  # initial weights: a catalogue name, an .onnx, .pth or .safetensors file; empty: random
    freeze_batch_norm: bool = False  # keep the statistics of batch normalisation (for fine-tuning with small batches)
    size: int = 320  # side of the square that images are resized to, as the engine does it
    batch: int = 12  # images per step, on each process
    accumulate: int = 1  # steps whose gradients are summed before the weights change
    epochs: int = 100
    max_minutes: float = 0.0  # stop this long after each start, with a checkpoint; 0: no limit; ignored by `schedule`
    limit_train: int = 0  # use only this many training images (the first of a seeded shuffle); 0: all
    limit_val: int = 0  # the same for validation
    loss: str = "bce"  # "bce" (as U²-Net), "dice", "bce_dice", or "matte" for alpha mattes (L1 and Laplacian pyramid)
    optimizer: str = "adamw"  # or "adam"
    lr: float = 1e-3  # peak learning rate
    weight_decay: float = 0.0  # of AdamW
    schedule: str = "cosine"  # "plateau" (halved when the validation loss stops falling) or "constant"
    warmup_steps: int = 100  # steps over which the learning rate rises; at most a tenth of all steps
    min_lr: float = 1e-6  # learning rate at the end of "cosine", and the smallest of "plateau"
    plateau_patience: int = 5  # epochs without a better validation loss before "plateau" halves the rate
    clip_norm: float = 1.0  # largest norm of the gradient; 0: no clipping
    ema: float = 0.999  # decay of the moving average of the weights that is validated and saved; 0: none; starts lower
    # Share of the initial weights, mixed into what is validated and saved: fine-tuning that forgets less (Wortsman et
    # al., "Robust fine-tuning of zero-shot models", CVPR 2022).
    keep: float = 0.0
    precision: str = "auto"  # "fp32", "bf16", "fp16"; auto: bf16 or, without it, fp16 on a GPU, fp32 on the CPU
    channels_last: bool = True  # memory order of the convolutions; faster on most machines
    compile: bool = False  # speed the network up with torch.compile, which takes minutes at the start
    monitor: str = "val_iou"  # what decides which weights are best: or "val_maxf", "val_mae", "val_loss"
    patience: int = 0  # stop after this many epochs without an improvement; 0: never
    checkpoint_minutes: float = 10.0  # write last.ckpt at least this often, besides after each epoch
    previews: int = 8  # validation images in the grid that each epoch draws; 0: none
    workers: int = -1  # processes that read and augment images; -1: one per core but one, at most 16
    device: str = "auto"  # or "cpu", "cuda"
    seed: int = 0  # of everything random
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    @property
    def larger_is_better(self) -> bool:
        """Whether larger values of the monitored metric are better."""
        return self.monitor in ("val_iou", "val_maxf")

    def __post_init__(self) -> None:
        choices = {"loss": LOSSES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "precision": PRECISIONS}
        for name, allowed in {**choices, "monitor": MONITORS, "device": DEVICES}.items():
            _check(name, getattr(self, name), getattr(self, name) in allowed, f"one of {', '.join(allowed)}")
        for name in ("batch", "accumulate", "epochs", "lr", "checkpoint_minutes"):
            _check(name, getattr(self, name), getattr(self, name) > 0, "a number above 0")
        for name in (
            *("limit_train", "limit_val", "warmup_steps", "patience", "previews", "max_minutes", "min_lr"),
            *("weight_decay", "clip_norm", "plateau_patience"),
        ):
            _check(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        _check("ema", self.ema, 0 <= self.ema < 1, "0 to below 1")
        _check("keep", self.keep, 0 <= self.keep < 1, "0 to below 1")
        _check("keep", self.keep, self.keep == 0 or bool(self.init), "0 if there is no init")
        _check("size", self.size, 32 <= self.size <= 4096, "32 to 4096")
        _check("seed", self.seed, 0 <= self.seed < 2**32, "0 to 4294967295")
        _check("workers", self.workers, self.workers >= -1, "-1 or more")
        augment = self.augment
        _check("augment.crop", augment.crop, 0.1 <= augment.crop <= 1, "0.1 to 1")
        for name in ("flip", "blur", "jpeg", "background", "jitter"):
            _check(f"augment.{name}", getattr(augment, name), 0 <= getattr(augment, name) <= 1, "0 to 1")
        low, high = augment.scale
        _check("augment.scale", augment.scale, 0.1 <= low <= high <= 10, "two factors, 0.1 to 10, the smaller first")


def load_config(path: Path | None, overrides: Iterable[str] = (), **values: Any) -> TrainConfig:
    """Makes a configuration.

    Args:
        path: A YAML file with some of the fields of `TrainConfig`, or None.
        overrides: "name=value" or "augment.name=value", with values as in YAML; they override the file.
        values: Fields, which override both; those that are None are ignored.

    Raises:
        InputError: A field does not exist or has a value of a wrong type; the message says what is expected.
        UnavailableError: PyYAML is not installed.
    """
    fields: dict[str, Any] = {}
    if path is not None:
        try:
            read = _parsed(path.read_bytes(), path)
        except OSError as error:
            raise InputError(f"{path} could not be read: {error.strerror or error}") from error
        if not isinstance(read, dict):
            raise InputError(f"{path} holds {type(read).__name__}; expected lines such as 'lr: 0.001'")
        fields.update(read)
    for text in overrides:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{text!r} is not a setting; expected name=value, such as lr=0.001 or augment.flip=0")
        group, dot, rest = name.strip().partition(".")
        if dot:
            inner = fields.get(group) or {}
            fields[group] = {**inner, rest: _parsed(value, repr(text))} if isinstance(inner, dict) else inner
        else:
            fields[group] = _parsed(value, repr(text))
    fields.update({name: value for name, value in values.items() if value is not None})
    if "data" not in fields:
        raise InputError("no data: name the folder of a prepared set")
    config: TrainConfig = _build(TrainConfig, fields, "")
    return config


def save_config(config: TrainConfig, path: Path) -> None:
    """Writes a configuration as YAML, completely or not at all. Raises Error if it cannot be written."""
    with atomic_file(path) as file:
        file.write(to_yaml(config).encode())


def to_yaml(config: TrainConfig) -> str:
    """All settings as YAML, which `load_config` reads."""
    values = dataclasses.asdict(config)
    values["augment"]["scale"] = list(values["augment"]["scale"])
    text: str = _yaml().safe_dump(values, sort_keys=False, allow_unicode=True)
    return text


def _parsed(text: str | bytes, name: object) -> Any:
    """The value of YAML."""
    yaml = _yaml()
    try:
        return yaml.safe_load(text)
    except RecursionError as error:
        raise InputError(f"{name} is nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: bytes that are not UTF-8, and dates such as 2001-13-45
        raise InputError(f"{name} is not YAML: {' '.join(str(error).split())}") from error


def _build(kind: Any, fields: Any, prefix: str) -> Any:
    types = get_type_hints(kind)
    if not isinstance(fields, Mapping):
        raise InputError(f"{prefix.rstrip('.')} is {fields!r}; expected settings such as {next(iter(types))}")
    unknown = sorted(set(map(str, fields)) - set(types))
    if unknown:
        raise InputError(f"there is no setting {prefix}{unknown[0]}; expected one of {', '.join(types)}")
    return kind(**{name: _as(types[name], value, prefix + name) for name, value in fields.items()})


def _as(kind: Any, value: Any, name: str) -> Any:
    """Converts a value from YAML to the type of a field."""
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else _build(kind, value or {}, f"{name}.")  # type: ignore[arg-type]
    if get_origin(kind) is tuple and isinstance(value, (list, tuple)) and len(value) == len(get_args(kind)):
        return tuple(_as(item_kind, item, name) for item_kind, item in zip(get_args(kind), value, strict=True))
    if kind is str and isinstance(value, (str, Path)):
        return str(value)
    if kind is bool and isinstance(value, bool):
        return value
    if kind in (int, float) and not isinstance(value, bool):
        try:  # YAML 1.1 reads 1e-3 as text
            number = float(value)
            if math.isfinite(number) and (kind is float or number == int(number)):
                return kind(number)
        except (TypeError, ValueError, OverflowError):
            pass
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    raise InputError(f"{name} is {value!r}; expected {words.get(kind, 'two numbers, such as [0.8, 1.2]')}")


def _check(name: str, value: Any, valid: bool, expected: str) -> None:
    if not valid:
        raise InputError(f"{name} is {value!r}; expected {expected}")


def _yaml() -> Any:
    require("PyYAML")
    import yaml

    return yaml
