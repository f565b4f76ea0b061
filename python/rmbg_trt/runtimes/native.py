# SPDX-License-Identifier: Apache-2.0
"""Our own CPU network (csrc/network/cpu): translates an ONNX file into its graph and compiles it for this processor.

A model file (``.rmbg``, see csrc/engine/model_file.h) holds the graph already.

Every size is computed on the way. The CPU network has only a few kinds of layers. Any other raises
``UnsupportedNetworkError`` with the reason, and another runtime may run the model.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .. import _core
from ..errors import InputError, ModelError
from ..recipe import check_normalisation
from . import onnx_layers
from .devices import file_kind
from .onnx_file import OnnxNetwork, SizeError, check_output, needed_nodes, opset_of, read_network
from .onnx_node import CONSTANT_OPERATORS, Array, GraphError, Node, PartialGraph, constant_value, evaluate, read_node
from .request import UnsupportedNetworkError


def compile_model(
    path: Path,
    size: tuple[int, int] | None,
    compile_graph: Callable[[_core.CpuGraph], _core.CpuModel] = _core.CpuModel,
) -> _core.CpuModel:
    """Reads an ONNX or model file and packs its weights for this processor.

    Args:
        path: The file.
        size: Network input (height, width); None takes the model's own.
        compile_graph: Compiles the graph; by default in fp32.

    Raises:
        UnsupportedNetworkError: Our network lacks a layer of the model, or the file is OpenVINO's.
        ModelError: The file cannot be read or is not an image-to-matte network.
        InputError: The size does not fit the model.
    """
    if path.suffix.lower() == ".xml":
        raise UnsupportedNetworkError("it reads ONNX files, and .xml is OpenVINO's format")
    graph = _graph_of_file(path, size) if file_kind(path) == "native" else import_graph(read_network(path, size))
    try:
        return compile_graph(graph)
    except SizeError:
        raise
    except InputError as error:  # the core's own checks, such as the largest dilation
        raise UnsupportedNetworkError(str(error)) from error


def centres_of_file(path: Path) -> Array:
    """The centres for bf16 in a model file, (n,) float32; empty if it has none or is of another kind."""
    return _core.read_model_file(str(path)).centres if file_kind(path) == "native" else np.zeros(0, np.float32)


def _graph_of_file(path: Path, size: tuple[int, int] | None) -> _core.CpuGraph:
    model = _core.read_model_file(str(path))
    check_normalisation(path.name, *model.normalization)
    own = model.graph.shape(0)[1:]
    if size not in (None, own):
        text, wanted = ("x".join(map(str, sides)) for sides in (own, size or own))
        raise SizeError(
            f"{path.name} is a model file for {text} only; leave size out, or export it with --size {wanted}"
        )
    return model.graph


@functools.cache
def processor_name() -> str:
    """The processor's model name on Linux, the machine's architecture elsewhere."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "model name" and value.strip():
                    return value.strip()
    except OSError:
        pass
    return platform.machine()


def import_graph(network: OnnxNetwork) -> _core.CpuGraph:
    """Translates a model.

    Args:
        network: From ``read_network``. Only its first output is computed.

    Returns:
        The graph, with its output set.

    Raises:
        UnsupportedNetworkError: The CPU network does not have a layer, a layout or an attribute.
        ModelError: The model is damaged, or its first output is not one map.
        InputError: The layers do not fit together at the requested size.
    """
    try:
        return _GraphReader(network).run()
    except UnsupportedNetworkError:
        network.check_declared_output()  # if no runtime can use the output, that is the better message
        raise
    except GraphError as error:
        raise network.size_error(str(error)) from error


class _GraphReader(PartialGraph):
    """Visits the nodes in order; each becomes a value of our graph or a constant."""

    def __init__(self, network: OnnxNetwork) -> None:
        self.network = network
        opset = opset_of(network.model)
        self._nodes = [read_node(node, opset) for node in needed_nodes(network.model.graph)]
        super().__init__(_core.CpuGraph(3, *network.size), network, self._nodes)
        for node in self._nodes:  # first, because a convolution folds constants of the layers after it
            if node.kind == "Constant":
                self.constants[node.output] = constant_value(node)
            elif node.kind == "Identity" and node.inputs[:1] and node.inputs[0] in self.constants:
                self.constants[node.output] = self.constants[node.inputs[0]]

    def run(self) -> _core.CpuGraph:
        """Reads all nodes that the first output needs."""
        for node in self._nodes:
            if node.output not in self.values and node.output not in self.constants:
                self._read(node)
        output = self.network.output
        if output not in self.values:
            raise ModelError(f"{self.network.path}: its first output {output!r} does not depend on the image")
        check_output(self.network.path, (1, *self.graph.shape(self.values[output])))
        self.graph.set_output(self.values[output])
        return self.graph

    def _read(self, node: Node) -> None:
        for name in node.inputs:
            if name and name not in self.values and name not in self.constants:
                raise GraphError(f"layer {node.name} ({node.kind}) reads {name!r}, which nothing computes")
        if node.kind == "Shape":
            self.constants[node.output] = self._shape(node)
        elif node.kind in CONSTANT_OPERATORS and self.values.keys().isdisjoint(node.inputs):
            inputs = [self.constant(node, index) for index in range(len(node.inputs))]
            self.constants[node.output] = evaluate(node, inputs)
        elif node.kind in onnx_layers.LAYERS:
            self.values[node.output] = onnx_layers.add_layer(self, node)
        else:
            raise UnsupportedNetworkError(f"it does not have the operator {node.kind} of layer {node.name}")

    def _shape(self, node: Node) -> Array:
        constant = None if node.input(0) in self.values else self.constant(node, 0)
        shape = (1, *self.graph.shape(self.value(node, 0))) if constant is None else constant.shape
        return np.array(shape[node.get("start", 0) : node.get("end")], np.int64)
