# SPDX-License-Identifier: Apache-2.0
"""Our own CPU network in bfloat16, against PyTorch in double.

Small integers are bfloat16 numbers, and so are their sums up to 256: nets of them must come out exact, so that a wrong
tap, edge, channel or centre shows whatever rounding hides. Real weights are held to what rounding costs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rmbg_trt import InputError, _core
from rmbg_trt.networks.native import measure_centres

Floats = NDArray[np.float32]
ISAS = ("generic", "avx2", "avx512", "avx512_bf16", "amx")


class Net:
    """A graph for the core and its values in PyTorch, made side by side. Values are numbers, 0 is the input."""

    def __init__(self, height: int, width: int, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.graph = _core.CpuGraph(3, height, width)
        self.x = self.random.integers(-3, 4, (1, 3, height, width)).astype(np.float32)
        self.values = [torch.from_numpy(self.x).double()]

    def _append(self, value: int, result: torch.Tensor) -> int:
        assert value == len(self.values)
        assert self.graph.shape(value) == tuple(result.shape[1:])
        self.values.append(result)
        return value

    def conv(self, x: int, cout: int, kernel: int = 3, dilation: int = 1, terms: int = 18) -> int:
        """Weights 1 and -1 in `terms` places of each output."""
        cin = self.values[x].shape[1]
        weights = np.zeros((cout, cin * kernel * kernel), np.float32)
        for row in weights:
            places = self.random.permutation(row.size)[:terms]
            row[places] = self.random.choice([-1, 1], places.size)
        return self.conv_of(x, weights.reshape(cout, cin, kernel, kernel), dilation)

    def conv_of(self, x: int, weights: Floats, dilation: int = 1) -> int:
        bias = self.random.integers(-4, 5, len(weights)).astype(np.float32)
        result = functional.conv2d(
            self.values[x],
            torch.from_numpy(weights).double(),
            torch.from_numpy(bias).double(),
            padding=dilation * (weights.shape[2] // 2),
            dilation=dilation,
        )
        return self._append(self.graph.conv(x, weights, bias, dilation), result)

    def relu(self, x: int) -> int:
        return self._append(self.graph.relu(x), self.values[x].relu())

    def sigmoid(self, x: int) -> int:
        return self._append(self.graph.sigmoid(x), self.values[x].sigmoid())

    def add(self, a: int, b: int) -> int:
        return self._append(self.graph.add(a, b), self.values[a] + self.values[b])

    def concat(self, *values: int) -> int:
        return self._append(self.graph.concat(list(values)), torch.cat([self.values[v] for v in values], 1))

    def pool(self, x: int) -> int:
        return self._append(self.graph.max_pool(x), functional.max_pool2d(self.values[x], 2, 2, ceil_mode=True))

    def resize(self, x: int, height: int, width: int, mode: str = "half_pixel") -> int:
        result = functional.interpolate(
            self.values[x], (height, width), mode="bilinear", align_corners=mode == "align_corners"
        )
        return self._append(self.graph.resize(x, height, width, mode), result)

    def difference(self, output: int, centred: bool = True) -> float:
        """The largest one, of a run with random whole centres, or with none."""
        self.graph.set_output(output)
        centres = np.zeros(0, np.float32)
        if centred:
            size = _core.CpuModel(self.graph, "bf16").network().channel_means(self.x).size
            centres = self.random.integers(-9, 10, size).astype(np.float32)
        got = _core.CpuModel(self.graph, "bf16", centres).network().run(self.x)
        want = self.values[output].numpy()
        assert want.std() > 1e-3 or want.size < 4, "the oracle itself is constant: this would check nothing"
        assert np.abs(want).max() < 2000
        return float(np.abs(got - want).max())


SIZES = [(1, 1), (1, 7), (2, 3), (5, 4), (13, 1), (16, 16), (20, 33), (47, 61), (7, 130)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dilation", [1, 2, 4, 8])
def test_conv_of_every_size_and_dilation(size: tuple[int, int], dilation: int) -> None:
    net = Net(*size)
    inner = net.conv(net.relu(net.conv(0, 32, 1)), 48, dilation=dilation)
    assert net.difference(net.conv(net.relu(inner), 1, 1, terms=48)) == 0


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize(
    ("cin", "cout"),
    [(1, 9), (3, 16), (6, 16), (9, 16), (16, 16), (16, 96), (17, 33), (32, 16), (48, 64), (64, 9), (80, 48), (130, 40)],
)
def test_conv_of_any_channel_count(cin: int, cout: int, kernel: int) -> None:
    net = Net(26, 19)
    inner = net.conv(net.conv(0, cin, 1), cout, kernel)
    assert net.difference(net.conv(inner, 1, 1, terms=cout)) == 0


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("cout", [1, 2, 7])
def test_side_outputs_are_planar(cout: int, kernel: int) -> None:
    net = Net(9, 37)
    side = net.conv(net.conv(0, 40, 1), cout, kernel, dilation=2)
    assert net.difference(net.conv(side, 1)) == 0


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 9), (21, 34), (40, 64), (33, 70)])
@pytest.mark.parametrize("cout", [16, 32, 48])
def test_what_a_convolution_takes_in(size: tuple[int, int], cout: int) -> None:
    """ReLU, a sum and pooling, in one step and in bands of rows."""
    net = Net(*size)
    first = net.relu(net.conv(0, cout, 1))
    total = net.add(net.relu(net.conv(first, cout, terms=12)), first)
    pooled = net.relu(net.conv(net.pool(total), 16, terms=1))
    both = net.concat(net.resize(net.conv(pooled, 1, 1, terms=1), *size), net.conv(total, 1, 1, terms=1))
    assert net.difference(net.conv(both, 1, 1)) <= 1e-4  # the resize is in float


def test_layers_that_no_convolution_takes_in() -> None:
    net = Net(15, 22)
    a, b = net.conv(0, 24, 1), net.conv(0, 24, 3, terms=5)
    positive = net.relu(a)
    total = net.add(net.add(positive, b), net.relu(net.add(a, b)))
    joined = net.concat(net.conv(net.pool(net.pool(total)), 1, 1), net.conv(net.pool(net.pool(a)), 1, 1))
    assert net.difference(net.conv(joined, 1, 1)) == 0


def test_sigmoid_of_many_channels() -> None:
    net = Net(9, 11)
    assert net.difference(net.conv(net.sigmoid(net.conv(0, 20, 1)), 1, 1, terms=4), centred=False) < 4 * 2**-8


@pytest.mark.parametrize("mode", ["half_pixel", "align_corners"])
@pytest.mark.parametrize("inner", [(1, 2), (1, 9), (5, 3), (10, 14), (40, 31)])
def test_resize_up_and_down(mode: str, inner: tuple[int, int]) -> None:
    """Interpolated values have more digits than bfloat16; four are summed up."""
    net = Net(20, 23)
    small = net.resize(net.conv(0, 40, 1), *inner, mode)
    back = net.resize(small, 20, 23, mode)
    assert net.difference(net.conv(back, 1, 1, terms=4)) < 4 * 2 * 16 * 2**-8


def test_concatenations_are_slices_or_copies() -> None:
    """Of 16 channels and of odd counts, nested, one read by itself as well, wide ones and planar ones."""
    net = Net(21, 34)
    first, second, planar = net.relu(net.conv(0, 16)), net.conv(0, 32, 1), net.conv(0, 5)
    slices = net.concat(second, first)
    own = net.conv(first, 16, terms=5)  # 16 channels between others'
    dilated = net.conv(second, 16, dilation=4, terms=5)
    nested = net.concat(net.concat(slices, own), dilated)
    odd = net.concat(net.conv(0, 11, 1), planar, net.conv(0, 21, 1), 0)
    joined = net.concat(net.conv(nested, 1, terms=40), net.conv(odd, 1, terms=40), net.conv(slices, 1))
    assert net.difference(net.conv(joined, 1, 1)) == 0


def test_values_that_are_not_numbers_do_not_stay() -> None:
    """Memory is used again, and what one frame left in it must not reach the next one."""
    net = Net(18, 27)
    first = net.relu(net.conv(0, 16))
    joined = net.concat(net.relu(net.conv(net.conv(first, 16, terms=5), 16, terms=5)), first)
    output = net.conv(net.conv(joined, 48, terms=3), 1, terms=20)
    net.graph.set_output(output)
    network = _core.CpuModel(net.graph, "bf16").network()
    network.run(np.full_like(net.x, np.nan))
    np.testing.assert_array_equal(network.run(net.x), net.values[output].numpy())


SCRIPT = """
import sys, numpy as np
from rmbg_trt import _core
from tests.networks.test_cpu_network_bf16 import random_net
net, output = random_net()
net.graph.set_output(output)
np.save(sys.argv[1], _core.CpuModel(net.graph, "bf16").network().run(net.x))
print(_core.cpu_isa())
"""


def random_net() -> tuple[Net, int]:
    """Whole numbers up to the first tile product, one channel of the last: everything else adds in a fixed order."""
    net = Net(23, 45)

    def weights(cout: int, cin: int) -> Floats:
        return (net.random.standard_normal((cout, cin, 3, 3)) / np.sqrt(9 * cin)).astype(np.float32)

    first = net.conv(0, 16, 1)
    inner = net.relu(net.conv_of(first, weights(48, 16)))
    inner = net.add(net.relu(net.conv_of(net.concat(inner, first), weights(48, 64), dilation=2)), inner)
    return net, net.conv_of(inner, np.eye(1, 48, 5, dtype=np.float32).reshape(1, 48, 1, 1))


@pytest.mark.slow
@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_adds_up_alike(tmp_path: Path, in_python: Callable[..., str], isa: str) -> None:
    """To the bit, but AVX512-BF16, whose dot products add up in another order."""
    results = {}
    for each in ("generic", isa):
        used = in_python(SCRIPT, str(tmp_path / f"{each}.npy"), RMBG_ISA=each, PYTHONPATH=os.pathsep.join(sys.path))
        if used != each:
            pytest.skip(f"this processor has no {each}")
        results[each] = np.load(tmp_path / f"{each}.npy")
    net, output = random_net()
    assert np.abs(results[isa] - net.values[output].numpy()).max() < 0.1
    if isa == "avx512_bf16":
        np.testing.assert_allclose(results[isa], results["generic"], rtol=2**-7, atol=2**-7)
    else:
        np.testing.assert_array_equal(results[isa], results["generic"])


CHAINS = """
import hashlib
from rmbg_trt import _core
from tests.networks.test_cpu_network_bf16 import chained_net
net = chained_net(HEIGHT, WIDTH)
model = _core.CpuModel(net.graph, "bf16")
network = model.network()
result = network.run(net.x)
chains = sum("; then" in row for row, _ in network.profile(model, net.x))
print(chains, hashlib.sha256(result).hexdigest(), float(result.std()))
"""


def chained_net(height: int, width: int) -> Net:
    """U²-Net's full-resolution layers: its way in with pooling, its way out with resizing, sums and a side output."""
    net = Net(3, 3)
    net.graph = graph = _core.CpuGraph(3, height, width)
    net.x = net.random.standard_normal((1, 3, height, width)).astype(np.float32)

    def conv(x: int, cout: int, dilation: int = 1) -> int:
        cin = graph.shape(x)[0]
        weights = net.random.standard_normal((cout, cin, 3, 3)).astype(np.float32) / np.float32(np.sqrt(9 * cin))
        return graph.conv(x, weights, np.zeros(cout, np.float32), dilation)

    way_in = graph.relu(conv(0, 64))
    narrow = graph.relu(conv(way_in, 16))
    small = graph.relu(conv(graph.max_pool(narrow), 16, dilation=2))
    joined = graph.concat([graph.resize(small, height, width), narrow])
    total = graph.add(graph.relu(conv(joined, 64)), way_in)
    below = graph.resize(graph.relu(conv(graph.max_pool(total), 64)), height, width)
    wide = graph.relu(conv(graph.concat([below, total]), 64))
    graph.set_output(conv(graph.add(graph.relu(conv(graph.relu(conv(wide, 16, dilation=3)), 64)), wide), 1))
    return net


