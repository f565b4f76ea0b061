# SPDX-License-Identifier: Apache-2.0
"""Quantises an fp32 network to int8 for the CPU: NNCF's post-training quantisation, with two exceptions.

If a channel of a layer's input is almost always near a large constant, one 8-bit step is larger than the content of
all other channels. That alone makes U²-Net's matte collapse. `step_noise` finds such layers beforehand, and they stay
in float32: two of 119, both small. So does the first layer, whose errors all later layers inherit.

NNCF runs in its own process (nncf_child.py), because it takes over logging and stdout and keeps its memory.
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
from ..install import install_command
from ..runtimes.openvino import shared_core
from ..runtimes.request import Progress

log = logging.getLogger("rmbg_trt.export")

MAX_NOISE = 0.1  # relative to the layer's input; in U²-Net healthy layers have up to 0.07, the others from 0.13
FIRST = 1  # convolutions at the beginning that stay in float32
MEASURED_ON = 4  # images
RECIPE = 2  # changes when the same images would give another model
_CHILD = Path(__file__).with_name("nncf_child.py")

Floats = NDArray[np.float32]


def to_int8(model: Any, inputs: Sequence[Floats], place: Path, progress: Progress) -> tuple[Any, list[str]]:
    """Quantises a network.

    Args:
        model: ``openvino.Model`` in fp32 of a static shape; its constants are folded in place.
        inputs: Inputs of the network, (1, 3, H, W) each, from images of the kind that it is for. The same inputs in
            the same order give the same result.
        place: An empty folder to work in, which the caller removes; it gets the inputs and two copies of the model.
        progress: Called as the work goes on.

    Returns:
        The quantised ``openvino.Model``, and the names of the convolutions that stay in float32.

    Raises:
        UnavailableError: NNCF is not installed.
        ModelError: NNCF cannot quantise the model.
        Error: NNCF's process ended early, for example for lack of memory, or files cannot be written.
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
        task = {"place": str(place), "shape": [len(inputs), *inputs[0].shape[1:]], "kept": kept}
        _run_child(task, lambda done: progress("calibrating", done, len(inputs)))
        # Read as bytes, because some systems cannot remove a file that is mapped to memory.
        xml, weights = ((place / name).read_bytes() for name in ("int8.xml", "int8.bin"))
    except (OSError, RuntimeError) as error:  # OpenVINO raises the second for a full disk
        raise Error(f"the model could not be quantised in {place}: {error}") from error
    return shared_core().read_model(xml, weights), kept


def _run_child(task: dict[str, Any], on_progress: Callable[[int], None]) -> None:
    """Quantises in a child process, which has always ended when this returns or raises."""
    command, error = [sys.executable, str(_CHILD), json.dumps({"path": import_path(), **task})], None
    with tempfile.TemporaryFile("w+", errors="replace") as stderr:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,  # Ctrl-C reaches only this process, which ends the child
        ) as child:
            try:
                for line in child.stdout or ():
                    message = json.loads(line)
                    error = message.get("error", error)
                    if "done" in message:
                        on_progress(message["done"])
            except BaseException:
                child.kill()
                child.wait()  # after Ctrl-C, leaving the block waits only briefly
                raise
        if child.returncode == 0:
            return
        if error is not None:
            raise ModelError(f"NNCF cannot quantise the model: {error}")
        stderr.seek(0)
        last = last_line(stderr.read())
    why = "; there may be too little memory" if child.returncode == -9 else ""
    raise Error(f"NNCF failed with exit code {child.returncode}; last output: {last}{why}")


def step_noise(model: Any, inputs: Sequence[Floats]) -> dict[str, float]:
    """The relative error of rounding each convolution's input to 8 bit with one range for all channels.

    A channel's mean squared rounding error is the step's square / 12, and its content is its variance; both are
    weighted with the weights that read the channel.

    Args:
        model: ``openvino.Model`` with folded constants.
        inputs: At least one.

    Returns:
        For each convolution, by name and in order, rms(error) / rms(content) of the worst image.
    """
    import openvino
    from openvino import opset13 as ops

    layers, figures = [], []
    for layer in model.get_ordered_ops():
        weights = _weights(layer)
        if weights is None:
            continue
        source = layer.input_value(0)
        plane, all_axes = np.array([2, 3], np.int64), np.array([0, 1, 2, 3], np.int64)
        mean = ops.reduce_mean(source, plane, keep_dims=True)
        variance = ops.reduce_mean(ops.squared_difference(source, mean), plane)
        figures += [variance, ops.reduce_min(source, all_axes), ops.reduce_max(source, all_axes)]
        layers.append((layer.get_friendly_name(), np.square(weights, dtype=np.float64).sum(axis=(0, 2, 3))))
    if not layers:
        return {}
    probe = openvino.Model([figure.output(0) for figure in figures], model.get_parameters(), "probe")
    run = shared_core().compile_model(probe, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    noise: dict[str, float] = {}
    for x in inputs:
        values = [np.asarray(value, np.float64) for value in run([x]).values()]
        for index, (name, gain) in enumerate(layers):
            variance, low, high = values[3 * index : 3 * index + 3]
            step = (max(float(high), 0.0) - min(float(low), 0.0)) / 255
            content = float((variance.reshape(-1) * gain).sum())
            error = step * step / 12 * float(gain.sum())
            noise[name] = max(noise.get(name, 0.0), (error / content) ** 0.5 if content else 0.0)
    return noise


def fold_constants(model: Any) -> None:
    """Computes what does not depend on the input, such as a reshaped bias, in place."""
    from openvino.passes import ConstantFolding, Manager

    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)


def require_nncf() -> None:
    """Raises UnavailableError if NNCF is not installed."""
    if importlib.util.find_spec("nncf") is None:
        raise UnavailableError(f"int8 is made with NNCF, which is not installed: {install_command('int8')}")


def _weights(layer: Any) -> NDArray[Any] | None:
    """The constant weights (O, I, h, w) of a convolution; None for other layers."""
    if layer.get_type_name() != "Convolution" or len(layer.input_value(0).get_partial_shape()) != 4:
        return None
    source = layer.input_value(1).get_node()
    if source.get_type_name() == "Convert":  # stored in half precision
        source = source.input_value(0).get_node()
    return np.asarray(source.get_data()) if source.get_type_name() == "Constant" else None
