# SPDX-License-Identifier: Apache-2.0
"""int8 on the CPU: quantised once, verified, refused where it loses too much, and kept whole."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import reference, small_models

from rmbg_trt import Engine, InputError, ModelError, UnavailableError
from rmbg_trt.cache import cache_dir
from rmbg_trt.errors import Error
from rmbg_trt.export import calibration, int8_job, to_int8
from rmbg_trt.export.images import NamedImage
from rmbg_trt.export.int8_checks import check_int8, check_of
from rmbg_trt.export.int8_job import export_int8
from rmbg_trt.install import install_command
from rmbg_trt.networks import openvino as openvino_network
from rmbg_trt.recipe import read_sidecar
from rmbg_trt.runtimes.openvino import read_model, shared_core

pytest.importorskip("openvino")
if importlib.util.find_spec("nncf") is None:  # it is not to be imported here
    pytest.skip("NNCF is not installed", allow_module_level=True)

pytestmark = pytest.mark.slow
LEAVE_NONE_IN_FLOAT = 1e9


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("int8") / "home"


@pytest.fixture(autouse=True)
def home(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that the tests of this file share; those that look into it begin with ``emptied``."""
    monkeypatch.setenv("RMBG_TRT_HOME", str(shared_home))
    monkeypatch.setattr(calibration, "CALIBRATE", 6)
    monkeypatch.setattr(calibration, "VARIED", 5)
    return shared_home


@pytest.fixture
def emptied(home: Path) -> Path:
    shutil.rmtree(home, ignore_errors=True)
    return home / "int8"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Its third layer has a channel that is always 500, which the last layer takes off again."""
    return small_models.leaky(tmp_path / "leaky.onnx", 64, 64)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The models that were quantised."""
    calls: list[Path] = []
    make = int8_job.make_int8

    def noted(path: Path, *rest: Any) -> Any:
        calls.append(path)
        return make(path, *rest)

    for module in (int8_job, openvino_network):
        monkeypatch.setattr(module, "make_int8", noted)
    return calls


def open_(path: Path, **options: Any) -> Engine:
    return Engine(path, **{"device": "cpu", "precision": "int8", "color": "rgb", "slots": 1, **options})


def ready(path: Path, **options: Any) -> str:
    with open_(path, **options) as engine:
        return engine.info.reason


def folder_of(place: Path, *, masks: bool, count: int = 8) -> Path:
    """Photographs; their masks are where the image is bright, which is nothing that the network knows."""
    for index in range(count):
        rgb = np.roll(reference.photograph("coffee")[:200, :300], 20 * index, axis=1)
        for name, pixels in (("images", rgb), ("masks", np.where(rgb[:, :, 0] > 150, 255, 0).astype(np.uint8))):
            if masks or name == "images":
                (place / name).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(place / name / f"{index}.png")
    return place


# What it computes.


@pytest.mark.parametrize("ours", [True, False])
def test_int8_is_compared_with_the_network_that_fp32_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    """Our own where it can run the model, at the size that is wanted, and OpenVINO's otherwise."""
    path = (small_models.matte if ours else small_models.half_size)(tmp_path / "m.onnx", *((32, 48) if ours else (32,)))
    core = shared_core()
    before = read_model(core, path, (64, 64) if ours else None)
    real, asked = int8_job._predict, []
    monkeypatch.setattr(int8_job, "_predict", lambda *args: asked.append(args) or real(*args))
    x = np.random.default_rng(0).random((1, 3, *((64, 64) if ours else (32, 32))), np.float32)
    got = int8_job._fp32(core, before, path)(x)
    assert bool(asked) != ours
    np.testing.assert_allclose(got, real(core, before)(x), atol=1e-5)


def test_the_matte_is_that_of_fp32(model: Path) -> None:
    frame = reference.photograph("astronaut")
    with open_(model) as int8, open_(model, precision="fp32") as fp32:
        assert (int8.info.precision, int8.info.runtime) == ("int8", "openvino")
        difference = np.abs(int8.run(frame).astype(int) - fp32.run(frame))
    assert 0 < difference.mean() < 5, "equal mattes would mean that nothing was quantised"


