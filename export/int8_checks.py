# SPDX-License-Identifier: Apache-2.0
"""Checks whether an int8 network is good enough: its mattes against masks, or against those of the fp32 network."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .. import _core
from ..errors import ModelError
from ..training.metrics import iou
from .images import NamedImage
from .predict import Predict
from .verify import recipe_alpha

MAX_LOSS = 0.005
"""The largest loss of mean IoU with masks."""

MIN_AGREEMENT = 0.98
"""The smallest mean IoU of int8's mattes with fp32's, which replace missing masks. Pixels that fp32 is undecided about
(alpha 64 to 191) do not count: chance decides on which side of one half they fall, and difficult images have many of
them. U²-Net within ``MAX_LOSS`` has 0.99 and more, a collapsed one 0.65."""


@dataclass(frozen=True)
class Int8Check:
    """Figures of int8 against fp32. IoU is that of alpha >= 128, averaged over the images.

    The names of the fields are the keys of the sidecar's JSON.
    """

    images: int  # number of images
    masks: bool  # whether there were masks; else fp32's mattes replace them
    iou_fp32: float  # fp32 with the masks; 1 without masks
    iou: float  # int8 with the masks, or with fp32's mattes where they are decided
    mean_alpha: float  # mean difference of alpha between the two, 0 to 255
    worst_image: str  # the image with the largest loss
    fp32_ms: float = 0.0  # median time of the fp32 network, interleaved with the other; 0 if not measured
    int8_ms: float = 0.0  # median time of the int8 network

    @property
    def loss(self) -> float:
        """The loss of IoU; negative if int8 is better."""
        return self.iou_fp32 - self.iou

    @property
    def share_of_time(self) -> float:
        """int8's time / fp32's time, on the processor that the model was made on; 0 if unknown."""
        return self.int8_ms / self.fp32_ms if self.fp32_ms else 0.0

    @property
    def passed(self) -> bool:
        """Whether the loss is small enough."""
        return self.loss <= (MAX_LOSS if self.masks else 1 - MIN_AGREEMENT)

    def failures(self) -> list[str]:
        """What failed, a sentence each; empty if it passed."""
        if self.passed:
            return []
        bound = f"at most {MAX_LOSS:g}" if self.masks else f"at most {1 - MIN_AGREEMENT:g} without masks"
        return [f"int8 loses {self.loss:.4f} of IoU ({self}; most on {self.worst_image}); expected {bound}"]

    def __str__(self) -> str:
        speed = f"; {self.share_of_time:.2f} of fp32's network time" if self.fp32_ms else ""
        if self.masks:
            return f"IoU {self.iou:.4f}, fp32 {self.iou_fp32:.4f}, on {self.images} images with masks{speed}"
        return f"IoU {self.iou:.4f} with fp32's mattes on {self.images} images{speed}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"what": "fp32 and int8", **dataclasses.asdict(self), "passed": self.passed}


def check_of(figures: dict[str, Any]) -> Int8Check:
    """The inverse of ``to_dict``; older figures may lack the times. Raises KeyError if another field is missing."""
    fields = dataclasses.fields(Int8Check)
    names = [field.name for field in fields if field.default is dataclasses.MISSING or field.name in figures]
    return Int8Check(**{name: figures[name] for name in names})


def check_int8(
    fp32: Predict,
    int8: Predict,
    images: Iterable[tuple[NamedImage, NDArray[np.uint8] | None]],
    size: tuple[int, int],
    step: Callable[[], None] = lambda: None,
) -> Int8Check:
    """Compares two networks through the whole recipe, from the image to alpha at its size.

    Args:
        fp32: The network before quantisation.
        int8: The network after it.
        images: All with masks (H, W) uint8, or all without.
        size: (height, width) of the networks' input.
        step: Called after each image.

    Raises:
        ModelError: There is no image, or a network gives NaN or Inf.
    """
    before, after, differences, names, masks = [], [], [], [], False
    runs = (fp32, int8)
    times_ms: tuple[list[float], list[float]] = ([], [])
    for index, (image, truth) in enumerate(images):
        x = _core.preprocess(image.rgb, size, color="rgb")
        mattes = {}
        for which in (1, 0) if index % 2 else (0, 1):  # so that neither always runs with cold caches
            mattes[which] = recipe_matte(_timed(runs[which], x, times_ms[which]), image)
        expected, got = mattes[0], mattes[1]
        masks = masks or truth is not None
        before.append(1.0 if truth is None else iou(expected, truth))
        after.append(agreement(got, expected) if truth is None else iou(got, truth))
        differences.append(float(np.abs(got.astype(np.int16) - expected).mean()))
        names.append(image.name)
        step()
    if not names:
        raise ModelError("int8 could not be verified: there is no readable image; give others")
    worst = names[int(np.argmax(np.subtract(before, after)))]
    mean_before, mean_after, mean_alpha = (float(np.mean(values)) for values in (before, after, differences))
    return Int8Check(len(names), masks, mean_before, mean_after, mean_alpha, worst, *map(_median, times_ms))


def _timed(run: Predict, x: NDArray[np.float32], into: list[float]) -> NDArray[np.float32]:
    began = time.perf_counter()
    result = run(x)
    into.append(1e3 * (time.perf_counter() - began))
    return result


def _median(times_ms: list[float]) -> float:
    """The median without the first time, which had cold caches; 0 if there is no other."""
    return round(float(np.median(times_ms[1:])), 3) if len(times_ms) > 1 else 0.0


def agreement(alpha: NDArray[np.uint8], expected: NDArray[np.uint8], margin: int = 64) -> float:
    """IoU of two alphas, without the pixels whose expected alpha is within ``margin`` of one half: undecided ones."""
    decided = (expected < 128 - margin) | (expected >= 128 + margin)
    return iou(decided & (alpha >= 128), decided & (expected >= 128))


def recipe_matte(probability: NDArray[np.float32], image: NamedImage) -> NDArray[np.uint8]:
    """The recipe's alpha at the image's size."""
    if not np.isfinite(probability).all():
        raise ModelError(f"the network gives NaN or Inf on {image.name}; its weights are broken")
    height, width = image.rgb.shape[:2]
    alpha = Image.fromarray(recipe_alpha(probability.reshape(probability.shape[-2:])))
    return np.asarray(alpha.resize((width, height), Image.Resampling.LANCZOS))
