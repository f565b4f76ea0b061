# SPDX-License-Identifier: Apache-2.0
"""The architectures by name."""

from __future__ import annotations

from torch import nn

from ...errors import InputError
from .u2net import U2Net, U2NetP
from .unet import UNet

ARCHITECTURES: dict[str, type[U2Net] | type[UNet]] = {"u2net": U2Net, "u2netp": U2NetP, "unet": UNet}


def build(architecture: str, *, outputs: int | None = None) -> nn.Module:
    """A model with random weights.

    Args:
        architecture: A key of ``ARCHITECTURES``.
        outputs: Maps it computes; None: all it has, as training wants it.

    Raises:
        InputError: There is no such architecture, or it has not that many outputs.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(f"architecture is {architecture!r}; expected {' or '.join(map(repr, ARCHITECTURES))}")
    return ARCHITECTURES[architecture](**({} if outputs is None else {"outputs": outputs}))