def test_the_layer_that_8_bit_would_spoil_stays_in_float(model: Path) -> None:
    network = shared_core().read_model(str(model))
    to_int8.fold_constants(network)
    inputs = calibration.find_samples(None).inputs((64, 64))
    noise = {name.partition("/")[0]: value for name, value in to_int8.step_noise(network, inputs).items()}
    assert list(noise) == ["first", "second", "third", "last"]
    assert max(noise[name] for name in ("first", "second", "third")) < 0.02 < to_int8.MAX_NOISE < noise["last"]
    ready(model)
    sidecar = read_sidecar(next((cache_dir() / "int8").glob("leaky*")) / "model.xml")
    assert sidecar is not None
    assert [name.partition("/")[0] for name in sidecar.fp32_layers] == ["first", "last"]


def test_noise_by_hand(tmp_path: Path) -> None:
    """One layer whose input goes from -1 to 1 in two channels of variance 1 and 0, and a third that is 4."""
    network = shared_core().read_model(str(small_models.matte(tmp_path / "model.onnx", 2, 2)))
    to_int8.fold_constants(network)
    x = np.zeros((1, 3, 2, 2), np.float32)
    x[0, 0], x[0, 2] = [[-1, 1], [1, -1]], 4
    weights = np.array([0.9, 0.15, -0.6])  # of small_models.matte
    error = (5 / 255) ** 2 / 12 * (weights**2).sum()
    (noise,) = to_int8.step_noise(network, [x]).values()
    assert noise == pytest.approx((error / weights[0] ** 2) ** 0.5, rel=1e-4)


def test_the_reason_has_the_figures(model: Path, home: Path) -> None:
    reason = ready(model)
    assert "int8 because it was asked for, " in reason
    assert "; calibrated with variations of 4 images of the package; " in reason
    assert "with fp32's mattes on 5 images" in reason


# Calibration.


def test_a_folder_of_photographs(model: Path, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "photos", masks=False)
    assert "calibrated with 4 images of photos; IoU " in ready(model, calibration=folder)
    assert "with fp32's mattes on 4 images" in ready(model, calibration=str(folder))


def test_masks_are_the_truth(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "photos", masks=True)
    samples = calibration.find_samples(folder)
    assert [each.image.name for each in samples.calibrate] == ["0.png", "2.png", "4.png", "6.png"]
    assert [each.mask and each.mask.name for each in samples.verify] == ["1.png", "3.png", "5.png", "7.png"]
    for image, truth in samples.to_verify():
        np.testing.assert_array_equal(truth, np.where(image.rgb[:, :, 0] > 150, 255, 0))
    other = calibration.find_samples(folder, folder_of(tmp_path / "val", masks=True, count=2))
    assert (len(other.calibrate), [each.image.parts[-3] for each in other.verify]) == (6, ["val", "val"])
    assert other.what == "6 images of photos"


def test_figures_by_hand() -> None:
    """An image of four pixels in a row; the truth is the right half."""
    image = NamedImage("four", np.zeros((1, 4, 3), np.uint8))
    truth = np.array([[0, 0, 255, 255]], np.uint8)

    def gives(*values: float) -> Any:
        return lambda x: np.array(values, np.float32).reshape(1, 1, 1, 4)

    fp32, int8 = gives(0, 0, 1, 1), gives(0, 0.6, 1, 1)
    check = check_int8(fp32, int8, [(image, truth), (image, truth)], (1, 4))
    assert (check.images, check.masks, check.iou_fp32, check.worst_image) == (2, True, 1, "four")
    assert check.iou == pytest.approx(2 / 3)
    assert check.mean_alpha == 153 / 4
    assert check.failures()[0].startswith("int8 loses 0.3333 of IoU")
    assert check_of(json.loads(json.dumps(check.to_dict()))) == check
    timed = dataclasses.replace(check, fp32_ms=200.0, int8_ms=150.0)
    assert (timed.share_of_time, str(timed)) == (
        0.75,
        f"{dataclasses.replace(check, fp32_ms=0)}; 0.75 of fp32's network time",
    )
    older = {name: value for name, value in timed.to_dict().items() if not name.endswith("_ms")}
    assert check_of(older) == dataclasses.replace(check, fp32_ms=0, int8_ms=0)
    undecided = check_int8(gives(0, 0.4, 0.4, 1), gives(0, 0.7, 0.2, 1), [(image, None)], (1, 4))
    assert (undecided.iou, undecided.masks) == (1, False)
    same = check_int8(int8, int8, [(image, None)], (1, 4))
    assert (same.loss, same.masks, same.failures()) == (0, False, [])
    with pytest.raises(ModelError, match="NaN or Inf on four"):
        check_int8(fp32, gives(0, float("nan"), 0, 1), [(image, None)], (1, 4))
    with pytest.raises(ModelError, match="no readable image"):
        check_int8(fp32, int8, [], (1, 4))


