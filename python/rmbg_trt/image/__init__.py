# SPDX-License-Identifier: Apache-2.0
"""Image files: reads them into RGB arrays, and writes results to files that are either complete or absent."""

from __future__ import annotations

from .convert import Array, LoadedImage
from .profile import convert_color, convert_pixels
from .read import (
    DEFAULT_MAX_PIXELS,
    INPUT_SUFFIXES,
    Source,
    check_image,
    lift_pillow_limit,
    load_pil,
    read_image,
    read_pil_image,
)
from .write import (
    FORMATS,
    Format,
    check_format,
    clear_transparent_color,
    encode_image,
    format_of,
    to_pil,
    write_image,
)

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "FORMATS",
    "INPUT_SUFFIXES",
    "Array",
    "Format",
    "LoadedImage",
    "Source",
    "check_format",
    "check_image",
    "clear_transparent_color",
    "convert_color",
    "convert_pixels",
    "encode_image",
    "format_of",
    "lift_pillow_limit",
    "load_pil",
    "read_image",
    "read_pil_image",
    "to_pil",
    "write_image",
]
