# SPDX-License-Identifier: Apache-2.0
"""Image files: reads them into RGB arrays, and writes results to files that are either complete or absent."""

from __future__ import annotations

from .read import (
    DEFAULT_MAX_PIXELS,
    INPUT_SUFFIXES,
    Array,
    LoadedImage,
    Source,
    lift_pillow_limit,
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
    "clear_transparent_color",
    "encode_image",
    "format_of",
    "lift_pillow_limit",
    "read_image",
    "read_pil_image",
    "write_image",
]
