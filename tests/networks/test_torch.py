# SPDX-License-Identifier: Apache-2.0
"""Our networks in PyTorch: the matte against ONNX Runtime, what half precision would spoil, and each slot's graph.

The arithmetic runs on the CPU; CUDA's part of PyTorch is a stand-in that notes what is called on which stream.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from tests import small_models
from tests.runtimes.fake_gpu import H200, L4, STREAM
from torch import nn
from torch.nn import functional

from rmbg_trt import _core
from rmbg_trt.errors import ModelError, NetworkError, UnavailableError
from rmbg_trt.export import verify
from rmbg_trt.export.graph import at_shape, serialize
from rmbg_trt.export.images import input_tensor, load_images
from rmbg_trt.export.predict import onnx_runtime
from rmbg_trt.install import install_command
from rmbg_trt.networks import torch as torch_network
from rmbg_trt.networks.torch import Slot, prepare
from rmbg_trt.networks.torch_matte import Matte, layers_to_keep, predict_with
from rmbg_trt.networks.torch_tuning import bounded_tuning, cudnn_switches
from rmbg_trt.runtimes.request import Request, UnsupportedNetworkError
from rmbg_trt.training.models import ModelConfig, build, import_onnx, save_checkpoint

CPU = torch.device("cpu")
SIZE = (48, 64)


class Constant(nn.Module):
    """A network with the fault: channel 0 of ``first`` is about 2000 everywhere, and ``last`` takes that off again."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs = 1
        self.first = nn.Conv2d(3, 2, 3, padding=1)
        self.apart = nn.Conv2d(3, 1, 1)
        self.second = nn.Conv2d(3, 2, 3, padding=1)
        self.last = nn.Conv2d(4, 1, 1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.linspace(-0.4, 0.5, parameter.numel()).reshape(parameter.shape))
            self.first.bias[0] = 2000.0  # type: ignore[index]
            self.last.weight[:] = torch.tensor([1.0, 0.5, 0.5, 0.5]).reshape(1, 4, 1, 1)
            self.last.bias[:] = -2000.0  # type: ignore[index]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        small = functional.relu(self.first(functional.max_pool2d(x, 2)))
        resized = functional.interpolate(small, size=x.shape[2:], mode="bilinear")
        scale = torch.sigmoid(self.apart(x))
        return (self.last(torch.cat((resized, functional.relu(self.second(x * scale))), 1)),)


@pytest.fixture(scope="module")
def photographs() -> list[torch.Tensor]:
    return [torch.from_numpy(input_tensor([each], *SIZE)) for each in load_images(None, 2)]


@pytest.fixture(scope="module")
def unet() -> nn.Module:
    torch.manual_seed(0)
    return build("unet").eval()


@pytest.fixture
def wide_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-precision convolutions that sum in float32, as GPUs do; PyTorch's own on the CPU takes minutes."""
    convolve, resize = nn.Conv2d._conv_forward, functional.interpolate

    def wide(layer: Any, x: Any, weight: Any, bias: Any) -> Any:
        assert x.dtype == weight.dtype
        return convolve(layer, x.float(), weight.float(), bias.float()).to(x.dtype)

    monkeypatch.setattr(nn.Conv2d, "_conv_forward", wide)
    monkeypatch.setattr(functional, "interpolate", lambda x, **options: resize(x.float(), **options).to(x.dtype))


# The matte.


@pytest.mark.weights
@pytest.mark.parametrize("size", [(96, 96), (80, 112)])
def test_the_matte_is_that_of_the_onnx_file(u2netp_path: Path, size: tuple[int, int]) -> None:
    graph = onnx.load(str(u2netp_path))
    expected = onnx_runtime(serialize(at_shape(graph, (1, 3, *size))))
    model, made_for = torch_network.read_model(u2netp_path)
    assert made_for == (320, 320)
    matte, precision, reason = prepare(model, size, CPU, "fp32")
    assert (precision, reason) == ("fp32", "fp32 because it was asked for")
    for image in load_images(None, 2):
        x = input_tensor([image], *size)
        np.testing.assert_allclose(predict_with(matte, CPU)(x), expected(x), atol=1e-4)


