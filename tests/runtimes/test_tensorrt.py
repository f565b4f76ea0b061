# SPDX-License-Identifier: Apache-2.0
"""Finding a TensorRT, its messages, reading plans: with stand-ins, and with the real TensorRT-RTX if it is there."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests import small_models
from tests.export import fake_tensorrt

from rmbg_trt import _core
from rmbg_trt.errors import InputError, ModelError, UnavailableError
from rmbg_trt.install import install_command
from rmbg_trt.runtimes import tensorrt as tensorrt_runtime
from rmbg_trt.runtimes import tensorrt_plan
from rmbg_trt.runtimes.devices import Gpu, plan_kind
from rmbg_trt.runtimes.tensorrt import TensorRt, load
from rmbg_trt.runtimes.tensorrt_plan import TensorInfo, deserialize, io_tensors

RTX = ("tensorrt_rtx", "tensorrt_rtx_libs", "tensorrt_rtx_bindings")
H200 = Gpu(0, "NVIDIA H200", "9.0")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes exactly these modules importable, and no other TensorRT."""

    def do(**modules: Any) -> None:
        for name in ("tensorrt", *RTX):
            monkeypatch.setitem(sys.modules, name, modules.get(name))  # None: not found

    return do


@pytest.fixture
def fake() -> Any:
    return fake_tensorrt.make("10.13.0.35")


@pytest.fixture(scope="module")
def rtx() -> TensorRt:
    pytest.importorskip("tensorrt_rtx_bindings")
    return load("tensorrt_rtx")


def test_import_needs_no_tensorrt(in_python: Callable[..., str]) -> None:
    script = "import sys, rmbg_trt.runtimes.tensorrt; print([n for n in sys.modules if 'tensorrt' in n])"
    assert in_python(script) == "['rmbg_trt.runtimes.tensorrt']"


def test_asked_for_by_name(install: Callable[..., None], fake: Any) -> None:
    install(tensorrt=fake)
    runtime = load("tensorrt")
    assert (runtime.name, runtime.module, runtime.version) == ("tensorrt", fake, "10.13.0.35")
    assert runtime.title == "TensorRT 10.13.0.35"
    assert runtime.reason == "it was asked for"
    assert load("tensorrt").logger is runtime.logger


def test_libraries_are_imported_before_the_bindings(
    install: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install()
    for name in ("tensorrt_rtx_libs", "tensorrt_rtx_bindings"):
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "tensorrt_rtx_libs.py").write_text("loaded = True\n")
    (tmp_path / "tensorrt_rtx_bindings.py").write_text(
        "import sys\nassert 'tensorrt_rtx_libs' in sys.modules\n"
        "__version__ = '1.7'\nclass ILogger: pass\nclass Builder: pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tensorrt_rtx")  # looked for, and really absent from the path
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    runtime = load("tensorrt_rtx")
    assert runtime.title == "TensorRT-RTX 1.7"
    assert runtime.module.__name__ == "tensorrt_rtx_bindings"


