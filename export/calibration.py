# SPDX-License-Identifier: Apache-2.0
"""The pictures that an int8 network is calibrated and verified with: a user's folder, or the package's photographs.

Of a folder of eight or more every second picture is calibrated with, and the others are verified with: a network that
was only fitted to the pictures it is judged on is found out. Fewer, and the package's own four, are used for both.
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
from .pictures import SHIPPED, Picture
from .to_int8 import Floats

log = logging.getLogger("rmbg_trt.export")

CALIBRATE, VERIFY = 48, 100  # the most pictures taken; more change nothing but the time
VARIED = 24  # variations to verify with
MASKS = ("mask", "masks")  # folders whose pictures are none to calibrate with
FEW = 8  # fewer are all used for both, in variations


@dataclass(frozen=True)
class Sample:
    """A picture, and its mask where there is one."""

    image: Path
    mask: Path | None = None


@dataclass(frozen=True)
class Samples:
    """What to calibrate and verify with.

    Attributes:
        what: For people, such as "24 pictures of photos".
        calibrate: At least one.
        verify: At least one.
        varied: Take variations of the pictures, because they are few; to verify, only of pictures without masks.
    """

    what: str
    calibrate: tuple[Sample, ...]
    verify: tuple[Sample, ...]
    varied: bool = False

    @property
    def to_verify_count(self) -> int:
        """How many pictures there are to verify with, those that turn out damaged included."""
        return max(len(self.verify), VARIED if self.varied and not any(each.mask for each in self.verify) else 0)

    def sha256(self) -> str:
        """Of the content of all files, in their order; those that cannot be read count as empty."""
        files = [file for each in (*self.calibrate, *self.verify) for file in (each.image, each.mask) if file]
        return hashlib.sha256("".join(map(_sha256, files)).encode()).hexdigest()

    def inputs(self, size: tuple[int, int]) -> list[Floats]:
        """The network's inputs to calibrate with: (1, 3, height, width) float32 each, as the engine makes them.

        Raises:
            InputError: None of the pictures can be read.
        """
        read = (rgb for _, rgb in self._read(self.calibrate))  # photographs may be large: one at a time
        pictures = variations(list(read), CALIBRATE, seed=0) if self.varied else read
        return [_core.preprocess(rgb, size, color="rgb") for rgb in pictures]

    def to_verify(self) -> Iterator[tuple[Picture, NDArray[np.uint8] | None]]:
        """The pictures to verify with, each with its mask at its size: (H, W) uint8, or None."""
        if self.to_verify_count > len(self.verify):
            pictures = [Picture(sample.image.name, rgb) for sample, rgb in self._read(self.verify)]
            varied = variations([each.rgb for each in pictures], self.to_verify_count, seed=1)
            for index, rgb in enumerate(varied):
                yield Picture(pictures[index % len(pictures)].name, rgb), None
            return
        for sample, rgb in self._read(self.verify):
            truth = None
            if sample.mask is not None:
                try:
                    truth = resize_mask(read_mask(sample.mask), (rgb.shape[0], rgb.shape[1]))
                except (InputError, UnavailableError) as error:
                    log.warning("not verified with: %s", error)
                    continue
            yield Picture(sample.image.name, rgb), truth

    def _read(self, samples: Sequence[Sample]) -> Iterator[tuple[Sample, NDArray[np.uint8]]]:
        """Damaged pictures are left out with a warning in the log."""
        some = False
        for sample in samples:
            try:
                pixels = read_image(sample.image).pixels
            except (InputError, UnavailableError) as error:
                log.warning("left out: %s", error)
                continue
            some = True
            yield sample, np.ascontiguousarray(pixels[:, :, :3])
        if not some:
            raise InputError(f"{self.what}: none can be read (the log has the reasons); give others")


def find_samples(folder: Path | None, verify: Path | None = None) -> Samples:
    """Finds pictures to calibrate and verify with; none is read yet.

    Args:
        folder: One with ``images/`` and ``masks/`` of the same names, a prepared set (``rmbg-trt prepare``), or one
            with pictures only, searched through all levels; None for the package's own four photographs.
        verify: Another such folder to verify with, so that all of the first are for calibrating.

    Raises:
        InputError: There is no such folder, or nothing in it.
    """
    found = list(map(Sample, images_below(SHIPPED))) if folder is None else _in_folder(folder)
    few = len(found) < FEW
    calibrate = found if few or verify else found[::2]
    others = _in_folder(verify) if verify else found if few else found[1::2]
    name = "of the package" if folder is None else f"of {folder.absolute().name}"
    what = f"variations of {len(calibrate)} pictures" if few else f"{min(len(calibrate), CALIBRATE)} pictures"
    return Samples(f"{what} {name}", _spread(calibrate, CALIBRATE), _spread(others, VERIFY), varied=few)


def variations(pictures: Sequence[NDArray[np.uint8]], count: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """More pictures of a few: the pictures themselves, then parts of them, mirrored, darker, lighter, paler.

    Args:
        pictures: (H, W, 3) uint8 RGB each.
        count: How many.
        seed: The same one gives the same pictures.
    """
    random = np.random.default_rng(seed)
    for index in range(count):
        rgb = pictures[index % len(pictures)]
        if index < len(pictures):
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
        pictures = list(map(Sample, images_below(folder)))
        if not pictures:
            raise InputError(f"there are no pictures in the folder {folder}; calibration takes photographs")
        masks = next((each.image.parent for each in pictures if each.image.parent.name.lower() in MASKS), None)
        if masks is not None:
            raise InputError(f"{masks} holds masks, not photographs; give {masks.parent} with images/ and masks/ in it")
        return pictures
    whole = [Sample(pair.image, pair.mask) for pair in pairs if pair.image.is_file() and pair.mask.is_file()]
    if not whole:
        raise InputError(f"{folder}: none of its pictures has a mask of the same name beside it")
    if len(whole) < len(pairs):
        log.warning("%s: %d pictures without a mask are left out", folder, len(pairs) - len(whole))
    return whole


def _sha256(file: Path) -> str:
    try:
        return file_sha256(file)
    except ModelError:  # it will be left out
        return ""


def _spread(samples: Sequence[Sample], most: int) -> tuple[Sample, ...]:
    """At most so many, evenly over all: folders are often sorted by scene."""
    count = min(most, len(samples))
    return tuple(samples[index * len(samples) // count] for index in range(count))