def test_the_matte_of_a_checkpoint(unet: nn.Module, tmp_path: Path, photographs: list[torch.Tensor]) -> None:
    save_checkpoint(unet, ModelConfig("unet", 1, (96, 64)), tmp_path / "best.safetensors")
    torch.save(unet.state_dict(), tmp_path / "best.pth")
    with torch.inference_mode():
        expected = [unet(x)[0].sigmoid() for x in photographs]
    for name, size in (("best.safetensors", (96, 64)), ("best.pth", (320, 320))):
        model, made_for = torch_network.read_model(tmp_path / name)
        assert made_for == size
        matte = Matte(model)
        assert matte(photographs[0]).requires_grad is False
        for x, y in zip(photographs, expected, strict=True):
            torch.testing.assert_close(matte(x), y, atol=1e-5, rtol=0)


def test_only_the_first_map_is_computed() -> None:
    model = build("u2netp")
    matte = Matte(model)
    assert matte(torch.zeros(1, 3, 32, 32)).shape == (1, 1, 32, 32)
    assert (matte.model.outputs, model.outputs) == (1, 7), "the model itself is left alone"


@pytest.mark.parametrize(
    ("name", "make", "error", "words"),
    [
        ("other.onnx", lambda path: small_models.matte(path, 32, 32), UnsupportedNetworkError, "none of our archit"),
        ("two.onnx", small_models.two_inputs, ModelError, "has 2 inputs"),
        ("bad.onnx", lambda path: path.write_bytes(b"\0" * 99), ModelError, "not a readable ONNX"),
        ("bad.pth", lambda path: path.write_bytes(b"\0" * 99), ModelError, r"bad\.pth: "),
    ],
)
def test_files_that_are_not_ours(
    tmp_path: Path, name: str, make: Callable[[Path], Any], error: type[Exception], words: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(error, match=words):
        torch_network.read_model(tmp_path / name)


def test_another_normalisation_is_refused(unet: nn.Module, tmp_path: Path) -> None:
    save_checkpoint(unet, ModelConfig("unet", 1, std=(0.5, 0.5, 0.5)), tmp_path / "best.safetensors")
    with pytest.raises(ModelError, match=r"std \(0\.5, 0\.5, 0\.5\)"):
        torch_network.read_model(tmp_path / "best.safetensors")


# Half precision.


def test_the_layers_that_half_precision_would_spoil(photographs: list[torch.Tensor]) -> None:
    exact = Matte(Constant())
    keep = layers_to_keep(exact, photographs)
    assert sorted(keep) == ["first", "last", "second"], "the layer, and what it reads; not those before"
    half, mixed = (Matte(Constant(), torch.float16, names) for names in ([], keep))
    errors = [max(float((each(x) - exact(x)).abs().max()) for x in photographs) for each in (half, mixed)]
    assert errors[0] > 0.05
    assert errors[1] < 0.002
    assert exact.model.first.weight.dtype == torch.float32, "still"


def test_healthy_networks_are_all_in_half(unet: nn.Module, photographs: list[torch.Tensor]) -> None:
    assert layers_to_keep(Matte(unet), photographs) == []


@pytest.mark.weights
@pytest.mark.usefixtures("wide_sums")
def test_the_small_network_keeps_its_edge(u2netp_path: Path) -> None:
    model, _ = import_onnx(onnx.load(str(u2netp_path)))
    size = (128, 128)
    _, precision, reason = prepare(model, size, CPU, "auto")
    assert precision == "fp16"
    assert "with 3 layers in fp32" in reason
    exact, plain = Matte(model), Matte(model, torch.float16)
    compared = verify.compare(
        "plain",
        predict_with(exact, CPU),
        predict_with(plain, CPU),
        load_images(None, 2),
        (320, 320),
        verify.FP16_LIMITS,
    )
    assert compared.failures(), "or there would be nothing to keep"


@pytest.mark.usefixtures("wide_sums")
def test_a_network_that_does_not_bear_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    assert prepare(Constant(), SIZE, CPU, "fp16")[1:] == (
        "fp16",
        "fp16 because it was asked for, with 3 layers in fp32",
    )
    monkeypatch.setattr(torch_network, "FP16_LIMITS", verify.Limits(max_abs=0.0))
    with pytest.raises(ModelError, match=r"half precision changes the mattes too much .*use precision='fp32'"):
        prepare(Constant(), SIZE, CPU, "fp16")
    matte, precision, reason = prepare(Constant(), SIZE, CPU, "auto")
    assert precision == "fp32"
    assert "half precision fails" in reason
    assert {layer.weight.dtype for layer in matte.modules() if isinstance(layer, nn.Conv2d)} == {torch.float32}


@pytest.mark.usefixtures("wide_sums")
@pytest.mark.parametrize("scale", [1e5, 1e9], ids=["values", "weights"])
def test_layers_that_overflow_stay_in_float32(scale: float) -> None:
    model = Constant()
    with torch.no_grad():
        model.second.weight *= scale
        model.last.weight[:, 2:] /= scale
    exact, plain = (predict_with(Matte(model, dtype), CPU) for dtype in (torch.float32, torch.float16))
    x = input_tensor(load_images(None, 1), *SIZE)
    assert not np.abs(plain(x) - exact(x)).max() < 0.1
    _, precision, reason = prepare(model, SIZE, CPU, "fp16")
    assert (precision, "layers in fp32" in reason) == ("fp16", True)


# CUDA's part of PyTorch.


class FakeCuda:
    """``torch`` with CUDA on the CPU. ``log`` has what was done, each with the stream that was current."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.current: Any = "default"
        self.backend = "native"
        self.graphs: list[Any] = []
        fake = self

        class CUDAGraph:
            def __init__(self, keep_graph: bool = False) -> None:
                assert keep_graph, "or there is no raw graph"
                fake.graphs.append(self)

            def capture_begin(self, capture_error_mode: str = "global") -> None:
                fake.note("begin", capture_error_mode)

            def capture_end(self) -> None:
                fake.note("end")

            def replay(self) -> None:
                fake.note("replay")

            def raw_cuda_graph(self) -> int:
                return 0xC0DE + fake.graphs.index(self)

        self.CUDAGraph = CUDAGraph
        cuda = SimpleNamespace(
            CUDAGraph=CUDAGraph,
            get_allocator_backend=lambda: self.backend,
            OutOfMemoryError=torch.cuda.OutOfMemoryError,
            Stream=lambda device: SimpleNamespace(name="side", synchronize=lambda: fake.note("synchronize")),
            ExternalStream=lambda handle, device: SimpleNamespace(name=handle),
            stream=self.stream,
            device=lambda device: contextlib.nullcontext(),
        )
        self.module = SimpleNamespace(
            __version__="2.13.0",
            cuda=cuda,
            backends=SimpleNamespace(cudnn=Cudnn(self)),
            from_dlpack=torch.from_dlpack,
            inference_mode=torch.inference_mode,
            device=lambda kind, index: CPU,
            compile=lambda model, dynamic: self.note("compile", dynamic) or model,
        )

    def note(self, *what: Any) -> None:
        self.log.append((*what, self.current))

    @contextlib.contextmanager
    def stream(self, stream: Any) -> Iterator[None]:
        before, self.current = self.current, stream.name
        yield
        self.current = before


class Cudnn:
    """The switches of an older PyTorch, which has ``allow_tf32`` only."""

    def __init__(self, log: FakeCuda) -> None:
        self.__dict__.update(log=log, enabled=False, benchmark=False, allow_tf32=True)

    def __setattr__(self, name: str, value: bool) -> None:
        assert name in self.__dict__
        self.__dict__[name] = value
        if name == "allow_tf32":
            self.log.note("inexact" if value else "tuning" if self.benchmark else "exact")


@pytest.fixture
def cuda() -> FakeCuda:
    return FakeCuda()


def arrays(half: bool = True) -> tuple[Any, Any]:
    source = np.full((1, 4, 6, 3), 0.25, np.float16 if half else np.float32)
    return source, np.zeros((1, 1, 4, 6), np.float32)


def doubling(cuda: FakeCuda) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(x: torch.Tensor) -> torch.Tensor:
        assert torch.is_inference_mode_enabled()
        assert cuda.current != "side" or not cuda.module.backends.cudnn.allow_tf32
        cuda.note("run")
        return x[:, :1].float() * 2

    return forward


def test_a_slot_warms_up_and_captures(cuda: FakeCuda) -> None:
    slot = Slot(cuda.module, doubling(cuda), CPU)
    with pytest.raises(NetworkError, match="must be bound before its graph is used"):
        slot.graph()
    source, target = arrays()
    slot.bind(source, target)
    assert cuda.log == [
        ("tuning", "default"),
        *[("run", "side")] * 3,
        ("synchronize", "default"),
        ("begin", "thread_local", "side"),
        ("run", "side"),
        ("end", "side"),
        ("inexact", "default"),
    ]
    assert (target == 0.5).all(), "it wrote to the pipeline's own memory"
    assert slot.graph() == 0xC0DE
    cuda.log.clear()
    slot.enqueue(STREAM)
    assert cuda.log == [("replay", STREAM)]


@pytest.mark.slow
def test_garbage_is_collected_before_the_capture(cuda: FakeCuda) -> None:
    """Freeing memory in the middle of a capture would end it."""

    class OldEngine:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            cuda.note("freed")

    gc.collect()
    gc.disable()
    try:
        OldEngine()
        Slot(cuda.module, doubling(cuda), CPU).bind(*arrays())
    finally:
        gc.enable()
    names = [entry[0] for entry in cuda.log]
    assert "freed" in names[: names.index("begin")]


@pytest.mark.slow
def test_no_garbage_is_collected_during_the_capture(cuda: FakeCuda) -> None:
    enabled: list[bool] = []

    def forward(x: torch.Tensor) -> torch.Tensor:
        enabled.append(gc.isenabled())
        return x[:, :1].float()

    Slot(cuda.module, forward, CPU).bind(*arrays())
    assert enabled == [True, True, True, False]
    assert gc.isenabled()


def test_collection_stays_off_until_the_last_leaves() -> None:
    with _core.GcPause():
        inside, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with _core.GcPause():
                inside.set()
                leave.wait(60)

        thread = threading.Thread(target=hold)
        thread.start()
        inside.wait(60)
        with _core.GcPause():
            pass
        assert not gc.isenabled()
    assert not gc.isenabled(), "another thread still captures"
    leave.set()
    thread.join()
    assert gc.isenabled()
    gc.disable()
    try:
        with _core.GcPause():
            pass
        assert not gc.isenabled(), "as the program had it"
    finally:
        gc.enable()


def test_tuning_has_an_end(cuda: FakeCuda, caplog: pytest.LogCaptureFixture) -> None:
    """Layers behind the time limit are not tried out, and nobody's hooks stay."""
    model, seen = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(4))), []
    cuda.module.backends.cudnn.benchmark = True
    for layer in model:
        layer.register_forward_hook(lambda *_: seen.append(cuda.module.backends.cudnn.benchmark))
    clock = iter(range(100))
    with bounded_tuning(cuda.module, model, "small", seconds=3, clock=lambda: float(next(clock))):
        model(torch.zeros(1, 3, 2, 2))
    assert seen == [True, True, False, False]
    assert "tuning small: 2 of 4 convolutions after 3 s" in caplog.text
    assert not any(layer._forward_pre_hooks for layer in model)