@pytest.mark.parametrize(
    ("name", "extra"),
    [("tensorrt", "tensorrt"), ("tensorrt_rtx", "rtx")],
)
def test_missing(install: Callable[..., None], name: str, extra: str) -> None:
    install()
    command = install_command(extra)
    with pytest.raises(UnavailableError, match="is not installed") as raised:
        load(name)
    assert command in str(raised.value)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise OSError('libnvinfer.so.10: cannot open')", "libnvinfer.so.10: cannot open"),
        ("raise ImportError('undefined symbol: x')", "undefined symbol: x"),
        ("import a_part_that_is_not_there", "No module named 'a_part_that_is_not_there'"),
    ],
)
def test_broken_library(
    install: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, reason: str
) -> None:
    install()
    monkeypatch.delitem(sys.modules, "tensorrt")
    (tmp_path / "tensorrt.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UnavailableError, match="cannot be imported") as raised:
        load("tensorrt")
    assert reason in str(raised.value)


def test_module_of_the_same_name(install: Callable[..., None]) -> None:
    install(tensorrt=ModuleType("tensorrt"))
    with pytest.raises(UnavailableError, match="has no Builder"):
        load("tensorrt")


def test_unknown_name() -> None:
    with pytest.raises(InputError, match="expected auto, tensorrt or tensorrt_rtx"):
        load("tensorflow")


def test_auto_takes_tensorrt_on_a_gpu(install: Callable[..., None], fake: Any) -> None:
    install(tensorrt=fake, tensorrt_rtx=fake_tensorrt.make("11.0"))
    runtime = load("auto", H200)
    assert runtime.name == "tensorrt"
    assert "NVIDIA H200" in runtime.reason


def test_auto_takes_rtx_without_a_gpu(install: Callable[..., None], fake: Any) -> None:
    install(tensorrt=fake, tensorrt_rtx=fake_tensorrt.make("1.7"))
    runtime = load()
    assert runtime.name == "tensorrt_rtx"
    assert "no usable one" in runtime.reason


def test_auto_takes_rtx_where_tensorrt_is_missing(install: Callable[..., None]) -> None:
    install(tensorrt_rtx=fake_tensorrt.make("1.7"))
    runtime = load("auto", H200)
    assert runtime.name == "tensorrt_rtx"
    assert "TensorRT is not installed" in runtime.reason


@pytest.mark.parametrize("gpu", [None, H200])
def test_auto_without_any(install: Callable[..., None], gpu: Gpu | None) -> None:
    install()
    with pytest.raises(UnavailableError) as raised:
        load("auto", gpu)
    assert all(str(raised.value).count(install_command(extra)) == 1 for extra in tensorrt_runtime.EXTRAS.values())


def test_messages_go_to_the_log(install: Callable[..., None], fake: Any, caplog: pytest.LogCaptureFixture) -> None:
    install(tensorrt=fake)
    runtime = load("tensorrt")
    said = {"INTERNAL_ERROR": "five", "ERROR": "four\n  lines", "WARNING": "three", "INFO": "two", "VERBOSE": "one"}
    with caplog.at_level(logging.DEBUG, "rmbg_trt.tensorrt"):
        for severity, text in said.items():
            runtime.logger.log(fake.ILogger.Severity[severity], text)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("CRITICAL", "five"),
        ("ERROR", "four lines"),
        ("WARNING", "three"),
        ("INFO", "two"),
        ("DEBUG", "one"),
    ]
    assert runtime.errors() == ["five", "four lines"]
    runtime.clear()
    assert runtime.errors() == []


def test_echoes_are_not_quoted(install: Callable[..., None], fake: Any) -> None:
    install(tensorrt=fake)
    runtime = load("tensorrt")
    echo = "[checkMacros.cpp::catchCudaError::250] cudaError 35"
    runtime.logger.log(fake.ILogger.Severity.ERROR, echo)
    assert runtime.errors() == [echo]  # better than nothing
    runtime.logger.log(fake.ILogger.Severity.ERROR, "the reason")
    assert runtime.errors() == ["the reason"]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"ftrt\0\0", "tensorrt"),
        (b"vtrt", "tensorrt_rtx"),
        (b"vtr", None),
        (b"", None),
        (b"\x08\x08\x12\x07pytorch", None),
    ],
)
def test_plan_kind(head: bytes, kind: str | None) -> None:
    assert plan_kind(head) == kind


def test_tensors_of_an_engine(install: Callable[..., None], fake: Any) -> None:
    install(tensorrt=fake)
    runtime = load("tensorrt")
    assert io_tensors(runtime, deserialize(runtime, fake_tensorrt.PLAN)) == [
        TensorInfo("input", True, (-1, 3, -1, 64), "float32", ((1, 3, 32, 64), (2, 3, 48, 64), (4, 3, 64, 64))),
        TensorInfo("matte", False, (1, 1, 32, 64), "float16", None),
    ]


def test_refused_plan_quotes_the_runtime(install: Callable[..., None], fake: Any) -> None:
    install(tensorrt=fake)
    with pytest.raises(ModelError, match=r"19 bytes.*stdVersionRead.*rmbg-trt export"):
        deserialize(load("tensorrt"), b"ftrt of another one")


def test_no_targets_for_full_tensorrt(install: Callable[..., None], fake: Any) -> None:
    install(tensorrt=fake)
    runtime = load("tensorrt")
    assert tensorrt_runtime.known_targets(runtime) == ()
    with pytest.raises(InputError, match=r"a GPU of this machine \(device\)"):
        tensorrt_runtime.parse_target(runtime, "sm89")


