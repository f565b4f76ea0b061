# SPDX-License-Identifier: Apache-2.0
"""Our own network without any runtime: which files it opens, and what it says of those that it does not."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests import reference, small_models

from rmbg_trt import Engine, InputError, ModelError, UnavailableError, _core, doctor
from rmbg_trt.install import install_command
from rmbg_trt.runtimes.native import processor_name


def engine_of(model: Path, **options: object) -> Engine:
    return Engine(model, **{"device": "cpu", "precision": "fp32", "color": "rgb", "slots": 1, **options})


def check(model: Path, expected_size: tuple[int, int], *, oracle: Path | None = None, **options: object) -> None:
    """Against ONNX Runtime on the same model, or on ``oracle``, the same layers made for that size."""
    rgb = reference.photograph("rocket")
    with engine_of(model, **options) as engine:
        assert engine.info.runtime == "native"
        assert engine.info.input_size == expected_size
        difference = engine.run(rgb).astype(int) - reference.model_alpha(oracle or model, rgb, expected_size)
    assert np.abs(difference).max() <= 1, "only truncation at a step may differ"


def test_it_loads_no_runtime(small_model: Path, in_python: Callable[..., str]) -> None:
    """Neither OpenVINO nor what is only for exports."""
    script = """
import sys
import numpy as np
from pathlib import Path
from rmbg_trt import Engine

with Engine(Path(sys.argv[1]), device="cpu", runtime="native") as engine:
    assert engine.run(np.zeros((40, 60, 3), np.uint8)).shape == (40, 60)
    print(engine.info.runtime, [name for name in ("openvino", "onnxruntime", "torch") if name in sys.modules])
"""
    assert in_python(script, str(small_model)) == "native []"


@pytest.mark.parametrize("size", [(64, 64), (37, 51)])
def test_models_of_a_fixed_size(tmp_path: Path, size: tuple[int, int]) -> None:
    check(small_models.matte(tmp_path / "model.onnx", *size), size)


def test_models_of_an_open_size(tmp_path: Path) -> None:
    model = small_models.matte(tmp_path / "model.onnx", "height", "width")
    check(model, (320, 320))
    check(model, (64, 128), size=(64, 128))
    half_open = small_models.matte(tmp_path / "half.onnx", 64, "width")
    check(half_open, (64, 320))
    check(half_open, (96, 96), oracle=model, size=96)


def test_the_first_of_several_outputs_is_taken(tmp_path: Path) -> None:
    check(small_models.matte(tmp_path / "model.onnx", 64, 64, outputs=7), (64, 64))


@pytest.mark.parametrize("precision", ["fp32", "auto"])
@pytest.mark.usefixtures("without_openvino")
def test_it_is_taken_where_openvino_is_not_installed(small_model: Path, precision: str) -> None:
    with engine_of(small_model, precision=precision) as engine:
        assert engine.info.runtime == "native"


@pytest.mark.usefixtures("without_openvino")
def test_a_layer_that_it_lacks_is_named_with_what_to_install(tmp_path: Path) -> None:
    model = small_models.half_size(tmp_path / "half.onnx", 64)
    words = r"half\.onnx.*native: .*AveragePool of layer matte.*openvino: .*" + re.escape(install_command("openvino"))
    with pytest.raises(UnavailableError, match=words):
        engine_of(model)
    with pytest.raises(UnavailableError, match=r"runtime 'native' cannot run half\.onnx: .*AveragePool"):
        engine_of(model, runtime="native")


@pytest.mark.usefixtures("without_openvino")
def test_int8_says_what_to_install(small_model: Path) -> None:
    with pytest.raises(UnavailableError, match=re.escape(install_command("int8"))):
        engine_of(small_model, precision="int8")


@pytest.mark.usefixtures("without_openvino")
def test_a_size_that_the_layers_do_not_allow_is_refused(tmp_path: Path) -> None:
    model = small_models.rigid(tmp_path / "rigid.onnx", 48, 64)
    check(model, (48, 64))
    with pytest.raises(InputError, match=r"size 64x64 does not work with rigid.onnx \(.*leave size out"):
        engine_of(model, size=64)


def test_engines_of_one_model_share_its_weights(u2netp_path: Path) -> None:
    """A second engine takes activations only, and the last one that is closed gives everything back."""
    before = _core.bytes_in_use()
    rgb = reference.photograph("rocket")
    first = engine_of(u2netp_path, runtime="native")
    expected = first.run(rgb)
    one = _core.bytes_in_use() - before
    with engine_of(u2netp_path, runtime="native") as second, engine_of(u2netp_path, runtime="native", size=64):
        np.testing.assert_array_equal(second.run(rgb), expected)
        first.close()
        np.testing.assert_array_equal(second.run(rgb), expected)
    first = engine_of(u2netp_path, runtime="native")
    second = engine_of(u2netp_path, runtime="native")
    first.run(rgb)
    second.run(rgb)
    two = _core.bytes_in_use() - before
    assert one < two < 1.95 * one, (one, two)
    first.close()
    second.close()
    assert _core.bytes_in_use() - before < one / 50


def test_a_model_that_does_not_work_with_its_own_size_is_refused(tmp_path: Path) -> None:
    model = small_models.rigid(tmp_path / "rigid.onnx", 48, 64)
    damaged = tmp_path / "damaged.onnx"
    one, other = np.array([48, 64], np.int64).tobytes(), np.array([48, 65], np.int64).tobytes()
    assert model.read_bytes().count(one) == 1
    damaged.write_bytes(model.read_bytes().replace(one, other))
    with pytest.raises(ModelError, match=r"damaged\.onnx: does not work with its own input 48x64 \(layer .* makes"):
        engine_of(damaged, runtime="native")


def test_a_broken_installation_is_said(small_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UnavailableError, match=r"the package onnx does not load .*: install rmbg-trt again"):
        engine_of(small_model, runtime="native")


def test_files_of_openvino_are_left_to_it(tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text("<net/>")
    with pytest.raises(UnavailableError, match=r"'native' cannot run model\.xml: it reads ONNX files"):
        engine_of(tmp_path / "model.xml", runtime="native")


def test_the_processor_has_the_name_that_the_doctor_gives(small_model: Path) -> None:
    with engine_of(small_model, runtime="native") as engine:
        assert engine.info.device_name == processor_name()
    if Path("/proc/cpuinfo").exists():
        assert processor_name() == doctor.examine().processor.model
