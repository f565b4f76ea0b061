# SPDX-License-Identifier: Apache-2.0
"""Who takes part: the environment each needs, its adapter, and whether this machine can run it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENVIRONMENTS = Path(__file__).resolve().parent.parent / ".venv-peers"
COMPLETE = "peer-is-complete"  # install.sh puts it beside an environment's Python at last
OURS = "rmbg-trt"
REFERENCE = "onnxruntime"  # the recipe written out in fp32; masks are measured against its masks


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    Attributes:
        name: As it is shown, and as --peers takes it.
        environment: Folder below `ENVIRONMENTS`; "" is the Python that runs the benchmark.
        adapter: Module beside this file.
        options: Given to its `Peer` besides the model and the folder of weights.
        models: Those it is timed with. A rival with a network of its own takes part once, beside the default model.
        gpu: Needs one.
        weights: What to say where they are not the official ones.
        most_rounds: It takes part in no more, as one of its runs takes as long as many of the others'.
    """

    name: str
    environment: str
    adapter: str
    options: dict[str, Any] = field(default_factory=dict)
    models: tuple[str, ...] = ("u2netp", "u2net")
    gpu: bool = False
    weights: str = "official"
    most_rounds: int = 1000

    @property
    def python(self) -> Path:
        return ENVIRONMENTS / self.environment / "bin" / "python" if self.environment else Path(sys.executable)

    def why_not(self) -> str:
        """Why it cannot run here, or nothing."""
        if self.gpu and not has_gpu():
            return "needs an NVIDIA GPU; there is none here"
        if self.environment and not self.python.with_name(COMPLETE).is_file():
            return f"its environment is not there: benchmarks/peers/install.sh {self.environment}"
        return ""


RANDOM = "random (its own cannot be had here): time only"
PACKAGES = (
    "onnxruntime",
    "torch",
    "torchvision",
    "moviepy",
    "opencv-python-headless",
    "numpy",
    "pillow",
    "scikit-image",
)
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
CONTENDERS = (
    Contender(OURS, "", "peer_rmbg_trt", {"precision": "auto", "device": "cpu"}),
    Contender("rmbg-trt fp32", "", "peer_rmbg_trt", {"precision": "fp32", "device": "cpu"}),
    Contender("rmbg-trt int8", "", "peer_rmbg_trt", {"precision": "int8", "device": "cpu"}),
    Contender("rmbg-trt GPU", "", "peer_rmbg_trt", {"precision": "auto", "device": "cuda"}, gpu=True),
    Contender(REFERENCE, "onnxruntime", "peer_onnxruntime", {"provider": CPU}),
    Contender("onnxruntime CUDA", "onnxruntime", "peer_onnxruntime", {"provider": CUDA}, gpu=True),
    Contender("rembg", "rembg", "peer_rembg"),
    Contender("pytorch", "pytorch", "peer_pytorch", {"compiled": False}),
    Contender("pytorch compiled", "pytorch", "peer_pytorch", {"compiled": True}),
    Contender("backgroundremover", "backgroundremover", "peer_backgroundremover", {"kept": False}),
    Contender("backgroundremover kept", "backgroundremover", "peer_backgroundremover", {"kept": True}),
    Contender(
        "transparent-background fast", "transparent-background", "peer_transparent_background", {"mode": "fast"},
        models=("u2net",), weights=RANDOM,
    ),
    Contender(
        "transparent-background", "transparent-background", "peer_transparent_background", {"mode": "base"},
        models=("u2net",), weights=RANDOM, most_rounds=3,
    ),
    Contender("tensorrt pycuda", "tensorrt", "peer_tensorrt", gpu=True),
)  # fmt: skip


def has_gpu() -> bool:
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def installed(contender: Contender) -> dict[str, str]:
    """Versions of what matters for the time in the environment of a rival."""
    code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    done = subprocess.run([str(contender.python), "-c", code], capture_output=True, text=True, check=True)
    found = {name.lower(): version for name, version in json.loads(done.stdout).items()}
    return {name: found[name] for name in (contender.environment, *PACKAGES) if name in found}