def test_few_images_are_varied(tmp_path: Path) -> None:
    samples = calibration.find_samples(folder_of(tmp_path / "photos", masks=False, count=3))
    inputs = samples.inputs((64, 48))
    assert [each.shape for each in inputs] == [(1, 3, 64, 48)] * calibration.CALIBRATE
    assert len({each.tobytes() for each in inputs}) == len(inputs)
    assert [each.tobytes() for each in samples.inputs((64, 48))] == [each.tobytes() for each in inputs]


def test_damaged_images_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = folder_of(tmp_path / "photos", masks=True, count=3)
    (folder / "images/0.png").write_bytes(b"no image")
    (folder / "masks/1.png").write_bytes(b"no mask")
    assert [image.name for image, _ in calibration.find_samples(folder).to_verify()] == ["2.png"]
    assert "0.png" in caplog.text
    assert "1.png" in caplog.text
    for each in (folder / "images").iterdir():
        each.write_bytes(b"no image")
    with pytest.raises(InputError, match="none can be read"):
        calibration.find_samples(folder).inputs((64, 64))


def test_an_image_that_is_gone_is_left_out(model: Path, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "photos", masks=False, count=2)
    (folder / "images/gone.png").symlink_to(tmp_path / "nowhere.png")
    assert "variations of 3 images of photos" in ready(model, calibration=folder)


def test_masks_are_no_photographs(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "set" / "train", masks=True, count=2)
    with pytest.raises(InputError, match=r"masks holds masks, not photographs; give .*train with images/ and masks/"):
        calibration.find_samples(folder.parent)
    for each in (folder / "masks").iterdir():
        each.rename(each.with_stem(f"other_{each.stem}"))
    with pytest.raises(InputError, match="mask"):
        calibration.find_samples(folder)


def test_no_such_calibration(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="there are no images in the folder"):
        open_(model, calibration=tmp_path / "empty")
    with pytest.raises(InputError, match=r"'.*nowhere'; expected a folder of photographs"):
        open_(model, calibration=tmp_path / "nowhere")
    with pytest.raises(InputError, match="calibration is for precision 'int8', and precision is 'auto'"):
        Engine(model, calibration=tmp_path)
    with pytest.raises(InputError, match="calibration is 5; expected the path of a folder"):
        open_(model, calibration=5)


# The cache.


def test_it_is_made_once(model: Path, made: list[Path], emptied: Path, tmp_path: Path) -> None:
    first, second = ready(model), ready(model)
    assert first.replace("asked for, made now and kept;", "asked for, from the cache;") == second != first
    assert made == [model]
    assert [sorted(file.name for file in folder.iterdir()) for folder in emptied.iterdir()] == [
        ["model.bin", "model.xml", "model.xml.json"]
    ]
    ready(model, size=32)
    ready(model, calibration=folder_of(tmp_path / "photos", masks=False))
    Image.new("RGB", (50, 50), "red").save(tmp_path / "photos/images/3.png")
    ready(model, calibration=tmp_path / "photos")
    assert len(made) == 4


