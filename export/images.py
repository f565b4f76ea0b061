# SPDX-License-Identifier: Apache-2.0
"""The images that an export is verified with, and the network input made from them.

Four photographs come with the package (``photographs/README.md`` lists their origin). Users who trained a model for
something special verify it better with their own.
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
class NamedImage:
    """An image to verify with."""

    name: str  # for messages: its path below the folder
    rgb: NDArray[np.uint8]  # (H, W, 3), C-contiguous


def load_images(folder: Path | None, limit: int = 16) -> list[NamedImage]:
    """Reads images. Damaged ones are skipped with a warning.

    Args:
        folder: A folder, searched recursively in sorted order, or one file; None for the photographs of the package.
        limit: The largest number of images; the first readable ones are taken.

    Raises:
        InputError: The path does not exist, or holds no readable image.
    """
    place = SHIPPED if folder is None else folder
    images = list(itertools.islice(_readable(place), limit))
    if not images:
        raise InputError(f"none of the images in {place} can be read (the log has the reasons); give others")
    return images


def input_tensor(images: Sequence[NamedImage], height: int, width: int) -> NDArray[np.float32]:
    """The network's input, as the engine makes it: (N, 3, height, width) float32, RGB, normalised."""
    return np.concatenate([_core.preprocess(image.rgb, (height, width), color="rgb") for image in images])


def _readable(place: Path) -> Iterator[NamedImage]:
    for found in find_images([place]):
        name = found.path.relative_to(found.root).as_posix() if found.root else found.path.name
        try:
            pixels = read_image(found.path).pixels
        except (InputError, UnavailableError) as error:
            log.warning("not used for the verification: %s", error)
            continue
        yield NamedImage(name, np.ascontiguousarray(pixels[:, :, :3]))
