# SPDX-License-Identifier: Apache-2.0
"""The exceptions of rmbg_trt. The C++ core raises them too (csrc/bindings/module.cpp)."""

from __future__ import annotations


class Error(Exception):
    """Base of every error that rmbg_trt raises on purpose."""


class InputError(Error, ValueError):
    """A frame, a file or an option is not what it should be."""


class ModelError(Error):
    """A model file is damaged, truncated, of the wrong version, or not an image-to-matte network."""


class NetworkError(Error):
    """The network failed while it ran."""


class UnavailableError(Error):
    """A runtime, device or optional package is not here; the message says what to install."""


class CudaError(Error):
    """A CUDA call failed."""
