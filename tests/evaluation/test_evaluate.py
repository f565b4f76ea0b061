# SPDX-License-Identifier: Apache-2.0
"""The job: figures that are known beforehand, pairs that fail, and what ends it."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.evaluation import made_set
from tests.evaluation.made_set import IOU, SIZE

from rmbg_trt import Engine
from rmbg_trt.errors import InputError, ModelError
from rmbg_trt.evaluation import MEASURES, evaluate
from rmbg_trt.evaluation.result import labels, score
from rmbg_trt.training import matte_metrics, metrics
from rmbg_trt.training.data import Pair, read_mask, read_pairs

pytest.importorskip("py_sod_metrics")
pytest.importorskip("openvino")


def test_what_is_known_beforehand(folder: Path, sharp: Path) -> None:
    evaluation = evaluate([sharp], folder, device="cpu")
    [model] = evaluation.models
    assert [each.pair.name for each in model.images] == list(IOU)
    for each in model.images:
        assert each.size == SIZE
        assert each.score.values["iou"] == pytest.approx(IOU[each.pair.name])
    means = model.means()
    assert means["iou"] == pytest.approx(0.5)
    # By area: nothing, 32 x 24 of 48 x 64, and 20 x 20 and 20 x 30.
    assert means["mae"] == pytest.approx((0 + 768 / 3072 + 1000 / 3072) / 3, abs=0.002)
    assert means["dice"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert (evaluation.data, evaluation.failures) == (str(folder), [])
    assert (model.label, model.info.device, len(model.sha256)) == ("sharp", "cpu", 64)
    assert model.counts() == {"images": 3, "mattes": 0, "empty_truths": 0}


def test_the_figures_are_those_of_the_engine(folder: Path, blurred: Path) -> None:
    """Computed once more, one image after another, without anything of the job."""
    [model] = evaluate([blurred], folder, device="cpu", matte="always", filter="bilinear").models
    with Engine(blurred, device="cpu", color="rgb", filter="bilinear") as engine:
        for each in model.images:
            alpha = engine.run(np.asarray(Image.open(each.pair.image)))
            truth = read_mask(each.pair.mask)
            expected = {
                **{name: getattr(metrics, name)(alpha, truth) for name in ("mae", "iou", "dice", "accuracy", "max_f")},
                **{name: getattr(metrics, name)(alpha, truth) for name in ("weighted_f", "s_measure", "e_measure")},
                **{name: getattr(matte_metrics, name)(alpha, truth) for name in ("sad", "mse", "grad", "conn")},
            }
            assert each.score.values == pytest.approx(expected)
            assert list(each.score.values) == [each.key for each in MEASURES]


def test_max_f_of_a_set_is_the_maximum_of_the_mean_curve(folder: Path, blurred: Path) -> None:
    [model] = evaluate([blurred], folder, device="cpu").models
    curves = [each.score.curve for each in model.images]
    assert model.means()["max_f"] == pytest.approx(np.mean(curves, axis=0).max())
    assert model.means()["max_f"] < np.mean([curve.max() for curve in curves]) - 1e-4, "not the mean of the maxima"


def test_categories(folder: Path, sharp: Path) -> None:
    [model] = evaluate([sharp], folder, device="cpu").models
    assert model.categories == ["a", "b"]
    assert model.means("a")["iou"] == pytest.approx(0.75)
    assert model.means("b")["iou"] == 0
    assert (model.counts("a")["images"], model.counts("b")["images"]) == (2, 1)


def test_splits_and_pairs(folder: Path, sharp: Path) -> None:
    def names(data: Any, **options: Any) -> list[str]:
        return [each.pair.name for each in evaluate([sharp], data, device="cpu", **options).models[0].images]

    assert names(folder, split="train") == ["other"]
    assert names(folder, split=None) == [*IOU, "other"]
    assert names(folder / "pairs.csv", jobs=1) == list(IOU)
    pairs = read_pairs(folder)[::-1]
    assert names(pairs, split="test") == ["other", *list(IOU)[::-1]], "pairs are taken as they are"
    with pytest.raises(InputError, match="no pairs of the split 'test'"):
        evaluate([sharp], folder, split="test")


def test_masks_of_another_size(tmp_path: Path, sharp: Path) -> None:
    seen = made_set.box(8, 8, 40, 56)
    pair = made_set.write_pair(tmp_path, "large", seen, np.kron(seen, np.ones((2, 2), bool)), "a", "val")
    [model] = evaluate([sharp], [pair], device="cpu").models
    assert model.images[0].size == SIZE
    assert model.means()["iou"] == 1


def test_mattes(tmp_path: Path, sharp: Path) -> None:
    """Only a truth of more than two values is a matte, unless they are asked for."""
    seen = made_set.box(8, 8, 40, 56)
    soft = seen * np.uint8(255)
    soft[8] //= 2
    pairs = [
        made_set.write_pair(tmp_path, "hard", seen, seen, "a", "val"),
        made_set.write_pair(tmp_path, "soft", seen, soft, "a", "val"),
    ]
    [model] = evaluate([sharp], pairs, device="cpu").models
    assert ["sad" in each.score.values for each in model.images] == [False, True]
    assert model.counts()["mattes"] == 1
    assert model.means()["sad"] == model.images[1].score.values["sad"] > 0, "a mean over those that have it"
    for matte, count in (("always", 2), ("never", 0)):
        [model] = evaluate([sharp], pairs, device="cpu", matte=matte).models  # type: ignore[arg-type]
        assert model.counts()["mattes"] == count
        assert ("sad" in model.means()) == (count > 0)
    with pytest.raises(InputError, match="matte is 'maybe'; expected auto, always, never"):
        evaluate([sharp], pairs, matte="maybe")  # type: ignore[arg-type]


def test_fast_leaves_out_what_is_slow() -> None:
    alpha = made_set.box(0, 0, 9, 9) * np.uint8(255)
    slow = {each.key for each in MEASURES if each.slow}
    assert slow == {"weighted_f", "grad", "conn"}
    assert (
        set(score(alpha, alpha, matte="always").values) - set(score(alpha, alpha, matte="always", fast=True).values)
        == slow
    )


def test_empty_truths_are_counted(tmp_path: Path, sharp: Path) -> None:
    pair = made_set.write_pair(tmp_path, "nobody", made_set.box(0, 0, 9, 9), np.zeros(SIZE, bool), "a", "val")
    [model] = evaluate([sharp], [pair], device="cpu").models
    assert model.counts()["empty_truths"] == 1
    assert all(np.isfinite(list(model.means().values())))
    assert (model.means()["iou"], model.means()["max_f"]) == (0, 0)


# What fails.


def test_bad_pairs_do_not_stop_the_others(folder: Path, sharp: Path) -> None:
    pairs = read_pairs(folder, "val")
    broken = Pair("broken", folder / "broken.jpg", pairs[0].mask, "a", "val")
    broken.image.write_bytes(b"no image")
    cut = Pair("cut", pairs[0].image, folder / "cut.png", "a", "val")
    cut.mask.write_bytes(pairs[0].mask.read_bytes()[:40])
    gone = Pair("gone", pairs[0].image, folder / "gone.png", "a", "val")
    evaluation = evaluate([sharp, sharp], [broken, pairs[0], cut, gone, pairs[1]], device="cpu")
    for model in evaluation.models:
        assert [each.pair.name for each in model.images] == ["whole", "half"]
        assert model.means()["iou"] == pytest.approx(0.75)
    reasons = {each.pair.name: each.reason for each in evaluation.failures}
    assert len(evaluation.failures) == 3, "each once, not once for each model"
    assert "broken.jpg is not an image" in reasons["broken"]
    assert "cut.png" in reasons["cut"]
    assert "gone.png could not be read: No such file" in reasons["gone"]


def test_nothing_at_all(folder: Path, sharp: Path) -> None:
    gone = [Pair(f"{i}", folder / "gone.png", folder / "gone.png", "a", "val") for i in range(3)]
    with pytest.raises(InputError, match=r"none of the 3 pairs could be evaluated; the first: .*gone\.png could not"):
        evaluate([sharp], gone, device="cpu")
    with pytest.raises(InputError, match="no pairs"):
        evaluate([sharp], [])
    with pytest.raises(InputError, match="no model"):
        evaluate([], folder)


def test_a_bug_costs_one_image(folder: Path, sharp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Engine.run

    def sometimes(self: Engine, frame: Any, **options: Any) -> Any:
        if frame[8, 40, 0] < 100:  # "half" and "wrong"
            raise RuntimeError("a bug")
        return run(self, frame, **options)

    monkeypatch.setattr(Engine, "run", sometimes)
    evaluation = evaluate([sharp], folder, device="cpu")
    assert [each.pair.name for each in evaluation.models[0].images] == ["whole"]
    assert {each.reason for each in evaluation.failures} == {"RuntimeError: a bug"}


def test_all_models_are_looked_for_first(folder: Path, sharp: Path) -> None:
    seen: list[Any] = []
    with pytest.raises(InputError, match=r"gone\.onnx"):
        evaluate([sharp, folder / "gone.onnx"], folder, device="cpu", progress=lambda *step: seen.append(step))
    assert seen == []
    (folder / "bad.onnx").write_bytes(b"\0" * 50)
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        evaluate([folder / "bad.onnx"], folder, device="cpu")


def test_progress(folder: Path, sharp: Path, blurred: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    evaluate(
        [sharp, blurred],
        folder,
        device="cpu",
        progress=lambda info, done, total: seen.append((Path(info.model).stem, done, total)),
    )
    assert seen == [(name, done, 3) for name in ("sharp", "blurred") for done in range(4)]


def test_ctrl_c(folder: Path, sharp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those in work are finished, no other is begun, and no thread is left."""
    begun: list[str] = []

    def noted(*arguments: Any, **options: Any) -> Any:
        begun.append("one")
        return score(*arguments, **options)

    def interrupt(info: Any, done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    first = read_pairs(folder)[0]
    pairs = [dataclasses.replace(first, name=str(index)) for index in range(200)]
    monkeypatch.setattr("rmbg_trt.evaluation.job.score", noted)
    with pytest.raises(KeyboardInterrupt):
        evaluate([sharp], pairs, device="cpu", jobs=2, progress=interrupt, out=folder / "results")
    assert len(begun) < 100
    assert not [each for each in threading.enumerate() if each.name.startswith("rmbg-evaluate")]
    assert not (folder / "results").exists()
    assert not list(folder.glob(".rmbg-*"))


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (["u2net", "u2netp"], ["u2net", "u2netp"]),
        (["runs/1/best.pth", "runs/2/best.pth"], ["1-best", "2-best"]),
        (["u2net", "old/u2net.onnx"], ["u2net", "old-u2net"]),
        (["a/x.onnx", "b/X.onnx"], ["a-x", "b-X"]),
        (["a/x.onnx", "a/x.onnx"], ["a-x", "a-x-2"]),
        (["a/x y:z.onnx", "a/...onnx"], ["x_y_z", "model"]),
    ],
)
def test_labels(models: list[str], expected: list[str]) -> None:
    assert labels(models) == expected
    assert labels([Path(each) for each in models]) == expected