@pytest.mark.slow
def test_every_slot_has_a_graph_of_its_own(cuda: FakeCuda) -> None:
    slots = [Slot(cuda.module, doubling(cuda), CPU) for _ in range(2)]
    for slot in slots:
        slot.bind(*arrays())
    assert [slot.graph() for slot in slots] == [0xC0DE, 0xC0DE + 1]


def test_without_raw_graphs_it_is_eager(cuda: FakeCuda) -> None:
    assert torch_network.has_raw_graphs(cuda.module)
    del cuda.CUDAGraph.raw_cuda_graph
    assert not torch_network.has_raw_graphs(cuda.module)
    slot = Slot(cuda.module, doubling(cuda), CPU, why_eager="no graphs")
    source, target = arrays()
    slot.bind(source, target)
    assert cuda.graphs == []
    source[:] = 3
    cuda.log.clear()
    slot.enqueue(STREAM)
    slot.enqueue(STREAM + 1)
    assert cuda.log == [("run", STREAM), ("run", STREAM + 1)]
    assert (target == 6).all()


def test_a_failed_capture_is_ended(cuda: FakeCuda) -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        if any(entry[0] == "begin" for entry in cuda.log):
            raise ZeroDivisionError("no kernel for that")
        return x[:, :1].float()

    slot = Slot(cuda.module, forward, CPU)
    with pytest.raises(ZeroDivisionError, match="no kernel"):
        slot.bind(*arrays())
    assert [entry[0] for entry in cuda.log].count("end") == 1


