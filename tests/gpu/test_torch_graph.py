# SPDX-License-Identifier: Apache-2.0
"""A random u2netp captured by PyTorch, against the same network called eagerly. Needs no weights, ONNX or OpenVINO."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tests.gpu import gpu_networks as gpu

from rmbg_trt import _core

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    names = [str(each["name"]) for each in _core.cuda_devices()]
    if os.environ.get("RMBG_FAIL_WITHOUT_CUDA") == "1" and names and names[0] != "CPU stand-in":
        pytest.fail(f"RMBG_FAIL_WITHOUT_CUDA=1 and {names[0]} is here, but PyTorch finds no GPU", pytrace=False)
    pytest.skip("this PyTorch has no GPU", allow_module_level=True)

from rmbg_trt.export.images import input_tensor, load_images  # noqa: E402
from rmbg_trt.networks import torch as torch_network  # noqa: E402
from rmbg_trt.networks.torch_tuning import cudnn_switches  # noqa: E402
from rmbg_trt.runtimes.request import Request  # noqa: E402
from rmbg_trt.training.models import ModelConfig, build, save_checkpoint  # noqa: E402

SIZE = (96, 128)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = build("u2netp").eval()
    with torch.inference_mode():
        logits = model(torch.from_numpy(input_tensor(load_images(None, 1), *SIZE)))[0]
    with torch.no_grad():  # an untrained network predicts nearly the same everywhere, which would hide mistakes
        scale = 2 / float(logits.std())
        model.outconv.weight.mul_(scale)
        model.outconv.bias.sub_(float(logits.mean())).mul_(scale)
    path: Path = tmp_path_factory.mktemp("torch") / "u2netp.safetensors"
    save_checkpoint(model, ModelConfig("u2netp", 7, SIZE), path)
    return path


def poison() -> None:
    """Leaves NaN in the memory that PyTorch hands out next: a kernel that reads what it should not shows it."""
    torch.full((64 << 20,), float("nan"), device="cuda")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_graph_is_the_eager_network(checkpoint: Path, precision: str) -> None:
    opened = torch_network.open(checkpoint, Request(precision, None, 2, device_index=0))
    print(opened.reason)
    pipeline = _core.Pipeline(opened.networks, device=0, stretch="fixed")
    rng = np.random.default_rng(0)
    model, _ = torch_network.read_model(checkpoint)
    cpu = model.eval()
    for number in range(6):
        poison()
        frame = gpu.random_frame(rng, 77 + number % 2, 91, 3)
        got = gpu.run(pipeline, frame, "alpha").astype(int)
        x = torch.from_numpy(_core.preprocess(frame, SIZE))
        with torch.inference_mode():
            prediction = cpu(x)[0].sigmoid()[0, 0].numpy()
        reference = gpu.fakes.known(prediction)
        expected = gpu.run(_core.Pipeline([reference], stretch="fixed"), frame, "alpha").astype(int)
        assert np.abs(got - expected).mean() <= (0.05 if precision == "fp32" else 0.5), f"frame {number}"
    assert set(pipeline.modes()) == {"graph"}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_replay_and_eager_write_the_same_bytes(checkpoint: Path, precision: str) -> None:
    """The same kernels on the same memory: bit-equal, with the fused convolutions and without a graph."""
    device = torch.device("cuda", 0)
    model, _ = torch_network.read_model(checkpoint)
    with cudnn_switches(torch, tune=False):
        matte, _, _ = torch_network.prepare(model, SIZE, device, precision)
        print(torch_network.fuse(matte, SIZE, device))
    slot = torch_network.Slot(torch, matte, device)
    source = torch.zeros(1, *SIZE, 3, device=device, dtype=matte.input_dtype)
    target = torch.zeros(1, 1, *SIZE, device=device)
    slot.bind(source, target)
    side = torch.cuda.Stream()
    for picture in load_images(None, 2):
        source.copy_(torch.from_numpy(input_tensor([picture], *SIZE)).permute(0, 2, 3, 1))
        poison()
        torch.cuda.synchronize()
        slot.enqueue(side.cuda_stream)
        side.synchronize()
        replayed = target.clone()
        with cudnn_switches(torch, tune=True), torch.inference_mode():
            eager = matte(source.permute(0, 3, 1, 2))
        assert torch.isfinite(replayed).all()
        torch.testing.assert_close(replayed, eager, atol=0, rtol=0)
