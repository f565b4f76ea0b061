# SPDX-License-Identifier: Apache-2.0
"""The photographs that exports are verified on, and the network's input made from them.

Four come with the package (``photographs/README.md`` has their origin); the user's own are better for a model
that was trained on something special.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..errors import InputError, UnavailableError
from ..image import read_image
from ..image.find import find_images

log = logging.getLogger("rmbg_trt.export")

SHIPPED = Path(__file__).parent / "photographs"


@dataclass(frozen=True)
class Picture:
    """A photograph to verify with.

    Attributes:
        name: For messages: its path below the folder that was given.
        rgb: (H, W, 3) uint8, C-contiguous.
    """

    name: str
    rgb: NDArray[np.uint8]


def load_pictures(folder: Path | None, limit: int = 16) -> list[Picture]:
    """Reads photographs. Files that are no pictures, or damaged ones, are left out with a warning in the log.

    Args:
        folder: A folder, searched through all levels in sorted order, or one file; None for the shipped ones.
        limit: The most that are taken, the first ones that can be read.

    Raises:
        InputError: There is nothing at the path, or no picture that can be read.
    """
    place = SHIPPED if folder is None else folder
    pictures = list(itertools.islice(_readable(place), limit))
    if not pictures:
        raise InputError(f"none of the pictures in {place} can be read (the log has the reasons); give others")
    return pictures


def input_tensor(pictures: Sequence[Picture], height: int, width: int) -> NDArray[np.float32]:
    """The network's input, as the engine makes it: (N, 3, height, width) float32, RGB, normalised."""
    return np.concatenate([_core.preprocess(each.rgb, (height, width), color="rgb") for each in pictures])


def _readable(place: Path) -> Iterator[Picture]:
    for found in find_images([place]):
        name = found.path.relative_to(found.root).as_posix() if found.root else found.path.name
        try:
            pixels = read_image(found.path).pixels
        except (InputError, UnavailableError) as error:
            log.warning("not verified with: %s", error)
            continue
        yield Picture(name, np.ascontiguousarray(pixels[:, :, :3]))
