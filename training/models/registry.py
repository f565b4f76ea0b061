# SPDX-License-Identifier: Apache-2.0
"""The architectures by name, and their batch normalisation folded for inference."""

from __future__ import annotations

import copy
import itertools
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ...errors import InputError
from .u2net import U2Net, U2NetP
from .unet import UNet

ARCHITECTURES: dict[str, type[U2Net] | type[UNet]] = {"u2net": U2Net, "u2netp": U2NetP, "unet": UNet}
Model = TypeVar("Model", bound=nn.Module)


def build(architecture: str, *, outputs: int | None = None) -> nn.Module:
    """A model with random weights.

    Args:
        architecture: A key of ``ARCHITECTURES``.
        outputs: Number of maps it computes; None: all, as training needs them.

    Raises:
        InputError: There is no such architecture, or it does not have that many outputs.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(f"architecture is {architecture!r}; expected {' or '.join(map(repr, ARCHITECTURES))}")
    return ARCHITECTURES[architecture](**({} if outputs is None else {"outputs": outputs}))


def fold_batch_norm(model: Model) -> Model:
    """A copy of `model` in evaluation mode, each batch normalisation folded into the convolution right before it.

    The outputs are those of ``model.eval()`` up to rounding, and equal if the normalisation is the identity.
    """
    folded = copy.deepcopy(model).eval()
    for parent in folded.modules():
        children = list(parent.named_children())
        for (conv_name, conv), (norm_name, norm) in itertools.pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, norm_name, nn.Identity())
    return folded
