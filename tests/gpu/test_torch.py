# SPDX-License-Identifier: Apache-2.0
"""With PyTorch on the GPU: its tensors in and out, in the order of its streams, and our networks captured by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.gpu import gpu_networks as gpu

from rmbg_trt import Engine

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("this PyTorch has no GPU", allow_module_level=True)


run = gpu.run_on_gpu


def test_tensors_in_and_out_on_any_stream() -> None:
    rng = np.random.default_rng(0)
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    for stream in (torch.cuda.default_stream(), torch.cuda.Stream()):
        for _ in range(4):
            frame = gpu.random_frame(rng, 333, 257, 3)
            with torch.cuda.stream(stream):
                # The frame is still being made when the engine is called, and gone right after.
                slow = torch.randn(4096, 4096, device="cuda")
                slow = slow @ slow
                tensor = torch.from_numpy(np.ascontiguousarray(frame)).cuda(non_blocking=True) + (slow[0, 0] * 0).byte()
                result = torch.from_dlpack(run(pipeline, tensor))
                del tensor
                torch.zeros(333, 257, 3, dtype=torch.uint8, device="cuda").fill_(7)
                got = result.clone()
            stream.synchronize()
            np.testing.assert_array_equal(got.cpu().numpy(), gpu.run(cpu, frame, "alpha"))


def test_out_and_cropped_tensors() -> None:
    (pipeline, _), cpu = gpu.pipeline(), gpu.on_the_cpu()
    whole = torch.randint(0, 256, (100, 200, 3), dtype=torch.uint8, device="cuda")
    for _ in range(3):
        crop, out = whole[10:70, 20:101], torch.zeros(60, 90, dtype=torch.uint8, device="cuda")[:, 3:84]
        assert run(pipeline, crop, out=out) is out
        expected = gpu.run(cpu, np.ascontiguousarray(crop.cpu().numpy()), "alpha")
        np.testing.assert_array_equal(out.cpu().numpy(), expected)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_u2netp_in_pytorch_is_u2netp(u2netp_path: Path, precision: str) -> None:
    """As CUDA graphs, against the CPU's engine."""
    from tests import reference

    with (
        Engine(u2netp_path, device="cuda", runtime="torch", precision=precision) as ours,
        Engine(u2netp_path, device="cpu", precision="fp32") as cpu,
    ):
        for name in ("astronaut", "coffee"):
            frame = reference.photograph(name)
            expected = cpu.run(frame)
            for _ in range(3):
                got = ours.run(frame)
                assert np.abs(got.astype(int) - expected).mean() <= (0.05 if precision == "fp32" else 0.5)
                assert reference.iou(got, expected) >= 0.999
        assert ours.info.mode == "graph"