class Header:
    """Gives one answer about a plan's header, and must not be asked to load it."""

    def __init__(self, validity: Any, bits: int) -> None:
        self.get_engine_validity = lambda plan: (validity, bits)

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        raise AssertionError("loaded, though the header is bad")


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [
        (["VERSION_MISMATCH"], ModelError, "another version built it"),
        (["UNSUPPORTED_CC"], ModelError, "not built for this GPU.*rmbg-trt export"),
        (["MALFORMED_ENGINE", "CUDA_ERROR"], ModelError, "CUDA does not work|not a plan"),
        (["OLD_CUDA_DRIVER"], UnavailableError, "driver is too old"),
        (["OLD_CUDA_RUNTIME"], UnavailableError, "CUDA runtime is too old"),
        (["INSUFFICIENT_GPU_MEMORY"], UnavailableError, "too little memory"),
        (["CUDA_ERROR"], UnavailableError, "another plan will not help"),
    ],
)
def test_header_in_words(
    rtx: TensorRt, monkeypatch: pytest.MonkeyPatch, names: list[str], error: type[Exception], words: str
) -> None:
    members = rtx.module.EngineInvalidityDiagnostics.__members__
    header = Header(rtx.module.EngineValidity.INVALID, sum(members[name].value for name in names))
    monkeypatch.setattr(TensorRt, "create", lambda self, kind: header)
    with pytest.raises(error, match=words):
        deserialize(rtx, b"vtrt" + bytes(100))


def test_every_diagnostic_has_words(rtx: TensorRt) -> None:
    assert set(rtx.module.EngineInvalidityDiagnostics.__members__) <= set(tensorrt_plan._DIAGNOSTICS)


@pytest.mark.parametrize("text", ["sm86", "SM_86", "8.6", "86", " SM86 "])
def test_spellings_of_a_target(rtx: TensorRt, text: str) -> None:
    assert tensorrt_runtime.parse_target(rtx, text) == "sm86"


def test_two_digit_capabilities(rtx: TensorRt) -> None:
    assert tensorrt_runtime.parse_target(rtx, "12.0") == tensorrt_runtime.parse_target(rtx, "120") == "sm120"


@pytest.mark.parametrize("text", ["sm10", "8", "ada", "", "8.6.1", "current", "sm8x"])
def test_unknown_target_names_the_known(rtx: TensorRt, text: str) -> None:
    with pytest.raises(InputError, match="sm75, sm80, sm86"):
        tensorrt_runtime.parse_target(rtx, text)


@pytest.fixture(scope="module")
def rtx_plan(rtx: TensorRt, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from rmbg_trt.export.options import InputShape
    from rmbg_trt.export.to_tensorrt import PlanOptions, build_plan

    model = small_models.matte(tmp_path_factory.mktemp("rtx") / "small.onnx", 32, 64).read_bytes()
    sides = {"height": (32, 32, 32), "width": (64, 64, 64)}
    return build_plan(model, rtx, PlanOptions(InputShape(**sides))).data


@pytest.mark.skipif(bool(_core.cuda_devices()) or shutil.which("nvidia-smi") is not None, reason="there may be a GPU")
def test_good_plan_without_a_driver(rtx: TensorRt, rtx_plan: bytes) -> None:
    with pytest.raises(UnavailableError, match=r"cudaError.*another plan will not help"):
        deserialize(rtx, rtx_plan)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda plan: plan[:-1], "truncated"),
        (lambda plan: plan[: len(plan) // 2], "truncated"),
        (lambda plan: plan + b"\0", "damaged"),
        (lambda plan: plan[:20], "not a plan"),
        (lambda plan: b"", r"not a TensorRT plan \(0 bytes\)"),
        (lambda plan: bytes(range(256)), "not a TensorRT plan"),
        (lambda plan: b"f" + plan[1:], "a plan for TensorRT .*expected one for TensorRT-RTX"),
    ],
)
def test_damaged_plan(rtx: TensorRt, rtx_plan: bytes, damage: Callable[[bytes], bytes], words: str) -> None:
    with pytest.raises(ModelError, match=words) as raised:
        deserialize(rtx, damage(rtx_plan))
    assert "rmbg-trt export" in str(raised.value)
