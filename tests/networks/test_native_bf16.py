# SPDX-License-Identifier: Apache-2.0
"""Engines and models in bfloat16 on our own network: what is kept of a photograph's matte, and the cache of centres.

Every processor runs these: where there is no bfloat16, tiles are multiplied by the plain version.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests import make, reference
from tests.networks.test_cpu_network import Builder

from rmbg_trt import Engine, UnavailableError, _core, models
from rmbg_trt.files import file_sha256
from rmbg_trt.networks.native import compile_bf16, measure_centres
from rmbg_trt.runtimes.native import import_graph
from rmbg_trt.runtimes.onnx_file import read_network


def pretend(monkeypatch: pytest.MonkeyPatch, bf16: bool) -> None:
    """A processor with or without bfloat16; the plain version of the tiles runs on each."""
    info = {**_core.cpu_info(), "bf16": bf16}
    monkeypatch.setattr(_core, "cpu_info", lambda: info)


def test_without_the_instructions_bf16_is_refused(small_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, bf16=False)
    with pytest.raises(UnavailableError, match="no bfloat16 arithmetic"):
        Engine(small_model, precision="bf16", runtime="native")


def test_engine_in_bf16_remembers_its_centres(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend(monkeypatch, bf16=True)
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path))
    frame = make.noise(60, 80, 3)
    mattes = []
    for _ in range(3):
        with Engine(small_model, precision="bf16", runtime="native") as engine:
            assert (engine.info.runtime, engine.info.precision) == ("native", "bf16")
            mattes.append(engine.run(frame))
        [table] = tmp_path.glob("centres/*.npy")
        if len(mattes) == 2:
            assert "damaged" not in caplog.text
            table.write_bytes(b"damaged")
    assert "cannot be used and is made again" in caplog.text
    assert np.load(table).dtype == np.float32
    np.testing.assert_array_equal(mattes[0], mattes[1])
    np.testing.assert_array_equal(mattes[0], mattes[2])


def test_auto_passes_over_bf16_where_the_core_refuses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, bf16=True)
    b = Builder()
    hidden = b.conv(b.conv("x", 3, 16), 16, 16, dilation=100)
    path = b.save(tmp_path / "m.onnx", b.sigmoid(b.conv(hidden, 16, 1)), (1, 3, 40, 40), (1, 1, 40, 40))
    with Engine(path, device="cpu", runtime="native") as engine:
        assert engine.info.precision == "fp32"
        assert "dilation is 100; expected at most 64 in bf16" in engine.info.reason


def test_centres_of_another_network_or_that_cannot_be_kept(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path))
    graph = import_graph(read_network(small_model, None))
    compile_bf16(small_model, graph)
    [table] = tmp_path.glob("centres/*.npy")
    np.save(table, np.zeros(5, np.float32))
    compile_bf16(small_model, graph)
    assert "the table has 5 centres" in caplog.text
    np.savez(table.with_suffix(".npz"), a=np.zeros(1))
    table.write_bytes(table.with_suffix(".npz").read_bytes())
    compile_bf16(small_model, graph)
    assert "not a table of centres" in caplog.text
    monkeypatch.setenv("RMBG_TRT_HOME", str(small_model))  # a file, so no folder can be made in it
    compile_bf16(small_model, graph)
    assert "cannot be kept" in caplog.text


def test_a_start_reads_a_model_for_its_hash_once(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The choice of runtime and the centres both need it; a changed file is read again."""
    pretend(monkeypatch, bf16=True)
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path / "home"))
    hashed: list[Path] = []
    monkeypatch.setattr(models, "model_sha256", lambda path: (hashed.append(path), file_sha256(path))[1])
    model = tmp_path / "model.onnx"
    for start, extra in ((1, b""), (2, b"\x12\x00")):  # an empty field of the file, which changes nothing
        model.write_bytes(small_model.read_bytes() + extra)
        with Engine(model, device="cpu", precision="bf16", runtime="native"):
            assert hashed == [model] * start


def check_photographs(path: Path) -> None:
    """Mean difference at most 0.15 of 255 over all, and every foreground the same, but for pixels at the threshold.

    Every instruction set adds in an order of its own, and rounding is chance: the mean is 0.05 to 0.11, and that of the
    dark portrait, the most difficult one, 0.2 to 0.5.
    """
    graph = import_graph(read_network(path, (320, 320)))
    network = compile_bf16(path, graph).network()
    found = {}
    for name in reference.PHOTOGRAPHS:
        rgb = reference.photograph(name)
        got = reference.alpha(network.run(_core.preprocess(rgb, (320, 320), color="rgb"))[0, 0], rgb.shape[:2])
        want = reference.photograph_alpha(path, name)
        found[name] = (float(np.abs(got.astype(int) - want).mean()), reference.iou(got, want, borderline=4))
    assert np.mean([mean for mean, _ in found.values()]) <= 0.15, found
    assert all(mean <= 0.8 and same >= 0.995 for mean, same in found.values()), found


@pytest.mark.weights
def test_u2netp_keeps_the_matte(u2netp_path: Path) -> None:
    check_photographs(u2netp_path)


@pytest.mark.weights
@pytest.mark.slow
def test_u2net_keeps_the_matte(u2net_path: Path) -> None:
    check_photographs(u2net_path)


@pytest.mark.weights
@pytest.mark.parametrize("size", [(256, 384), (333, 517), (32, 32)])
def test_u2netp_of_other_sizes(u2netp_path: Path, size: tuple[int, int]) -> None:
    graph = import_graph(read_network(u2netp_path, size))
    x = _core.preprocess(reference.photograph("astronaut"), size, color="rgb")
    network = _core.CpuModel(graph, "bf16", measure_centres(graph, [x])).network()
    assert np.abs(network.run(x) - _core.CpuModel(graph).network().run(x)).mean() < 1e-3
