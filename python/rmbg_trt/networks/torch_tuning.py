# SPDX-License-Identifier: Apache-2.0
"""cuDNN's switches, and its search for the fastest algorithms, with a time limit and a progress bar."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..runtimes.request import build_progress

log = logging.getLogger("rmbg_trt.torch")

TUNING_SECONDS = 20.0  # for a network; a full search takes a few seconds to a minute
ALGORITHMS = 10  # tried for a layer: PyTorch's default; a program may have set 0, which means all


@contextmanager
def bounded_tuning(
    torch: Any, forward: Any, name: str, seconds: float = TUNING_SECONDS, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Limits the tuning of convolutions during the block: no more are tuned once the time is over.

    Args:
        torch: The module; ``torch.backends.cudnn.benchmark`` must be on; the caller restores it.
        forward: The network. If it has no visible layers (a compiled one), only ``ALGORITHMS`` limits the search.
        name: Name of the network, for the user.
        seconds: Time for all layers together.
        clock: Returns seconds.
    """
    modules = forward.modules() if hasattr(forward, "modules") and not hasattr(forward, "_orig_mod") else ()
    layers = [layer for layer in modules if hasattr(layer, "kernel_size") and hasattr(layer, "weight")]
    if not layers:
        yield
        return
    end = clock() + seconds
    state = {"done": 0, "over": False}
    with build_progress(name, making="tuning", note="") as progress:

        def before_layer(layer: Any, inputs: Any) -> None:
            if state["done"] < len(layers):
                progress("convolutions", state["done"], len(layers))
            if not state["over"] and clock() >= end:
                state["over"] = True
                if state["done"] < len(layers):
                    torch.backends.cudnn.benchmark = False
                    log.warning(
                        "tuning %s: %d of %d convolutions after %g s; cuDNN chooses for the others without trying",
                        *(name, state["done"], len(layers), seconds),
                    )
            state["done"] += 1

        hooks = [layer.register_forward_pre_hook(before_layer) for layer in layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


@contextmanager
def cudnn_switches(torch: Any, *, tune: bool) -> Iterator[None]:
    """Sets cuDNN's switches during the block: no TF32 in place of float32; with ``tune``, cuDNN tries its algorithms.

    ``torch.backends.cudnn.flags`` is not enough: it fails in programs that use the newer switch ``fp32_precision``, or
    leaves TF32 on. ``allow_tf32`` overwrites that switch, so it is set first.
    """
    cudnn = torch.backends.cudnn
    wanted: list[tuple[Any, str, Any]] = [(cudnn, "enabled", True), (cudnn, "benchmark", tune)]
    wanted.append((cudnn, "allow_tf32", False))
    newer = (getattr(cudnn, name, None) for name in ("conv", "rnn"))
    wanted += [(switch, "fp32_precision", "ieee") for switch in newer if switch is not None]
    if getattr(cudnn, "benchmark_limit", None) is not None:  # it is None without CUDA
        wanted.append((cudnn, "benchmark_limit", ALGORITHMS))
    before = [(switch, name, _setting(switch, name)) for switch, name, _ in wanted]
    try:
        for switch, name, value in wanted:
            setattr(switch, name, value)
        yield
    finally:
        for switch, name, value in before:
            setattr(switch, name, value)


def _setting(switch: Any, name: str) -> Any:
    try:
        return getattr(switch, name)
    except RuntimeError:  # reading ``allow_tf32`` fails if the newer switches contradict each other
        return True
