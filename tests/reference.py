# SPDX-License-Identifier: Apache-2.0
"""Independent oracles: the reference recipe with Pillow, NumPy in double and ONNX Runtime, and real photographs.

Nothing here calls rmbg_trt. Sizes are (height, width) everywhere, as in the package.
"""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from tests.shared import once

Bytes = NDArray[np.uint8]

FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
}
# Four channels as CMYK: Pillow resizes RGBA premultiplied, and here each channel is resized alone.
MODES = {1: "L", 3: "RGB", 4: "CMYK"}

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])


def channels(image: Bytes) -> int:
    return 1 if image.ndim == 2 else image.shape[2]


def to_pil(image: Bytes) -> Image.Image:
    height, width = image.shape[:2]
    return Image.frombytes(MODES[channels(image)], (width, height), np.ascontiguousarray(image).tobytes())


def resize(image: Bytes, size: tuple[int, int], filter: str = "lanczos") -> Bytes:
    """Pillow's resize of (H, W), (H, W, 3) or (H, W, 4)."""
    return np.asarray(to_pil(image).resize((size[1], size[0]), FILTERS[filter]))


def to_rgb(frame: Bytes, color: str) -> Bytes:
    """The colors of a frame in the order red, green, blue; gray is repeated, alpha is left out."""
    if channels(frame) == 1:
        return np.repeat(frame.reshape(*frame.shape[:2], 1), 3, axis=2)
    rgb = frame[:, :, :3] if color == "rgb" else frame[:, :, 2::-1]
    return np.ascontiguousarray(rgb)


def input_tensor(rgb: Bytes, size: tuple[int, int], filter: str = "lanczos") -> NDArray[np.float32]:
    """The network's input (1, 3, height, width): in double, rounded once at the end."""
    small = resize(rgb, size, filter).astype(np.float64)
    unit = small / max(small.max(), 1e-6)
    normal = (unit - IMAGENET_MEAN) / IMAGENET_STD
    return normal.transpose(2, 0, 1)[np.newaxis].astype(np.float32)


def matte(prediction: NDArray[np.float32], stretch: str = "minmax") -> Bytes:
    """A prediction (h, w) as truncated bytes; a constant one is all zero."""
    low, high = (prediction.min(), prediction.max()) if stretch == "minmax" else (np.float32(0), np.float32(1))
    if not high > low:
        return np.zeros(prediction.shape, np.uint8)
    return (((prediction - low) / (high - low)).clip(0, 1) * 255).astype(np.uint8)


def alpha(
    prediction: NDArray[np.float32], size: tuple[int, int], filter: str = "lanczos", stretch: str = "minmax"
) -> Bytes:
    return resize(matte(prediction, stretch), size, filter)


def multiply(a: Bytes, b: Bytes) -> Bytes:
    """Product of bytes as shares of 255, rounded: Pillow's own premultiplication."""
    pairs = Image.merge("LA", [Image.fromarray(np.ascontiguousarray(a)), Image.fromarray(np.ascontiguousarray(b))])
    return np.asarray(pairs.convert("RGBA").convert("RGBa"))[:, :, 0]


def over(front: Bytes, back: Bytes, mask: Bytes) -> Bytes:
    """(H, W, 3) over (H, W, 3) through (H, W)."""
    return np.asarray(Image.composite(to_pil(front), to_pil(back), to_pil(mask)))


def blur(image: Bytes, sigma: float) -> Bytes:
    """Pillow's Gaussian blur of the colors, (H, W, 3)."""
    colors = image[:, :, :3] if image.ndim == 3 else np.stack([image] * 3, axis=2)
    return np.asarray(to_pil(colors).filter(ImageFilter.GaussianBlur(sigma)))


@lru_cache(maxsize=2)
def session(model: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])


def predict(model: Path, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """ONNX Runtime's first output as (h, w)."""
    net = session(model)
    first = net.run([net.get_outputs()[0].name], {net.get_inputs()[0].name: tensor})[0]
    return first.reshape(first.shape[-2:])


def model_alpha(model: Path, rgb: Bytes, size: tuple[int, int] = (320, 320)) -> Bytes:
    """The whole recipe in fp32."""
    return alpha(predict(model, input_tensor(rgb, size)), rgb.shape[:2])


def iou(a: Bytes, b: Bytes, borderline: int = 0) -> float:
    """Of the two foregrounds, alpha at least one half. Pixels closer to it than `borderline` in b do not count."""
    counts = np.abs(b.astype(int) - 127.5) >= borderline
    front_a, front_b = (a >= 128) & counts, (b >= 128) & counts
    union = np.count_nonzero(front_a | front_b)
    return np.count_nonzero(front_a & front_b) / union if union else 1.0


# Photographs that travel in scikit-image's wheel: landscape, square, portrait, and dark ones, whose maximum is
# far below 255 (an error in the division by the maximum shows only there).
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket", "astronaut dark", "coffee portrait", "chelsea portrait dark")


@lru_cache
def photograph(name: str) -> Bytes:
    """(H, W, 3) uint8 RGB, read-only."""
    spec = importlib.util.find_spec("skimage")
    assert spec is not None, "the photographs come with scikit-image"
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / "data"
    file, *changes = name.split()
    image = np.asarray(Image.open(next(folder.glob(f"{file}.*"))).convert("RGB"))
    if "portrait" in changes:
        image = np.rot90(image)
    if "dark" in changes:
        image = (image * 0.3).astype(np.uint8)
    image = np.ascontiguousarray(image)
    image.flags.writeable = False
    return image


@lru_cache
def _digest(model: Path) -> str:
    return hashlib.sha256(model.read_bytes()).hexdigest()[:16]


@lru_cache(maxsize=64)
def photograph_alpha(model: Path, name: str) -> Bytes:
    """The recipe's alpha of a photograph; computed once for all tests that compare with it, in any process."""
    made = once(
        f"{_digest(model)}-{name}.png".replace(" ", "-"),
        lambda path: Image.fromarray(model_alpha(model, photograph(name))).save(path, "png"),
    )
    return np.asarray(Image.open(made))
