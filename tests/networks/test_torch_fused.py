# SPDX-License-Identifier: Apache-2.0
"""Convolutions merged with their ReLUs: all pairs, the same network; cuDNN's kernel is taken where it is right."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from rmbg_trt.networks.torch_matte import ConvRelu, Matte, choose_fused, merge_relus
from rmbg_trt.training.models import build


def random_network(name: str) -> nn.Module:
    """With batch normalisation that does something."""
    torch.manual_seed(0)
    model = build(name).eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            layer.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    return model


def one_kernel(
    x: Tensor, weight: Tensor, bias: Tensor, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    """What cuDNN's operator computes, in its order of arguments."""
    assert x.dtype == weight.dtype == bias.dtype
    return functional.conv2d(x, weight, bias, stride, padding, dilation, groups).clamp_min(0)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "pairs"), [("u2netp", 112), ("u2net", 112), ("unet", 18)])
def test_every_pair_is_merged_and_nothing_else_changes(name: str, pairs: int) -> None:
    model = random_network(name)
    matte = Matte(model)
    x = torch.randn(1, 3, 40, 56)
    with torch.inference_mode():
        expected = matte(x)
        state = {key: value.clone() for key, value in matte.state_dict().items()}
        assert merge_relus(matte) == pairs
        assert sum(isinstance(layer, ConvRelu) for layer in matte.modules()) == pairs
        assert not any(isinstance(layer, nn.ReLU) for layer in matte.modules())
        torch.testing.assert_close(matte(x), expected, atol=0, rtol=0)
    assert list(matte.state_dict()) == list(state)
    for key, value in matte.state_dict().items():
        torch.testing.assert_close(value, state[key], atol=0, rtol=0)
    assert merge_relus(matte) == 0


def test_where_there_is_no_such_kernel_it_stays_plain() -> None:
    """As on the CPU."""
    matte, x = Matte(random_network("u2netp")), torch.randn(1, 3, 32, 32)
    expected = matte(x)
    assert choose_fused(matte, x) == (0, 112)
    torch.testing.assert_close(matte(x), expected, atol=0, rtol=0)


def test_the_kernel_is_taken_where_it_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def cudnn(x: Tensor, *rest: Any) -> Tensor:
        calls.append(rest)
        if rest[4] == (8, 8):
            raise RuntimeError("GET was unable to find an engine to execute this computation")
        result = one_kernel(x, *rest)
        return result + 1 if rest[4] == (4, 4) else result

    monkeypatch.setattr(torch, "cudnn_convolution_relu", cudnn)
    matte, x = Matte(random_network("u2netp")), torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        expected = matte(x)
        fused, pairs = choose_fused(matte, x)
        layers = [layer for layer in matte.modules() if isinstance(layer, ConvRelu)]
        assert [layer.fused for layer in layers] == [layer.dilation not in ((4, 4), (8, 8)) for layer in layers]
        assert (fused, pairs) == (sum(layer.fused for layer in layers), 112)
        assert 0 < fused < pairs
        calls.clear()
        torch.testing.assert_close(matte(x), expected, atol=1e-6, rtol=0)
    assert len(calls) == fused
    assert not any(layer._forward_pre_hooks for layer in layers)


def test_each_layer_takes_its_input_in_its_own_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "cudnn_convolution_relu", one_kernel)
    matte = Matte(random_network("unet"), torch.float16, keep=["encoder.1.conv1"])
    x = torch.randn(1, 3, 16, 16)
    assert choose_fused(matte, x) == (18, 18)
    kept = matte.model.get_submodule("encoder.1.conv1")
    assert kept.weight.dtype == torch.float32
    assert matte(x).dtype == torch.float32