def test_from_the_cache_nncf_is_not_needed(model: Path, made: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    ready(model)
    before = len(made)
    without(monkeypatch, "nncf")
    assert "int8" in ready(model)
    assert len(made) == before


@pytest.mark.parametrize(
    ("file", "damage"),
    [("model.xml", "cut"), ("model.xml", "gone"), ("model.bin", "changed"), ("model.xml.json", "cut")],
)
def test_a_damaged_model_in_the_cache_is_made_again(
    model: Path, file: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = openvino_network.quantised(model, None, None)[0].with_name(file)
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else content[:-1] + b"~")
    assert "calibrated with" in ready(model)
    assert "cannot be used and is made again" in caplog.text
    caplog.clear()
    ready(model)
    assert not caplog.records


def test_of_two_threads_one_makes_it(model: Path, made: list[Path], emptied: Path) -> None:
    together = threading.Barrier(3)

    def get(_: int) -> Path:
        together.wait()
        return openvino_network.quantised(model, None, None)[0]

    with ThreadPoolExecutor(3) as pool:
        files = set(pool.map(get, range(3)))
    assert len(files) == len(made) == 1


def test_another_process_may_be_faster(tmp_path: Path) -> None:
    for name in ("whole", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.xml").write_text(name)
    openvino_network._put(tmp_path / "whole", tmp_path / "there")
    assert (tmp_path / "there/model.xml").read_text() == "there"
    with pytest.raises(OSError, match="nowhere"):
        openvino_network._put(tmp_path / "whole", tmp_path / "nowhere/there")


def test_the_ones_used_last_are_kept(model: Path, emptied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_network, "KEPT_MODELS", 1)
    first, _ = openvino_network.quantised(model, None, None)
    os.utime(first.parent, (1e9, 1e9))
    second, _ = openvino_network.quantised(model, (32, 32), None)
    assert list(emptied.iterdir()) == [second.parent]


def test_that_the_cache_cannot_be_written_shows_before_the_work(
    model: Path, made: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(int8_job, "to_int8", lambda *_: pytest.fail("it was quantised for nothing"))
    with pytest.raises(Error, match="could not be written"):
        open_(model)


def test_nothing_is_left_of_what_failed(model: Path, emptied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(openvino_network, "_put", fail)
    with pytest.raises(Error, match="No space left on device"):
        open_(model)
    assert list(emptied.iterdir()) == []


# Refused.


def test_a_model_that_loses_too_much_is_refused_and_that_is_remembered(
    model: Path, made: list[Path], emptied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(to_int8, "MAX_NOISE", LEAVE_NONE_IN_FLOAT)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"leaky\.onnx in int8 is refused: int8 loses 0\.\d+ of IoU") as caught:
            open_(model)
    message = str(caught.value)
    assert all(
        words in message for words in ("at most 0.02", "precision='fp32'", str(emptied), "4 images of the package")
    )
    assert made == [model]
    assert [file.name for folder in emptied.iterdir() for file in folder.iterdir()] == ["model.xml.json"]


def test_with_masks_the_bound_is_stricter(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_int8, "MAX_NOISE", LEAVE_NONE_IN_FLOAT)
    folder = folder_of(tmp_path / "photos", masks=False)
    with Engine(model, device="cpu", precision="fp32", color="rgb") as engine:
        for path in list((folder / "images").iterdir()):
            (folder / "masks").mkdir(exist_ok=True)
            alpha = engine.run(np.asarray(Image.open(path)))
            Image.fromarray(np.where(alpha >= 128, 255, 0).astype(np.uint8)).save(folder / "masks" / path.name)
    with pytest.raises(ModelError, match=r"fp32 1\.0000, on 4 images with masks.*expected at most 0\.005"):
        open_(model, calibration=folder)


def test_a_refusal_leaves_the_onnx_file_of_a_checkpoint(
    model: Path, tmp_path: Path, emptied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(to_int8, "MAX_NOISE", LEAVE_NONE_IN_FLOAT)
    cached, checkpoint = tmp_path / "best-0123.onnx", tmp_path / "best.pth"
    model.rename(cached)
    checkpoint.touch()
    conversions: list[Path] = []

    def convert(path: Path, size: Any) -> tuple[Path, bool]:
        conversions.append(path)
        return cached, False  # from the cache

    monkeypatch.setattr("rmbg_trt.networks.model_cache.convert", convert)
    with pytest.raises(ModelError, match=r"^best\.pth in int8 is refused"):
        open_(checkpoint)
    assert cached.is_file()
    assert conversions == [checkpoint]


def test_nothing_to_quantise(tmp_path: Path) -> None:
    one_layer = small_models.matte(tmp_path / "model.onnx", 64, 64)
    with pytest.raises(ModelError, match=r"model\.onnx has no layer that can be quantised"):
        open_(one_layer)


# Files that are int8.


def test_an_exported_file_is_opened_as_what_it_is(
    model: Path, tmp_path: Path, made: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out" / "leaky_int8.xml"
    stages: list[str] = []
    report = export_int8(str(model), out, progress=lambda stage, done, total: stages.append(stage))
    assert report.check.passed
    assert list(dict.fromkeys(stages)) == list(int8_job.STAGES)
    assert sorted(file.name for file in out.parent.iterdir()) == [
        "leaky_int8.bin",
        "leaky_int8.xml",
        "leaky_int8.xml.json",
    ]
    with pytest.raises(InputError, match=r"already exists; give --overwrite"):
        export_int8(str(model), out)
    frame = reference.photograph("rocket")
    with open_(model) as cached:
        expected = cached.run(frame)
    without(monkeypatch, "nncf")
    before = len(made)
    with open_(out) as int8, open_(out, precision="auto") as auto:
        assert int8.info.precision == auto.info.precision == "int8"
        assert "int8 because the file is; calibrated with variations" in auto.info.reason
        np.testing.assert_array_equal(int8.run(frame), expected)
    assert len(made) == before, "opening the file makes nothing"
    with pytest.raises(InputError, match=r"leaky_int8\.xml computes in int8; precision is 'fp32'"):
        open_(out, precision="fp32", runtime="openvino")
    with pytest.raises(InputError, match="is int8 already; leave calibration out"):
        open_(out, calibration=tmp_path)
    sidecar = out.parent / "leaky_int8.xml.json"
    told = sidecar.read_text()
    sidecar.write_text(told.replace('"sha256": "', '"sha256": "0', 1))
    with open_(out) as other:
        assert "its sidecar belongs to another model" in other.info.reason
    (out.parent / "leaky_int8.xml.json").unlink()
    with open_(out) as bare:
        assert bare.info.reason.endswith("int8 because the file is")


def test_int8_of_int8(model: Path, tmp_path: Path) -> None:
    file, _ = openvino_network.quantised(model, None, None)
    with pytest.raises(ModelError, match="computes in 8 bit already"):
        export_int8(str(file), tmp_path / "again.xml")


def test_a_failed_export_writes_nothing_unless_forced(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(to_int8, "MAX_NOISE", LEAVE_NONE_IN_FLOAT)
    out = tmp_path / "out" / "bad.xml"
    assert not export_int8(str(model), out).check.passed
    assert not out.exists()
    export_int8(str(model), out, force=True)
    assert json.loads((out.parent / "bad.xml.json").read_text())["forced"]
    with open_(out) as engine:
        assert "FAILED its verification" in engine.info.reason


def test_the_name_of_an_export(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.xml"):
        export_int8(str(model), tmp_path / "model.plan")


# What cannot be.


def test_what_to_install(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path))
    without(monkeypatch, "nncf")
    with pytest.raises(UnavailableError, match=r"NNCF, which is not installed: " + re.escape(install_command("int8"))):
        open_(model)


_WITH_ITS_EXTRA_ALONE = """
import sys

for name in ("torch", "onnxruntime", "onnxscript", "kornia", "lightning", "torchmetrics", "cv2"):
    sys.modules[name] = None
from pathlib import Path
from rmbg_trt import Engine
from rmbg_trt.export.calibration import find_samples
from rmbg_trt.export.int8_job import export_int8

model, photographs, out = sys.argv[1:]
assert Engine(model, device="cpu", precision="int8").info.precision == "int8"
assert len(list(find_samples(Path(photographs)).to_verify())) == 4  # with their masks
assert export_int8(model, Path(out)).check.passed
"""


def test_nothing_but_its_extra_is_needed(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path / "home"))
    photographs = folder_of(tmp_path / "photos", masks=True)
    command = [sys.executable, "-c", _WITH_ITS_EXTRA_ALONE, model, photographs, tmp_path / "out.xml"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("options", [{"device": "cuda"}, {"device": "auto", "runtime": "tensorrt"}])
def test_int8_is_for_the_cpu(model: Path, options: dict[str, str]) -> None:
    with pytest.raises(InputError, match="'int8' is for the CPU, with OpenVINO; on a GPU use 'fp16' or 'fp32'"):
        open_(model, **options)


def test_our_own_network_has_no_int8(model: Path) -> None:
    with pytest.raises(InputError, match="our own network computes in fp32"):
        open_(model, runtime="native")


def test_nncf_stays_out_of_this_process(model: Path, emptied: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLoggerClass()
    ready(model)
    assert capfd.readouterr().out == "", "an image may be on its way there"
    assert logging.getLoggerClass() is logger
    assert "NNCF_CI" not in os.environ
    assert not any(name.partition(".")[0] == "nncf" for name in sys.modules)


def test_what_nncf_says_against_a_model_is_told(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_int8, "step_noise", lambda *_: {"nowhere": 1.0})
    network, inputs = shared_core().read_model(str(model)), [np.zeros((1, 3, 64, 64), np.float32)]
    with pytest.raises(ModelError, match=r"^NNCF cannot quantise the model: Ignored .*'nowhere'"):
        to_int8.to_int8(network, inputs, tmp_path, no_news)


@pytest.mark.parametrize(
    ("child", "expected"),
    [
        (
            "import os; os.kill(os.getpid(), 9)",
            "failed with exit code -9; last output: nothing; there may be too little memory",
        ),
        ("raise SystemExit('no space left')", "failed with exit code 1; last output: no space left$"),
        ("import nncf_is_broken", "failed with exit code 1; last output: .*No module named 'nncf_is_broken'"),
        ("import os; os.kill(os.getpid(), 11)", "failed with exit code -11; last output: nothing$"),
    ],
)
def test_a_child_that_is_ended(
    model: Path, emptied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, child: str, expected: str
) -> None:
    (tmp_path / "child.py").write_text(child)
    monkeypatch.setattr(to_int8, "_CHILD", tmp_path / "child.py")
    with pytest.raises(Error, match=expected):
        open_(model)
    assert not emptied.exists() or list(emptied.iterdir()) == []


def test_a_broken_nncf_is_not_the_models_fault(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nncf").mkdir()
    (tmp_path / "nncf" / "__init__.py").write_text("import not_there")
    monkeypatch.setattr(sys, "path", [str(tmp_path), Path("of another kind"), *sys.path])
    with pytest.raises(Error, match=r"last output: ModuleNotFoundError: No module named 'not_there'$") as caught:
        to_int8.to_int8(shared_core().read_model(str(model)), [np.zeros((1, 3, 64, 64), np.float32)], tmp_path, no_news)
    assert not isinstance(caught.value, ModelError)


def test_a_full_disk_is_told(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")  # as OpenVINO has it

    monkeypatch.setattr("openvino.save_model", full)
    with pytest.raises(Error, match=r"could not be quantised in .*: .*iostream error"):
        to_int8.to_int8(shared_core().read_model(str(model)), [np.zeros((1, 3, 64, 64), np.float32)], tmp_path, no_news)


def no_news(stage: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


def test_ctrl_c_ends_the_child(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child takes an image, and would then write a file for as long as it lives."""
    alive = tmp_path / "alive"
    (tmp_path / "child.py").write_text(
        f"import os, time\nprint('{{\"done\": 1}}', flush=True)\n"
        f"open({str(alive)!r}, 'w').write(str(os.getpid()))\nwhile True: time.sleep(0.01)"
    )
    monkeypatch.setattr(to_int8, "_CHILD", tmp_path / "child.py")

    def interrupt(stage: str, *_: int) -> None:
        if stage == "calibrating":
            while not (alive.exists() and alive.read_text()):
                time.sleep(0.001)
            raise KeyboardInterrupt

    network, inputs = shared_core().read_model(str(model)), [np.zeros((1, 3, 64, 64), np.float32)]
    with pytest.raises(KeyboardInterrupt):
        to_int8.to_int8(network, inputs, tmp_path, interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(int(alive.read_text()), 0)


def test_a_model_that_is_no_faster_says_so(
    model: Path, emptied: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(int8_job, "NO_FASTER", 0.0)
    assert re.search(r"; \d+\.\d\d of fp32's network time$", ready(model))
    assert "of fp32's network time here: 'auto' is as good or better" in caplog.text
    caplog.clear()
    monkeypatch.setattr(int8_job, "NO_FASTER", 1e9)
    shutil.rmtree(emptied)
    ready(model)
    assert "fp32's network time" not in caplog.text


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    find: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in packages else find(name, *rest)
    )


def test_another_version_makes_it_again(model: Path, made: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    ready(model)
    monkeypatch.setattr(openvino_network, "__version__", "99")
    before = len(made)
    ready(model)
    assert len(made) == before + 1