@pytest.mark.parametrize("size", [(320, 320), (301, 203), (162, 335)])
def test_bands_of_rows_change_nothing(in_python: Callable[..., str], size: tuple[int, int]) -> None:
    """Too many threads for bands run the layers one by one: the same to the bit, and nothing races or is left out."""
    script = CHAINS.replace("HEIGHT", str(size[0])).replace("WIDTH", str(size[1]))
    path = os.pathsep.join(sys.path)
    printed = [in_python(script, RMBG_NUM_THREADS=str(count), PYTHONPATH=path).split() for count in (1, 2, 3, 200)]
    assert [int(chains) > 1 for chains, _, _ in printed] == [True, True, True, False]
    assert len({digest for _, digest, _ in printed}) == 1
    assert float(printed[0][2]) > 1e-3, "a constant result would check nothing"


def far_reaching_net(height: int, width: int) -> Net:
    """A layer in the middle of a chain leads by more rows than the first one."""
    net = Net(3, 3)
    net.graph = graph = _core.CpuGraph(3, height, width)
    net.x = net.random.standard_normal((1, 3, height, width)).astype(np.float32)

    def conv(x: int, cout: int, dilation: int = 1) -> int:
        weights = net.random.standard_normal((cout, graph.shape(x)[0], 3, 3)).astype(np.float32) / 20
        return graph.conv(x, weights, np.zeros(cout, np.float32), dilation)

    side, start = graph.relu(conv(0, 64)), graph.relu(conv(0, 64))
    graph.set_output(conv(graph.add(graph.relu(conv(start, 64, dilation=40)), side), 1))
    return net


