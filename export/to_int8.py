# SPDX-License-Identifier: Apache-2.0
"""From an fp32 network to one of 8-bit integers for the CPU: NNCF's quantisation after training, with two exceptions.

Where a channel of a layer's input hardly ever leaves a large constant, one step of 8 bit is larger than all that the
other channels say. That alone makes U²-Net's matte collapse. Such layers are found beforehand (`step_noise`) and stay
in float32: two of 119, and small ones. So does the first, whose errors everything after it inherits.

NNCF works in a process of its own (nncf_child.py): it takes over logging and stdout, which belong to the program that
we are part of, and keeps its memory.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..child_process import import_path, last_line
from ..errors import Error, ModelError, UnavailableError
from ..runtimes.openvino import shared_core
from ..runtimes.progress import Progress

log = logging.getLogger("rmbg_trt.export")

MAX_NOISE = 0.1  # of what a layer's input says; in U²-Net healthy ones have up to 0.07, the others from 0.13
FIRST = 1  # convolutions that stay in float32 at the beginning
MEASURED_ON = 4  # pictures
RECIPE = 2  # changes when the same pictures would give another model
_CHILD = Path(__file__).with_name("nncf_child.py")

Floats = NDArray[np.float32]


def to_int8(model: Any, inputs: Sequence[Floats], place: Path, progress: Progress) -> tuple[Any, list[str]]:
    """Quantises a network.

    Args:
        model: ``openvino.Model`` in fp32 of a static shape; its constants are folded in place.
        inputs: Of the network, (1, 3, H, W) each, made of pictures of the kind that it is for. The same
            ones in the same order give the same result.
        place: An empty folder to work in, which the caller removes: the model goes there twice, and the inputs.
        progress: Called as work goes on.

    Returns:
        The quantised ``openvino.Model``, and the names of the convolutions that stay in float32.

    Raises:
        UnavailableError: NNCF is not installed.
        ModelError: NNCF cannot quantise it.
        Error: The process in which NNCF works was ended, for instance for want of memory, or files cannot be written.
    """
    import openvino

    require_nncf()
    fold_constants(model)
    progress("looking for sensitive layers", 0, 0)
    noises = step_noise(model, inputs[:MEASURED_ON])
    kept = [name for index, (name, noise) in enumerate(noises.items()) if index < FIRST or noise > MAX_NOISE]
    log.info("these layers stay in float32: %s", ", ".join(kept) or "none")
    try:
        openvino.save_model(model, str(place / "model.xml"), compress_to_fp16=False)
        with (place / "inputs.bin").open("wb") as file:
            for x in inputs:
                file.write(x.tobytes())
        asked = {"place": str(place), "shape": [len(inputs), *inputs[0].shape[1:]], "kept": kept}
        _run_child(asked, lambda taken: progress("calibrating", taken, len(inputs)))
        # Read as bytes, because a file that is mapped to memory cannot be removed everywhere.
        xml, weights = ((place / name).read_bytes() for name in ("int8.xml", "int8.bin"))
    except (OSError, RuntimeError) as error:  # OpenVINO raises the second for a full disk
        raise Error(f"the model could not be quantised in {place}: {error}") from error
    return shared_core().read_model(xml, weights), kept


def _run_child(asked: dict[str, Any], taken: Callable[[int], None]) -> None:
    """Quantises in a process of its own, which has ended when this returns or raises."""
    command, error = [sys.executable, str(_CHILD), json.dumps({"path": import_path(), **asked})], None
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,  # Ctrl-C comes to us, and we end it
        ) as child:
            try:
                for line in child.stdout or ():
                    told = json.loads(line)
                    error = told.get("error", error)
                    if "taken" in told:
                        taken(told["taken"])
            except BaseException:
                child.kill()
                child.wait()  # after Ctrl-C the end of the block waits for a moment only
                raise
        if child.returncode == 0:
            return
        if error is not None:
            raise ModelError(f"NNCF cannot quantise the model: {error}")
        said.seek(0)
        last = last_line(said.read())
    why = "; there may be too little memory" if child.returncode == -9 else ""
    raise Error(f"the process in which NNCF works ended with code {child.returncode}, and said: {last}{why}")


def step_noise(model: Any, inputs: Sequence[Floats]) -> dict[str, float]:
    """What one range for all channels of a convolution's input costs in 8 bit.

    The rounding error of a channel is a twelfth of the step's square, and what the channel says is its variance; the
    weights that read it count for both.

    Args:
        model: ``openvino.Model`` with folded constants.
        inputs: At least one.

    Returns:
        For each convolution, by name and in their order, the worst picture's rms(error) / rms(content) over its
        weighted channels.
    """
    import openvino
    from openvino import opset13 as ops

    layers, figures = [], []
    for layer in model.get_ordered_ops():
        weights = _weights(layer)
        if weights is None:
            continue
        x = layer.input_value(0)
        plane, all_axes = np.array([2, 3], np.int64), np.array([0, 1, 2, 3], np.int64)
        variance = ops.reduce_mean(ops.squared_difference(x, ops.reduce_mean(x, plane, keep_dims=True)), plane)
        figures += [variance, ops.reduce_min(x, all_axes), ops.reduce_max(x, all_axes)]
        layers.append((layer.get_friendly_name(), np.square(weights, dtype=np.float64).sum(axis=(0, 2, 3))))
    if not layers:
        return {}
    probe = openvino.Model([each.output(0) for each in figures], model.get_parameters(), "probe")
    run = shared_core().compile_model(probe, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    noise: dict[str, float] = {}
    for picture in inputs:
        found = list(run([picture]).values())
        for index, (name, gain) in enumerate(layers):
            variance, low, high = (np.asarray(each, np.float64) for each in found[3 * index : 3 * index + 3])
            step = (max(float(high), 0.0) - min(float(low), 0.0)) / 255
            content = float((variance.reshape(-1) * gain).sum())
            error = step * step / 12 * float(gain.sum())
            noise[name] = max(noise.get(name, 0.0), (error / content) ** 0.5 if content else 0.0)
    return noise


def fold_constants(model: Any) -> None:
    """Computes what does not depend on the picture, such as a bias that is reshaped to its layer, in place."""
    from openvino.passes import ConstantFolding, Manager

    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)


def require_nncf() -> None:
    """Raises UnavailableError where NNCF is not installed."""
    if importlib.util.find_spec("nncf") is None:
        raise UnavailableError('int8 is made with NNCF, which is not installed: pip install "rmbg-trt[int8]"')


def _weights(layer: Any) -> NDArray[Any] | None:
    """The constant weights (O, I, h, w) of a convolution, or None for another layer."""
    if layer.get_type_name() != "Convolution" or len(layer.input_value(0).get_partial_shape()) != 4:
        return None
    source = layer.input_value(1).get_node()
    if source.get_type_name() == "Convert":  # stored in half precision
        source = source.input_value(0).get_node()
    return np.asarray(source.get_data()) if source.get_type_name() == "Constant" else None
