# SPDX-License-Identifier: Apache-2.0
"""Selects the images to calibrate and verify an int8 network with: a user's folder, or the package's photographs.

In a folder of eight or more images, every second one is for calibration and the others are for verification, so that a
network that only fits its calibration images fails. Fewer images, and the package's own four, are used for both.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from .. import _core
from ..errors import InputError, ModelError, UnavailableError
from ..files import file_sha256
from ..image import read_image
from ..image.find import images_below
from ..training.data import pair_folders, read_mask, read_pairs, resize_mask
from ..training.data.pairs import TABLE
from .images import SHIPPED, NamedImage
from .to_int8 import Floats

log = logging.getLogger("rmbg_trt.export")

CALIBRATE, VERIFY = 48, 100  # the largest number of images; more only take more time
VARIED = 24  # variations to verify with
MASKS = ("mask", "masks")  # names of folders that hold no photographs
FEW = 8  # below this, all images are used for both, in variations


@dataclass(frozen=True)
class Sample:
    """An image, and its mask if there is one."""

    image: Path
    mask: Path | None = None


@dataclass(frozen=True)
class Samples:
    """The samples to calibrate and verify with, at least one of each."""

    what: str  # description for messages and the sidecar, such as "24 images of photos"
    calibrate: tuple[Sample, ...]
    verify: tuple[Sample, ...]
    varied: bool = False  # use variations, because there are few images; for verification only if they have no masks

    @property
    def to_verify_count(self) -> int:
        """The number of images to verify with, including damaged ones."""
        return max(len(self.verify), VARIED if self.varied and not any(s.mask for s in self.verify) else 0)

    def sha256(self) -> str:
        """The sha256 of all files' contents, in order; unreadable files count as empty."""
        samples = (*self.calibrate, *self.verify)
        files = [file for sample in samples for file in (sample.image, sample.mask) if file]
        return hashlib.sha256("".join(map(_sha256, files)).encode()).hexdigest()

    def inputs(self, size: tuple[int, int]) -> list[Floats]:
        """The network's inputs for calibration: (1, 3, height, width) float32 each, as the engine makes them.

        Raises:
            InputError: None of the images can be read.
        """
        read = (rgb for _, rgb in self._read(self.calibrate))  # one at a time, because photographs may be large
        images = variations(list(read), CALIBRATE, seed=0) if self.varied else read
        return [_core.preprocess(rgb, size, color="rgb") for rgb in images]

    def to_verify(self) -> Iterator[tuple[NamedImage, NDArray[np.uint8] | None]]:
        """The images to verify with, each with its mask at the image's size: (H, W) uint8, or None."""
        if self.to_verify_count > len(self.verify):
            images = [NamedImage(sample.image.name, rgb) for sample, rgb in self._read(self.verify)]
            varied = variations([image.rgb for image in images], self.to_verify_count, seed=1)
            for index, rgb in enumerate(varied):
                yield NamedImage(images[index % len(images)].name, rgb), None
            return
        for sample, rgb in self._read(self.verify):
            truth = None
            if sample.mask is not None:
                try:
                    truth = resize_mask(read_mask(sample.mask), (rgb.shape[0], rgb.shape[1]))
                except (InputError, UnavailableError) as error:
                    log.warning("not used for the verification: %s", error)
                    continue
            yield NamedImage(sample.image.name, rgb), truth

    def _read(self, samples: Sequence[Sample]) -> Iterator[tuple[Sample, NDArray[np.uint8]]]:
        """Reads images; damaged ones are skipped with a warning."""
        any_readable = False
        for sample in samples:
            try:
                pixels = read_image(sample.image).pixels
            except (InputError, UnavailableError) as error:
                log.warning("skipped: %s", error)
                continue
            any_readable = True
            yield sample, np.ascontiguousarray(pixels[:, :, :3])
        if not any_readable:
            raise InputError(f"{self.what}: none can be read (the log has the reasons); give others")


def find_samples(folder: Path | None, verify: Path | None = None) -> Samples:
    """Finds images to calibrate and verify with, without reading them.

    Args:
        folder: A folder with ``images/`` and ``masks/`` of the same names, a prepared set (``rmbg-trt prepare``), or a
            folder of images without masks, searched recursively; None for the package's own four photographs.
        verify: Another such folder for the verification; then all of ``folder`` is for calibration.

    Raises:
        InputError: A folder does not exist or has no images.
    """
    samples = list(map(Sample, images_below(SHIPPED))) if folder is None else _in_folder(folder)
    few = len(samples) < FEW
    calibrate = samples if few or verify else samples[::2]
    others = _in_folder(verify) if verify else samples if few else samples[1::2]
    name = "of the package" if folder is None else f"of {folder.absolute().name}"
    what = f"variations of {len(calibrate)} images" if few else f"{min(len(calibrate), CALIBRATE)} images"
    return Samples(f"{what} {name}", _spread(calibrate, CALIBRATE), _spread(others, VERIFY), varied=few)


def variations(images: Sequence[NDArray[np.uint8]], count: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """The images themselves, then random crops of them: mirrored, darker, lighter, more or less saturated.

    Args:
        images: (H, W, 3) uint8 RGB each.
        count: The number of results.
        seed: Seed of the random numbers; equal seeds give equal results.
    """
    random = np.random.default_rng(seed)
    for index in range(count):
        rgb = images[index % len(images)]
        if index < len(images):
            yield rgb
            continue
        image = Image.fromarray(rgb)
        scale = random.uniform(0.5, 1)
        width, height = (max(1, round(side * scale)) for side in image.size)
        left, top = (int(random.integers(0, free + 1)) for free in (image.width - width, image.height - height))
        image = image.crop((left, top, left + width, top + height))
        if random.random() < 0.5:
            image = ImageOps.mirror(image)
        image = ImageEnhance.Brightness(image).enhance(random.uniform(0.5, 1.4))
        yield np.array(ImageEnhance.Color(image).enhance(random.uniform(0.3, 1.5)))


def _in_folder(folder: Path) -> list[Sample]:
    if not folder.is_dir():
        raise InputError(f"calibration is {str(folder)!r}; expected a folder of photographs")
    if (folder / TABLE).is_file():
        pairs = read_pairs(folder)
    elif (folder / "images").is_dir() and (folder / "masks").is_dir():
        pairs = pair_folders(folder / "images", folder / "masks")
    else:
        samples = list(map(Sample, images_below(folder)))
        if not samples:
            raise InputError(f"there are no images in the folder {folder}; calibration takes photographs")
        parents = (sample.image.parent for sample in samples)
        masks = next((parent for parent in parents if parent.name.lower() in MASKS), None)
        if masks is not None:
            raise InputError(f"{masks} holds masks, not photographs; give {masks.parent} with images/ and masks/ in it")
        return samples
    complete = [Sample(pair.image, pair.mask) for pair in pairs if pair.image.is_file() and pair.mask.is_file()]
    if not complete:
        raise InputError(f"{folder}: none of its images has a mask of the same name")
    if len(complete) < len(pairs):
        log.warning("%s: %d images without a mask are skipped", folder, len(pairs) - len(complete))
    return complete


def _sha256(file: Path) -> str:
    try:
        return file_sha256(file)
    except ModelError:  # it will be skipped
        return ""


def _spread(samples: Sequence[Sample], most: int) -> tuple[Sample, ...]:
    """At most ``most`` samples, evenly spaced, because folders are often sorted by scene."""
    count = min(most, len(samples))
    return tuple(samples[index * len(samples) // count] for index in range(count))