def test_borders_of_parts_do_not_meet(in_python: Callable[..., str]) -> None:
    script = CHAINS.replace("HEIGHT", "320").replace("WIDTH", "320").replace("chained_net", "far_reaching_net")
    path = os.pathsep.join(sys.path)
    printed = [in_python(script, RMBG_NUM_THREADS=str(count), PYTHONPATH=path).split() for count in (1, 2, 200)]
    assert [int(chains) for chains, _, _ in printed] == [1, 0, 0], "two workers' parts would be shorter than the lead"
    assert len({digest for _, digest, _ in printed}) == 1


def test_centres_are_the_means_and_keep_small_differences() -> None:
    """A channel near 1000 that varies by less than 1: bfloat16 counts in fours there."""
    net = Net(20, 30)
    weights = np.zeros((16, 3, 1, 1), np.float32)
    weights[:, 0] = 1 / 8
    first = net.graph.conv(0, weights, np.full(16, 1000, np.float32))
    net.graph.set_output(net.graph.conv(net.graph.relu(first), np.ones((1, 16, 1, 1), np.float32), np.zeros(1)))
    want = 16 * (1000 + net.x[:, :1] / 8)
    plain = _core.CpuModel(net.graph, "bf16").network().run(net.x)
    assert np.abs(plain - want).max() > 1
    centres = measure_centres(net.graph, [net.x])
    assert np.abs(centres - (1000 + net.x[0, 0].mean() / 8)).max() < 0.5
    got = _core.CpuModel(net.graph, "bf16", centres).network().run(net.x)
    assert np.abs(got - want).max() < 0.02


@pytest.mark.parametrize(
    ("precision", "size", "words"),
    [
        ("bf16", 3, "table has 3 centres; expected 16"),
        ("fp32", 16, "for a network in bf16"),
        ("fp16", 0, "'fp32' or 'bf16'"),
    ],
)
def test_wrong_tables_and_precisions_are_refused(precision: str, size: int, words: str) -> None:
    net = Net(8, 8)
    net.graph.set_output(net.conv(net.conv(0, 16), 1))
    with pytest.raises(InputError, match=words):
        _core.CpuModel(net.graph, precision, np.zeros(size, np.float32))  # type: ignore[arg-type]


def test_a_dilation_without_end_is_refused() -> None:
    net = Net(8, 8)
    net.graph.set_output(net.conv(net.conv(net.conv(0, 16), 16, dilation=1000), 1))
    with pytest.raises(InputError, match="dilation is 1000; expected at most 64 in bf16"):
        _core.CpuModel(net.graph, "bf16")
