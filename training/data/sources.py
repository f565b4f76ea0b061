# SPDX-License-Identifier: Apache-2.0
"""One reader per dataset: which image belongs to which mask, in the layout in which the dataset is published.

A dataset's own validation and test images keep their split. If it lacks one of these, images are drawn from its
training images; if it has no splits, all three are drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ...errors import InputError
from .files import File, list_images, list_shard

ANY = ("train", "val", "test")
_MASK_ENDINGS = ("_mask", "-mask", "_matte", "-matte", "_alpha", "-alpha", "_gt", "-gt")


@dataclass(frozen=True)
class Found:
    """An image and its mask in a dataset."""

    image: File
    mask: File
    category: str  # of the dataset, such as "p3m"
    splits: tuple[str, ...]  # those it may go to: one, or several of which one is drawn


@dataclass(frozen=True)
class Rejected:
    """A file that is skipped, and why."""

    file: str  # usually the image
    category: str  # of the dataset
    kind: str  # a short phrase that is counted, such as "image without mask"
    reason: str  # a sentence


@dataclass
class Listing:
    """What a reader found."""

    pairs: list[Found] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def match(
        self,
        images: Mapping[str, list[File]],
        masks: Mapping[str, list[File]],
        category: str,
        splits: tuple[str, ...],
        mask_key: Callable[[str], str] = lambda key: key,
    ) -> None:
        """Adds the images and masks whose names agree as pairs.

        Args:
            images: Images by name; two files with one name ("a.jpg", "a.png") are both rejected.
            masks: Masks by name.
            category: Of the pairs.
            splits: Of the pairs.
            mask_key: Returns the name of an image's mask.
        """
        unused = dict(masks)
        for key, files in images.items():
            partners = unused.pop(mask_key(key), [])
            if len(files) == 1 and len(partners) == 1:
                self.pairs.append(Found(files[0], partners[0], category, splits))
            elif not partners:
                self._reject(files, category, "image without mask", "there is no mask of its name")
            else:
                names = ", ".join(Path(str(file)).name for file in (*files, *partners))
                self._reject(files, category, "ambiguous name", f"several files share its name: {names}")
        for files in unused.values():
            self._reject(files, category, "mask without image", "there is no image of its name")

    def _reject(self, files: Iterable[File], category: str, kind: str, reason: str) -> None:
        self.rejected += [Rejected(str(file), category, kind, reason) for file in files]


def read_p3m(folder: Path, category: str = "p3m") -> Listing:
    """P3M-10k: ``train`` (with blurred faces), and the published ``P3M-500-NP`` for validation."""
    layout = "train/{blurred_image,mask} and validation/P3M-500-NP/{original_image,mask}"
    train = _find(folder, "train/blurred_image", "train/mask")
    val = _find(folder, "P3M-500-NP/original_image", "P3M-500-NP/mask") or _find(
        folder, "validation/P3M-500-NP/original_image", "validation/P3M-500-NP/mask"
    )
    return _read("P3M-10k", folder, category, layout, [(train, ("train", "test")), (val, ("val",))])


def read_cod10k(folder: Path, category: str = "cod10k") -> Listing:
    """COD10K-v3: ``Train``, and ``Test`` for the test."""
    train, test = (_find(folder, f"{part}/Image", f"{part}/GT_Object") for part in ("Train", "Test"))
    layout = "{Train,Test}/{Image,GT_Object}"
    return _read("COD10K-v3", folder, category, layout, [(train, ("train", "val")), (test, ("test",))])


def read_people(folder: Path, category: str = "people") -> Listing:
    """People Segmentation: ``images`` and ``masks``; its folder ``segmentation`` (lists of names) is ignored."""
    found = _find(folder, "images", "masks")
    return _read("People Segmentation", folder, category, "images and masks", [(found, ANY)])


def read_aisegment(folder: Path, category: str = "aisegment") -> Listing:
    """AISegment: ``clip_img/ID/clip_N/x.jpg`` with its alpha in ``matting/ID/matting_N/x.png``."""
    layout = "clip_img/**.jpg and matting/**.png"
    found = _find(folder, "clip_img", "matting")
    mask_key = partial(re.sub, "(^|/)clip_", r"\1matting_")
    return _read("AISegment", folder, category, layout, [(found, ANY)], mask_key)


def read_duts(folder: Path, category: str = "duts") -> Listing:
    """DUTS: ``DUTS-TR``, and ``DUTS-TE`` for the test; or shards of it, see `read_shards`."""
    if folder.is_dir() and any(folder.glob("*.tar")):
        return read_shards(folder, category)
    found = []
    for part, splits in (("DUTS-TR", ("train", "val")), ("DUTS-TE", ("test",))):
        names = (f"{part}-Image", f"{part}-Mask")
        found.append((_find(folder, *names) or _find(folder, *(f"{part}/{name}" for name in names)), splits))
    layout = "DUTS-TR/{DUTS-TR-Image,DUTS-TR-Mask}, DUTS-TE/{DUTS-TE-Image,DUTS-TE-Mask}, or *.tar"
    return _read("DUTS", folder, category, layout, found)


def read_pairs_of_folders(images: Path, masks: Path, category: str = "pairs", splits: tuple[str, ...] = ANY) -> Listing:
    """Two folders: ``a/b.jpg`` in one goes with ``a/b.png``, ``a/b_mask.png`` or the like in the other."""
    for folder in (images, masks):
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}")
    found = list_images(images)
    partners: dict[str, list[File]] = {}
    for key, files in list_images(masks).items():
        ending = next((ending for ending in _MASK_ENDINGS if key.endswith(ending)), "")
        short = key.removesuffix(ending)
        partners.setdefault(short if key not in found and short in found else key, []).extend(files)
    return _listing([(found, partners, splits)], category, f"{images} and {masks}", "images in both")


def read_shards(folder: Path, category: str = "shards") -> Listing:
    """Uncompressed tars with ``images/x.webp`` and ``masks/x.png``; ``train-0.tar`` and ``val.tar`` name the split.

    ``folder`` may also be one tar. A split that no tar is named after is drawn from those named "train".
    """
    shards = [folder] if folder.is_file() else sorted(folder.glob("*.tar"))
    given = {shard: next((split for split in ANY if shard.name.startswith(split)), None) for shard in shards}
    lacking = tuple(split for split in ANY[1:] if split not in given.values())
    free: dict[str | None, tuple[str, ...]] = {None: ANY, "train": ("train", *lacking)}
    parts = [
        (list_shard(shard, "images"), list_shard(shard, "masks"), free.get(split, (split or "",)))
        for shard, split in given.items()
    ]
    return _listing(parts, category, str(folder), "*.tar with images/ and masks/ inside")


_Part = tuple[Mapping[str, list[File]], Mapping[str, list[File]], tuple[str, ...]]


def _find(folder: Path, images: str, masks: str) -> tuple[Path, Path] | None:
    """Two folders in ``folder``, or in one of its subfolders, as archives often add one with their own name."""
    try:
        subfolders = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise InputError(f"{folder} could not be listed: {error.strerror or error}") from error
    for root in (folder, *subfolders):
        if (root / images).is_dir() and (root / masks).is_dir():
            return root / images, root / masks
    return None


def _read(
    name: str,
    folder: Path,
    category: str,
    layout: str,
    found: Sequence[tuple[tuple[Path, Path] | None, tuple[str, ...]]],
    mask_key: Callable[[str], str] = lambda key: key,
) -> Listing:
    parts = [(list_images(folders[0]), list_images(folders[1]), splits) for folders, splits in found if folders]
    if not parts:
        raise InputError(f"{folder} does not have the layout of {name}: looked for {layout}, there or one folder below")
    return _listing(parts, category, str(folder), layout, mask_key)


def _listing(
    parts: Iterable[_Part],
    category: str,
    where: str,
    layout: str,
    mask_key: Callable[[str], str] = lambda key: key,
) -> Listing:
    listing = Listing()
    for images, masks, splits in parts:
        listing.match(images, masks, category, splits, mask_key)
    if not listing.pairs and not listing.rejected:
        raise InputError(f"{where}: there are no images; looked for {layout}")
    return listing