# Opening.


@pytest.fixture
def on_a_gpu(machine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, cuda: FakeCuda) -> FakeCuda:
    machine(H200, L4)
    monkeypatch.setattr(torch_network, "import_torch", lambda: cuda.module)
    return cuda


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "best.safetensors"
    save_checkpoint(build("unet"), ModelConfig("unet", 1, SIZE), path)
    return path


@pytest.mark.slow
@pytest.mark.usefixtures("wide_sums")
def test_open(on_a_gpu: FakeCuda, checkpoint: Path) -> None:
    opened = torch_network.open(checkpoint, Request("auto", None, 2, device_index=1))
    assert (opened.runtime, opened.runtime_version, opened.precision) == ("torch", "2.13.0", "fp16")
    assert (opened.device, opened.device_index, opened.device_name) == ("cuda:1", 1, "NVIDIA L4")
    assert len(opened.networks) == 2
    assert [entry[0] for entry in on_a_gpu.log] == ["exact", "inexact"], "tuned when it is bound, not to compare"
    first, second = opened.networks
    assert (first.input.shape, first.input.dtype) == ((1, 3, *SIZE), "float16")
    assert (first.output.shape, first.output.dtype) == ((1, 1, *SIZE), "float32")
    assert first.capturable
    for network in (first, second):
        network.bind(np.zeros((1, *SIZE, 3), np.float16), np.zeros((1, 1, *SIZE), np.float32))
    assert first.graph() != second.graph()
    assert first.bind.__self__.forward is second.bind.__self__.forward, "the weights are there once"


