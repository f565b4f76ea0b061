# SPDX-License-Identifier: Apache-2.0
"""What the network is shown: the engine's own input, augmented alike with its mask, the same for a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests import reference
from tests.training.made_pairs import make_set

from rmbg_trt import InputError
from rmbg_trt.training.config import AugmentConfig
from rmbg_trt.training.data import Pair, read_pairs
from rmbg_trt.training.data.augment import Augment, paint_over, replace_background
from rmbg_trt.training.data.dataset import Draw, PairDataset, denormalize, normalize, read_resized
from rmbg_trt.training.data.loader import TrainLoader
from rmbg_trt.training.models import ModelConfig
from rmbg_trt.training.processors import Processors

MODEL = ModelConfig("u2netp", 7, (48, 40))
PLAIN = AugmentConfig(crop=1, flip=0, scale=(1.0, 1.0), jitter=0, blur=0, jpeg=0)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    return read_pairs(make_set(tmp_path_factory.mktemp("made"), train=11), "train")


def _processors(rank: int = 0, world: int = 1, workers: int = 0) -> Processors:
    return Processors("cpu", "fp32", rank, world, world, workers)


def test_the_input_is_the_engines(pairs: list[Pair]) -> None:
    sample = PairDataset(pairs, MODEL, None, 0)[3]
    with Image.open(pairs[3].image) as image:
        expected = reference.input_tensor(np.asarray(image), (48, 40))
    np.testing.assert_allclose(sample.image.numpy(), expected.reshape(3, 48, 40), atol=2e-6)
    assert set(sample.mask.unique().tolist()) == {0.0, 1.0}
    assert sample.position.item() == 3


def test_a_dark_image_is_divided_by_its_maximum() -> None:
    image = torch.full((2, 3, 4, 4), 0.5)
    image[1] *= 0.1
    shown = normalize(image, MODEL)
    torch.testing.assert_close(shown[0], shown[1])
    torch.testing.assert_close(denormalize(shown, MODEL), torch.ones_like(image))
    assert torch.isfinite(normalize(torch.zeros(3, 4, 4), MODEL)).all()


def test_alpha_is_left_out(tmp_path: Path) -> None:
    Image.new("RGBA", (9, 7), (10, 20, 30, 0)).save(tmp_path / "x.png")
    assert read_resized(tmp_path / "x.png", (4, 5)).tolist() == [[[10, 20, 30]] * 5] * 4


def test_augmentation_hangs_on_seed_epoch_and_place_alone(pairs: list[Pair]) -> None:
    config = AugmentConfig(crop=0.7, background=0.5)
    dataset = PairDataset(pairs, MODEL, config, seed=5)
    before = torch.get_rng_state()
    first = dataset[Draw(1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    again = PairDataset(pairs, MODEL, config, seed=5)[Draw(1, 2)]
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.mask, again.mask)
    others = [dataset[Draw(2, 2)], dataset[Draw(1, 3)], PairDataset(pairs, MODEL, config, seed=6)[Draw(1, 2)]]
    assert not any(torch.equal(first.image, each.image) for each in others)


def test_moves_are_the_same_for_image_and_mask() -> None:
    """The image here is its own mask, so any move that differs shows."""
    mask = torch.zeros(1, 48, 48)
    mask[:, 10:30, 14:36] = 1
    augment = Augment(AugmentConfig(crop=2 / 3, scale=(0.7, 1.4), jitter=0, blur=0, jpeg=0), (48, 48))
    torch.manual_seed(0)
    for _ in range(20):
        image, moved = augment(mask.expand(3, -1, -1), mask)
        assert image.shape == (3, 32, 32)
        assert float((image[:1] - moved).abs().mean()) < 0.01
        assert 0 < float(moved.mean()) < 1


def test_every_step_does_something_and_stays_in_range(pairs: list[Pair]) -> None:
    plain = PairDataset(pairs, MODEL, PLAIN, 0)[Draw(0, 1)]
    assert torch.equal(plain.image, PairDataset(pairs, MODEL, None, 0)[1].image)
    image, mask = (torch.rand(3, 40, 40) * 0.5 + 0.2), torch.ones(1, 40, 40)
    for change in ({"jitter": 0.5}, {"blur": 1.0}, {"jpeg": 1.0}):
        augment = Augment(AugmentConfig(**{**vars(PLAIN), **change}), (40, 40))
        torch.manual_seed(1)
        results = [augment(image, mask) for _ in range(4)]
        assert any(not torch.allclose(result, image) for result, _ in results), change
        assert all(0 <= float(result.min()) <= float(result.max()) <= 1 for result, _ in results)
        assert all(torch.equal(moved, mask) for _, moved in results)


def test_the_background_is_replaced_and_the_object_kept() -> None:
    image, other = torch.full((3, 32, 32), 0.9), torch.full((3, 32, 32), 0.2)
    other[:, 8:20, 8:20] = 0.7
    mask, other_mask = torch.zeros(1, 32, 32), torch.zeros(1, 32, 32)
    mask[:, 20:30, 20:30], other_mask[:, 8:20, 8:20] = 1, 1
    result = replace_background(image, mask, other, other_mask)
    torch.testing.assert_close(result, torch.where(mask > 0, image, torch.full_like(image, 0.2)))


def test_a_region_is_filled_with_what_is_round_it() -> None:
    left_dark = torch.linspace(0, 1, 40).expand(3, 30, 40)
    mask = torch.zeros(1, 30, 40)
    mask[:, 10:20, 15:25] = 1
    filled = paint_over(torch.where(mask > 0, torch.full_like(left_dark, 5.0), left_dark), mask)
    assert float((filled - left_dark).abs().max()) < 0.25
    assert torch.equal(filled[..., :8], left_dark[..., :8])
    assert torch.equal(paint_over(left_dark, torch.ones(1, 30, 40)), left_dark)


def _places(loader: TrainLoader, batches: int | None = None) -> list[list[int]]:
    iterator = iter(loader)
    return [next(iterator).position.tolist() for _ in range(len(loader) if batches is None else batches)]


def test_an_epoch_shows_each_image_once_in_another_order(pairs: list[Pair]) -> None:
    loader = TrainLoader(PairDataset(pairs, MODEL, None, 0), 2, 0, _processors())
    first, second = _places(loader), _places(loader)
    for each in (first, second):
        flat = [place for batch in each for place in batch]
        assert len(flat) == len(set(flat)) == 10
    assert first != second
    assert loader.state_dict() == {"epoch": 1, "done": 5, "step": 2}


def test_processes_share_the_batch_of_one(pairs: list[Pair]) -> None:
    dataset = PairDataset(pairs, MODEL, None, 0)
    whole = _places(TrainLoader(dataset, 4, 0, _processors()))
    parts = [_places(TrainLoader(dataset, 2, 0, _processors(rank, 2))) for rank in (0, 1)]
    assert whole == [left + right for left, right in zip(*parts, strict=True)]


@pytest.mark.parametrize("done", [0, 3, 5])
def test_a_loader_goes_on_where_another_stopped(pairs: list[Pair], done: int) -> None:
    """Also with workers, which have read further ahead than was handed out."""
    dataset = PairDataset(pairs, MODEL, None, 0)
    whole = TrainLoader(dataset, 2, 0, _processors())
    expected = _places(whole) + _places(whole)
    stopped = TrainLoader(dataset, 2, 0, _processors(workers=1))
    seen = _places(stopped, done)
    resumed = TrainLoader(dataset, 2, 0, _processors())
    resumed.load_state_dict(stopped.state_dict())
    assert seen + _places(resumed, 5 - done) + _places(resumed) == expected


def test_another_number_of_processes_is_refused(pairs: list[Pair]) -> None:
    dataset = PairDataset(pairs, MODEL, None, 0)
    state = TrainLoader(dataset, 2, 0, _processors(0, 2)).state_dict()
    with pytest.raises(InputError, match=r"used 4 images per step.*now use 2; resume it with 2 process"):
        TrainLoader(dataset, 2, 0, _processors()).load_state_dict(state)


def test_too_few_images(pairs: list[Pair]) -> None:
    with pytest.raises(InputError, match=r"11 training images are fewer than one step takes \(3 x 4\)"):
        TrainLoader(PairDataset(pairs, MODEL, None, 0), 4, 0, _processors(0, 3))
