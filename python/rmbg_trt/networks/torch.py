# SPDX-License-Identifier: Apache-2.0
"""Our networks on the GPU with PyTorch: checkpoints, and ONNX files of U²-Net converted back into modules.

Each slot captures the network once with PyTorch, into a CUDA graph with its own memory pool, and hands the graph to the
pipeline, which launches it between its own graphs. (If the pipeline captured it instead, PyTorch's allocator would not
know that the graph still uses its memory.)
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _core
from ..errors import ModelError, NetworkError, UnavailableError
from ..export.images import input_tensor, load_images
from ..export.source import fixed_size, read_onnx
from ..export.verify import FP16_LIMITS, compare
from ..install import install_command
from ..recipe import check_normalisation
from ..runtimes.devices import file_kind, gpu_properties
from ..runtimes.request import Opened, Request, UnsupportedNetworkError
from .torch_tuning import bounded_tuning, cudnn_switches

if TYPE_CHECKING:
    from torch import nn

    from .torch_matte import Matte

log = logging.getLogger("rmbg_trt.torch")

WARM_UPS = 3  # cuDNN tries its algorithms in the first, which also compiles
PHOTOGRAPHS = 2
# One network warms up at a time: cuDNN's switches are global, and allocations break another thread's capture.
_warming = threading.Lock()


def open(path: Path, request: Request) -> Opened:
    """Opens a checkpoint or an ONNX file of one of our architectures.

    In half precision, sensitive layers stay in float32, and the result is compared with float32 on photographs. If it
    differs too much, "auto" uses float32.

    Raises:
        UnavailableError: PyTorch is missing or has no CUDA, or the GPU has too little memory.
        UnsupportedNetworkError: The ONNX graph has another architecture.
        ModelError: The file is damaged, or the requested half precision would change the mattes too much.
    """
    torch = import_torch()
    model, size = read_model(path)
    index = request.device_index or 0
    device = torch.device("cuda", index)
    height, width = request.size or size
    try:
        with _warming, cudnn_switches(torch, tune=False), torch.cuda.device(device):
            matte, precision, reason = prepare(model, (height, width), device, request.precision)
            fused = "" if request.compile else fuse(matte, (height, width), device)
    except torch.cuda.OutOfMemoryError as error:
        reason = str(error).partition("\n")[0]
        raise UnavailableError(f"the GPU has too little memory for {path.name}: {reason}") from error
    forward = torch.compile(matte, dynamic=False) if request.compile else matte
    refusal = why_no_graphs(torch)
    half = str(matte.input_dtype) == "torch.float16"
    slots = [Slot(torch, forward, device, why_eager=refusal, name=path.stem) for _ in range(request.slots)]
    notes = [reason, fused, "compiled" if request.compile else "", f"eager, because {refusal}" if refusal else ""]
    return Opened(
        networks=[slot.network(height, width, half=half) for slot in slots],
        runtime="torch",
        runtime_version=str(torch.__version__),
        device_name=str(gpu_properties(index)["name"]),
        precision=precision,
        reason="; ".join(filter(None, notes)),
        device=f"cuda:{index}",
        device_index=index,
    )


def import_torch() -> Any:
    """Imports PyTorch and checks that it has a usable GPU.

    Raises:
        UnavailableError: It is not installed, or it finds no GPU.
    """
    if importlib.util.find_spec("torch") is None:
        raise UnavailableError(f"PyTorch is not installed: {install_command('export')}")
    import torch

    if torch.version.cuda is None:
        raise UnavailableError(f"this PyTorch ({torch.__version__}) has no CUDA; install one from pytorch.org that has")
    if not torch.cuda.is_available():
        raise UnavailableError(f"PyTorch {torch.__version__} finds no usable GPU; check the driver with nvidia-smi")
    return torch


def has_raw_graphs(torch: Any) -> bool:
    """Whether PyTorch exposes captured graphs as ``cudaGraph_t``; older versions do not."""
    return hasattr(torch.cuda.CUDAGraph, "raw_cuda_graph")


def why_no_graphs(torch: Any) -> str:
    """Why the network cannot be launched as a CUDA graph; empty if it can."""
    if not has_raw_graphs(torch):
        return "this PyTorch gives no CUDA graphs"
    backend = str(torch.cuda.get_allocator_backend())
    if backend == "cudaMallocAsync":
        return (
            "graphs captured with PyTorch's allocator cudaMallocAsync allocate memory, and CUDA launches such a graph "
            "again only once that is freed; leave backend:cudaMallocAsync out of PYTORCH_CUDA_ALLOC_CONF"
        )
    return ""


def fuse(matte: Matte, size: tuple[int, int], device: Any) -> str:
    """Fuses convolutions with their ReLU where cuDNN gives the same result; returns a sentence with the numbers."""
    import torch

    from .torch_matte import choose_fused

    image = torch.from_numpy(input_tensor(load_images(None, 1), *size)).to(device)
    fused, pairs = choose_fused(matte, image)
    return f"{fused} of {pairs} convolutions fused with their ReLU"


def read_model(path: Path) -> tuple[nn.Module, tuple[int, int]]:
    """Reads a file into a module in evaluation mode on the CPU, and its input size (height, width).

    Raises:
        UnsupportedNetworkError: The ONNX graph has none of our architectures.
        ModelError: The file is damaged, or it expects another normalization.
        UnavailableError: A package that reads it is not installed.
    """
    from ..training.models import import_onnx, load_checkpoint

    if file_kind(path) == "checkpoint":
        checkpoint = load_checkpoint(path)
        check_normalisation(path.name, checkpoint.config.mean, checkpoint.config.std)
        return checkpoint.model, checkpoint.config.input_size
    if importlib.util.find_spec("onnx") is None:
        raise UnavailableError(f"onnx, which reads the file, is not installed: {install_command('export')}")
    graph = read_onnx(path)
    try:
        model, _ = import_onnx(graph)
    except ModelError as error:
        raise UnsupportedNetworkError(str(error)) from error
    return model, fixed_size(graph) or (320, 320)


def prepare(model: nn.Module, size: tuple[int, int], device: Any, precision: str) -> tuple[Matte, str, str]:
    """Puts a model on a device in the requested precision; "auto" is half precision if the mattes stay the same.

    Args:
        model: One of ``rmbg_trt.training.models``.
        size: Network input (height, width) at which to measure.
        device: A ``torch.device``.
        precision: "auto", "fp32" or "fp16".

    Returns:
        The network, "fp32" or "fp16", and why.

    Raises:
        ModelError: fp16 is requested, and the mattes would differ too much.
    """
    import torch

    from .torch_matte import Matte, layers_to_keep, predict_with

    exact = Matte(model).to(device)
    if precision == "fp32":
        return exact, "fp32", "fp32 because it was asked for"
    images = load_images(None, PHOTOGRAPHS)
    keep = layers_to_keep(exact, (torch.from_numpy(input_tensor([image], *size)).to(device) for image in images))
    half = Matte(model, torch.float16, keep).to(device)
    reference, candidate = predict_with(exact, device), predict_with(half, device)
    failures = compare("fp32 and fp16 in PyTorch", reference, candidate, images, size, FP16_LIMITS).failures()
    if not failures:
        kept = f", with {len(keep)} layers in fp32" if keep else ""
        why = "it was asked for" if precision == "fp16" else "GPUs are fastest in it"
        return half, "fp16", f"fp16 because {why}{kept}"
    if precision == "fp16":
        raise ModelError(f"half precision changes the mattes too much ({'; '.join(failures)}); use precision='fp32'")
    log.warning("half precision changes the mattes too much, so the model runs in fp32: %s", "; ".join(failures))
    return exact, "fp32", f"fp32 because half precision fails ({'; '.join(failures)})"


class Slot:
    """One instance of the network: its input and output on the GPU, and its graph.

    Args:
        torch: The module.
        forward: (1, 3, H, W) -> (1, 1, H, W) float32; slots share its weights.
        device: The GPU, a ``torch.device``.
        why_eager: Why the network is not captured; empty to capture it.
        name: Name of the network, for the user.
    """

    def __init__(self, torch: Any, forward: Any, device: Any, *, why_eager: str = "", name: str = "network") -> None:
        self.torch, self.forward, self.device, self.why_eager, self.name = torch, forward, device, why_eager, name
        self.graphs = not why_eager
        self._captured: Any = None
        self._streams: dict[int, Any] = {}
        self._input: Any = None
        self._output: Any = None

    def network(self, height: int, width: int, *, half: bool) -> _core.Network:
        """This slot behind the core's network interface."""
        return _core.python_network(
            _core.TensorSpec("input", (1, 3, height, width), "float16" if half else "float32", "nhwc"),
            _core.TensorSpec("output", (1, 1, height, width), "float32"),
            self.bind,
            self.enqueue,
            capturable=self.graphs,
            graph=self.graph if self.graphs else None,
            why_eager=self.why_eager,
        )

    def bind(self, source: Any, target: Any) -> None:
        """Uses the pipeline's memory as input and output, warms up, and captures.

        Warm-up and capture share a thread, because cuDNN remembers the fastest algorithms for each thread.
        """
        torch = self.torch
        self._captured = None
        # (1, H, W, 3) in memory; PyTorch calls (1, 3, H, W) with these strides channels last.
        self._input, self._output = torch.from_dlpack(source).permute(0, 3, 1, 2), torch.from_dlpack(target)
        with _warming, cudnn_switches(torch, tune=True), torch.cuda.device(self.device):
            stream = torch.cuda.Stream(self.device)
            with torch.cuda.stream(stream), bounded_tuning(torch, self.forward, self.name):
                for _ in range(WARM_UPS):
                    self._run()
            stream.synchronize()
            if self.graphs:
                self._captured = self._capture(stream)

    def enqueue(self, stream: int) -> None:
        """Puts one run on a CUDA stream."""
        if stream not in self._streams:
            self._streams[stream] = self.torch.cuda.ExternalStream(stream, device=self.device)
        with self.torch.cuda.stream(self._streams[stream]):
            if self._captured is not None:
                self._captured.replay()
            else:
                self._run()

    def graph(self) -> int:
        """The handle of the captured graph. It lives as long as this slot and uses the same memory."""
        if self._captured is None:
            raise NetworkError("the network must be bound before its graph is used")
        return int(self._captured.raw_cuda_graph())

    def _run(self) -> None:
        with self.torch.inference_mode():
            self._output.copy_(self.forward(self._input))

    def _capture(self, stream: Any) -> Any:
        """Captures one run.

        ``torch.cuda.graph`` is not used: it waits for the whole GPU, which breaks captures of other threads. Like it,
        we collect garbage first, because freeing another library's memory during the capture would end it.
        """
        gc.collect()
        captured = self.torch.cuda.CUDAGraph(keep_graph=True)
        with _core.GcPause(), self.torch.cuda.stream(stream):
            captured.capture_begin(capture_error_mode="thread_local")  # with its own memory pool
            try:
                self._run()
            except BaseException:
                with contextlib.suppress(Exception):  # the first error is the useful one
                    captured.capture_end()
                raise
            captured.capture_end()
        return captured