@pytest.mark.slow
def test_open_in_float32_and_another_size(on_a_gpu: FakeCuda, checkpoint: Path) -> None:
    opened = torch_network.open(checkpoint, Request("fp32", (32, 80), 1, device_index=0))
    [network] = opened.networks
    assert (network.input.shape, network.input.dtype) == ((1, 3, 32, 80), "float32")
    x, y = np.random.default_rng(0).normal(size=(1, 3, 32, 80)).astype(np.float32), np.zeros((1, 1, 32, 80), np.float32)
    network.bind(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), y)
    model, _ = torch_network.read_model(checkpoint)
    with torch.inference_mode():
        np.testing.assert_allclose(y, model(torch.from_numpy(x))[0].sigmoid().numpy(), atol=1e-5)


def test_open_without_raw_graphs(on_a_gpu: FakeCuda, checkpoint: Path) -> None:
    del on_a_gpu.CUDAGraph.raw_cuda_graph
    opened = torch_network.open(checkpoint, Request("fp32", None, 1, device_index=0))
    assert (opened.networks[0].capturable, opened.networks[0].graph) == (False, None)
    assert "eager" in opened.reason


def test_an_allocator_whose_graphs_allocate(on_a_gpu: FakeCuda, checkpoint: Path) -> None:
    """CUDA takes no graph with allocations as a part of another; the pipeline's mode is to say so."""
    assert torch_network.why_no_graphs(on_a_gpu.module) == ""
    on_a_gpu.backend = "cudaMallocAsync"
    opened = torch_network.open(checkpoint, Request("fp32", None, 1, device_index=0))
    [network] = opened.networks
    assert (network.capturable, network.graph) == (False, None)
    assert "cudaMallocAsync" in network.why_eager
    assert "PYTORCH_CUDA_ALLOC_CONF" in opened.reason


