# SPDX-License-Identifier: Apache-2.0
"""Pictures in and out: files, bytes and streams to RGB arrays, and results to files that are whole or absent."""

from __future__ import annotations

from .picture import Array, Picture
from .read import DEFAULT_MAX_PIXELS, INPUT_SUFFIXES, lift_pillow_limit, read_picture
from .write import FORMATS, Format, encode_picture, format_of, write_picture

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "FORMATS",
    "INPUT_SUFFIXES",
    "Array",
    "Format",
    "Picture",
    "encode_picture",
    "format_of",
    "lift_pillow_limit",
    "read_picture",
    "write_picture",
]
