# SPDX-License-Identifier: Apache-2.0
"""Bad input ends in an error that says what was got, what was expected and what to do; the engine stays usable."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import fakes

from rmbg_trt import Engine, Error, InputError, ModelError, UnavailableError, _core
from rmbg_trt.runtimes.devices import check_device

FRAME = fakes.tagged(77)  # (24, 40, 3)
READ_ONLY = np.zeros((24, 40), np.uint8)
READ_ONLY.flags.writeable = False


@pytest.fixture
def engine(fake_engine: Callable[..., Engine]) -> Engine:
    return fake_engine(fakes.read_tag, stretch="none")


def refused(engine: Engine, words: str, frame: Any, **options: Any) -> None:
    """Both ways in refuse it with these words, and the next frame comes out right."""
    for call in (engine.run, engine.submit):
        with pytest.raises(InputError, match=words) as caught:
            call(frame, **options)
        assert isinstance(caught.value, ValueError)
        assert (engine.run(FRAME) == 77).all()


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (np.zeros((0, 0, 3), np.uint8), r"frame is empty, shape \(0, 0, 3\); at least one pixel"),
        (np.zeros((5, 0, 3), np.uint8), "empty"),
        (np.zeros((0, 5), np.uint8), "empty"),
        (np.zeros(12, np.uint8), r"shape \(12,\); expected \(height, width\)"),
        (np.zeros((), np.uint8), r"shape \(\); expected"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"shape \(2, 4, 4, 3\); expected"),
        (np.zeros((4, 4, 5), np.uint8), r"shape \(4, 4, 5\); expected .*\(height, width, 3\)"),
        (np.zeros((4, 4, 2), np.uint8), r"shape \(4, 4, 2\)"),
        (np.zeros((3, 4, 0), np.uint8), r"shape \(3, 4, 0\)"),
        (np.zeros((4, 4, 3), np.float32), r"dtype float32; expected uint8.*\* 255"),
        (np.zeros((4, 4, 3), np.int8), r"dtype int8; expected uint8 \(for values 0\.\.255: frame\.astype\('uint8'\)\)"),
        (np.zeros((4, 4, 3), np.int64), r"dtype int64; expected uint8 \(for values 0\.\.255"),
        (np.zeros((4, 4, 3), np.uint16), r"dtype uint16; expected uint8 \(for 16 bit: \(frame / 257\)\.round"),
        (np.zeros((4, 4), bool), r"dtype bool; expected uint8 \(for a mask: frame\.astype\('uint8'\) \* 255\)"),
        (np.zeros((4, 4, 3), object), "dtype object; expected uint8"),
        (np.zeros((4, 5, 3), np.uint8)[::-1], r"strides \(-15, 3, 1\).*ascontiguousarray"),
        (np.zeros((4, 5, 3), np.uint8)[:, ::-1], "strides.*only rows may be padded"),
        (np.zeros((4, 5, 3), np.uint8)[:, :, ::-1], "strides.*color= instead of reversing"),
        (np.zeros((4, 9, 3), np.uint8)[:, ::2], "strides"),
        (np.zeros((3, 5, 4), np.uint8).transpose(1, 2, 0), "strides"),
        (np.broadcast_to(np.zeros((1, 5, 3), np.uint8), (4, 5, 3)), "strides"),
        (None, "frame is NoneType; expected a NumPy array"),
        ("frame.png", "frame is str; expected"),
        (b"bytes", "frame is bytes; expected"),
        (object(), "frame is object; expected"),
        ([[1, 2], [3, 4]], "frame is list; expected"),
        (7, "frame is int; expected"),
        (Image.new("RGB", (0, 4)), "empty"),
    ],
)
def test_frames(engine: Engine, frame: Any, words: str) -> None:
    refused(engine, words, frame)


@pytest.mark.parametrize(
    ("out", "options", "words"),
    [
        (READ_ONLY, {}, "result is read-only"),
        (np.zeros((24, 41), np.uint8), {}, "result is 41x24 with 1 channels; expected 40x24 with 1 channels"),
        (np.zeros((40, 24), np.uint8), {}, "expected 40x24"),
        (np.zeros((24, 40, 3), np.uint8), {}, "expected 40x24 with 1 channels"),
        (np.zeros((24, 40), np.uint8), {"output": "cutout"}, "expected 40x24 with 4 channels"),
        (np.zeros((24, 40, 4), np.uint8), {"output": "composite", "background": "red"}, "with 3 channels"),
        (np.zeros((24, 40), np.float32), {}, r"dtype float32; expected uint8 \(make it with numpy\.empty"),
        (np.zeros((40, 24), np.uint8).T, {}, "strides"),
        (np.zeros((24, 40), np.uint8)[::-1], {}, "strides"),
        (bytearray(24 * 40), {}, "out is bytearray; expected a NumPy array"),
        ("alpha.png", {}, "out is str"),
    ],
)
def test_out(engine: Engine, out: Any, options: dict[str, Any], words: str) -> None:
    refused(engine, words, FRAME, out=out, **options)


COLOURED: dict[str, Any] = {"output": "composite", "background": "red"}


@pytest.mark.parametrize(("rows", "columns"), [(1, 0), (0, 1), (23, 0), (23, 39), (-1, 0), (-2, 3)])
def test_out_that_overlaps_the_frame(engine: Engine, rows: int, columns: int) -> None:
    memory = np.zeros((96, 120, 3), np.uint8)
    frame, out = memory[24:48, 40:80], memory[24 + rows : 48 + rows, 40 + columns : 80 + columns]
    refused(engine, "overlaps the memory of the frame; expected memory of its own", frame, out=out, **COLOURED)
    refused(
        engine, "overlaps the memory of the frame", frame[:, :, :], out=memory.ravel()[11600:][:960].reshape(24, 40)
    )


def test_out_that_overlaps_the_background(engine: Engine) -> None:
    memory = np.zeros((48, 40, 3), np.uint8)
    options: dict[str, Any] = {"output": "composite", "background": memory[:24]}
    refused(engine, "overlaps the memory of the background", FRAME, out=memory[1:25], **options)


def test_out_beside_the_frame_and_in_its_place(engine: Engine) -> None:
    both = np.random.default_rng(1).integers(0, 256, (24, 80, 3), dtype=np.uint8)
    frame, beside = both[:, :40], both[:, 40:]
    expected = engine.run(frame.copy(), **COLOURED)
    np.testing.assert_array_equal(engine.run(frame, out=beside, **COLOURED), expected)
    np.testing.assert_array_equal(engine.run(frame, out=frame, **COLOURED), expected)
    image = beside.copy()
    expected = engine.run(FRAME, output="composite", background=image.copy())
    np.testing.assert_array_equal(engine.run(FRAME, out=image, output="composite", background=image), expected)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (FRAME, r"frames is one array of shape \(24, 40, 3\); expected many frames: pass \[frame\]"),
        (FRAME[:, :, 0], r"one array of shape \(24, 40\)"),
        (Image.new("RGB", (40, 24)), "frames is Image; expected a list"),
        ("photo.jpg", "frames is str; expected a list"),
        (None, "frames is NoneType; expected a list"),
    ],
)
def test_map_of_what_is_not_many_frames(engine: Engine, frames: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        engine.map(frames)


def test_map_takes_arrays_of_frames(engine: Engine) -> None:
    assert len(list(engine.map(np.zeros((3, 24, 40, 3), np.uint8)))) == 3
    assert len(list(engine.map(np.zeros((3, 24, 40), np.uint8)))) == 3  # gray


@pytest.mark.parametrize(
    ("dtype", "options", "words"),
    [
        ("bfloat16", {}, "frame is a Tensor of torch.bfloat16 .*expected uint8"),
        ("uint8", {}, None),
        ("float32", {"requires_grad": True}, r"frame is a Tensor of torch.float32 .*detach\(\) it first"),
        ("float32", {}, "dtype float32; expected uint8"),
    ],
)
def test_tensors_of_torch(engine: Engine, dtype: str, options: dict[str, Any], words: str | None) -> None:
    torch = pytest.importorskip("torch")
    wants_grad = options.get("requires_grad", False)
    tensor = torch.zeros((24, 40, 3), dtype=getattr(torch, dtype), requires_grad=wants_grad)
    if words is None:
        assert engine.run(tensor).shape == (24, 40)
    else:
        refused(engine, words, tensor)


def test_out_is_not_for_pil_images(engine: Engine) -> None:
    refused(engine, "out= is not for PIL", Image.new("RGB", (40, 24)), out=np.zeros((24, 40), np.uint8))


@pytest.mark.parametrize("output", ["mask", "", None, 3, ["alpha"]])
def test_outputs(engine: Engine, output: Any) -> None:
    refused(
        engine, f"output is {re.escape(repr(output))}; expected 'alpha', 'cutout' or 'composite'", FRAME, output=output
    )


@pytest.mark.parametrize(
    ("background", "words"),
    [
        (None, "needs a background: '#rrggbb'"),
        ("no-such-colour", "'no-such-colour' is not a colour; expected"),
        ("#12", "is not a colour"),
        ("", "is not a colour"),
        ("rgb(300,0,0)", r"'rgb\(300,0,0\)' is \(300, 0, 0\) as RGB; expected numbers from 0 to 255"),
        ("rgb(200%,0%,0%)", "expected numbers from 0 to 255"),
        ("hsl(0,300%,50%)", "expected numbers from 0 to 255"),
        ("hsv(0,100%,150%)", "expected numbers from 0 to 255"),
        ("#ff000000", "is not opaque; expected a colour without alpha"),
        ("#f008", "is not opaque"),
        ("rgba(255,0,0,128)", "is not opaque"),
        ("#ff0000ff", None),
        (b"red", "expected a str"),
        (Image.new("RGBA", (4, 4), (1, 2, 3, 254)), "background image has transparent pixels; expected an opaque one"),
        (Image.new("LA", (4, 4), (1, 0)), "transparent pixels"),
        (Image.new("RGBA", (4, 4), (1, 2, 3, 255)), None),
        ("blur:", None),
        ("blur:-3", "blur radius must be a number of pixels, above 0 and up to 1000"),
        ("blur:0", "blur radius"),
        ("blur:nan", "blur radius"),
        ("blur:inf", "blur radius"),
        ("blur:wide", "blur radius"),
        ((1, 2), "expected three numbers"),
        ((1, 2, 256), "expected three numbers"),
        ((-1, 2, 3), "expected three numbers"),
        ((0.5, 0.5, 0.5), "expected three numbers"),
        (("a", "b", "c"), "expected three numbers"),
        (5, "expected three numbers"),
        (object(), "expected three numbers"),
        (np.zeros((24, 40), np.uint8), "expected three numbers"),
        (np.zeros((24, 40, 4), np.uint8), r"shape \(24, 40, 4\).*expected an image \(h, w, 3\) uint8"),
        (np.zeros((24, 40, 3), np.float32), "dtype float32; expected an image"),
        (np.zeros((0, 40, 3), np.uint8), "expected an image"),
    ],
)
def test_backgrounds(engine: Engine, background: Any, words: str | None) -> None:
    if words is None:  # an empty radius is the default one, and alpha that is all 255 is none
        engine.run(FRAME, output="composite", background=background)
    else:
        refused(engine, words, FRAME, output="composite", background=background)


def test_a_background_without_a_composite_is_a_mistake(engine: Engine) -> None:
    refused(engine, "background= is for output='composite', not for 'cutout'", FRAME, output="cutout", background="red")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "fp64"}, "precision is 'fp64'; expected one of auto, fp32, bf16"),
        ({"precision": None}, "precision is None"),
        ({"runtime": "caffe"}, "runtime is 'caffe'; expected auto, native, openvino, tensorrt, tensorrt_rtx or torch"),
        ({"runtime": None}, "runtime is None"),
        ({"filter": "nearest"}, "filter is 'nearest'; expected 'lanczos' or 'bilinear' or 'area'"),
        ({"stretch": "histogram"}, "stretch is 'histogram'; expected 'minmax', 'none' or .low, high. with 0"),
        ({"color": "hsv"}, "color is 'hsv'; expected 'bgr' or 'rgb'"),
        ({"color": None}, "color is None"),
        ({"slots": 0}, "slots is 0; expected a whole number from 1 to 64"),
        ({"slots": 65}, "slots is 65"),
        ({"slots": 2.0}, "slots is 2.0"),
        ({"slots": True}, "slots is True"),
        ({"size": 31}, "size is 31; expected one side or .*from 32 to 4096"),
        ({"size": 4097}, "size is 4097"),
        ({"size": (64, 64, 3)}, r"size is \(64, 64, 3\)"),
        ({"size": (64,)}, r"size is \(64,\)"),
        ({"size": 64.0}, "size is 64.0"),
        ({"size": "64"}, "size is '64'"),
        ({"size": (64, 64.5)}, "size is"),
        ({"device": "tpu"}, "device is 'tpu'; expected 'auto', 'cpu', 'cuda' or 'cuda:N'"),
        ({"device": "cuda:x"}, "device is 'cuda:x'"),
        ({"device": "cuda:-1"}, "device is 'cuda:-1'"),
        ({"device": ""}, "device is ''"),
        ({"device": None}, "device is None"),
        ({"device": 0}, "device is 0"),
    ],
)
def test_options(small_model: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Engine(small_model, **options)


@pytest.mark.parametrize("size", [(48, 64), [48, 64], (np.int64(48), np.int32(64))])
def test_a_size_that_the_model_has_is_fine(small_model: Path, size: Any) -> None:
    with Engine(small_model, size=size) as engine:
        assert engine.info.input_size == (48, 64)


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"no file was found at 'no/such\.onnx'"):
        Engine("no/such.onnx")
    with pytest.raises(InputError, match="Did you mean 'u2netp'"):
        Engine("u2netpp")


@pytest.mark.parametrize("runtime", ["auto", "native", "openvino"])
@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"not a model at all", bytes(range(256)) * 40])
def test_files_that_are_no_models(tmp_path: Path, content: bytes, runtime: str) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=re.escape(str(file))):
        Engine(file, runtime=runtime)


@pytest.mark.parametrize("runtime", ["auto", "native", "openvino"])
def test_a_truncated_model(tmp_path: Path, small_model: Path, runtime: str) -> None:
    whole = small_model.read_bytes()
    file = tmp_path / "model.onnx"
    for length in (10, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=re.escape(str(file))):
            Engine(file, runtime=runtime)


@pytest.mark.skipif(bool(_core.cuda_devices()), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:3"])
def test_no_gpu_is_an_error_never_a_fallback(small_model: Path, device: str) -> None:
    with pytest.raises(UnavailableError, match=f"device='{device}': .*device='cpu'"):
        Engine(small_model, device=device)


def test_what_to_do_without_cuda_code_and_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    build = {"cuda": False, "cuda_problem": "this build has no CUDA code"}
    monkeypatch.setattr(_core, "build_info", lambda: build)
    monkeypatch.setattr(_core, "cuda_devices", list)
    with pytest.raises(UnavailableError, match=r"no CUDA code\. Install the CUDA toolkit"):
        check_device("cuda")
    assert check_device("auto") == "CPU because this build has no CUDA code"
    build.update(cuda=True, cuda_problem="the driver is too old")
    with pytest.raises(
        UnavailableError, match=r"no such GPU \(the driver is too old\)\. Check the driver with nvidia-smi"
    ):
        check_device("cuda")
    assert "the driver is too old" in check_device("auto")
    assert check_device("cpu") == ""


def test_every_error_is_one_of_ours() -> None:
    for error in (InputError, ModelError, UnavailableError):
        assert issubclass(error, Error)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("u2net.plan", b"vtrt rest", "plan of TensorRT-RTX.*built from, which .* calls u2net.fp32.onnx"),
        ("u2net.engine", b"ftrt rest", "plan of TensorRT, and"),
    ],
)
def test_models_that_must_be_exported_first(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnavailableError, match=words):
        Engine(tmp_path / name, device="cpu")  # a machine with a GPU would try it


def test_a_damaged_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "best.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        Engine(tmp_path / "best.safetensors", device="cpu")