@pytest.mark.slow
def test_open_compiled(on_a_gpu: FakeCuda, checkpoint: Path) -> None:
    plain = torch_network.open(checkpoint, Request("fp32", None, 1, device_index=0))
    assert "compile" not in {entry[0] for entry in on_a_gpu.log}
    assert "compiled" not in plain.reason
    opened = torch_network.open(checkpoint, Request("fp32", None, 2, device_index=0, compile=True))
    assert [entry for entry in on_a_gpu.log if entry[0] == "compile"] == [("compile", False, "default")]
    assert "compiled" in opened.reason


def test_too_little_memory(on_a_gpu: FakeCuda, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nmore lines")

    monkeypatch.setattr(torch_network, "prepare", full)
    with pytest.raises(UnavailableError, match=r"too little memory for best\.safetensors: CUDA out of memory\.$"):
        torch_network.open(checkpoint, Request("fp32", None, 1, device_index=0))


def test_pytorch_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(UnavailableError, match=r"PyTorch .* finds no usable GPU.*nvidia-smi"):
        torch_network.import_torch()
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(UnavailableError, match=r"this PyTorch \(.*\) has no CUDA"):
        torch_network.import_torch()


@pytest.mark.slow
@pytest.mark.parametrize(
    "set_by_the_program",
    [
        "pass",
        "torch.backends.fp32_precision = 'tf32'",
        "cudnn.fp32_precision = 'tf32'",
        "cudnn.conv.fp32_precision = 'ieee'",
        "cudnn.conv.fp32_precision = 'tf32'",
        "cudnn.allow_tf32 = False; cudnn.benchmark = True",
    ],
)
def test_tf32_is_off_whatever_the_program_chose(in_python: Callable[..., str], set_by_the_program: str) -> None:
    """PyTorch has older and newer switches, and refuses some mixtures."""
    script = f"""
import torch
from rmbg_trt.networks.torch_tuning import cudnn_switches
cudnn = torch.backends.cudnn
{set_by_the_program}
def state():
    return torch.backends.fp32_precision, cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, cudnn.benchmark
before = state()
with cudnn_switches(torch, tune=False):
    assert cudnn.conv.fp32_precision == "ieee" and not cudnn.allow_tf32 and not cudnn.benchmark, state()
assert state() == before, (state(), before)
"""
    in_python(script)


@pytest.mark.parametrize("name", ["torch", "onnx"])
def test_packages_that_are_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    model = small_models.matte(tmp_path / "small.onnx", 32, 32)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked, *rest: None if asked == name else find(asked, *rest))
    with pytest.raises(UnavailableError, match=r"is not installed: " + re.escape(install_command("export"))):
        torch_network.import_torch() if name == "torch" else torch_network.read_model(model)


@pytest.mark.slow
def test_a_checkpoint_needs_neither_onnx_nor_openvino(in_python: Callable[..., str], checkpoint: Path) -> None:
    """The test of the captured graph on a bare GPU machine relies on it."""
    script = """
import sys
from pathlib import Path
for name in ("onnx", "onnxruntime", "openvino"):
    sys.modules[name] = None
import torch
from rmbg_trt.networks import torch as torch_network
from rmbg_trt.networks.torch_tuning import cudnn_switches
model, size = torch_network.read_model(Path(sys.argv[1]))
matte, precision, _ = torch_network.prepare(model, size, torch.device("cpu"), "fp32")
print(torch_network.fuse(matte, size, torch.device("cpu")))
"""
    assert in_python(script, str(checkpoint)) == "0 of 18 convolutions fused with their ReLU"


def test_importing_the_adapter_needs_no_torch(in_python: Callable[..., str]) -> None:
    script = "import sys, rmbg_trt.networks.torch; print('torch' in sys.modules)"
    assert in_python(script) == "False"


def test_the_stand_in_has_pytorchs_names() -> None:
    graph = FakeCuda().CUDAGraph
    assert {name for name in vars(graph) if not name.startswith("_")} <= set(dir(torch.cuda.CUDAGraph))
    assert torch_network.has_raw_graphs(torch)
    with cudnn_switches(torch, tune=True):
        assert torch.backends.cudnn.benchmark
        assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cudnn.benchmark
