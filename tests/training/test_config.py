# SPDX-License-Identifier: Apache-2.0
"""Settings: from YAML, from the command line, and what is wrong with them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rmbg_trt import InputError
from rmbg_trt.training.config import AugmentConfig, TrainConfig, load_config, save_config


def test_written_and_read_again(tmp_path: Path) -> None:
    config = TrainConfig("sets/a", lr=3e-7, init="ü.pth", augment=AugmentConfig(scale=(0.5, 2.0)))
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config


def test_the_later_wins(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("data: from-file\nlr: 1e-3\nepochs: 3\naugment:\n  flip: 0\n")
    overrides = ["lr=2e-4", "augment.crop=1", "augment.scale=[1, 1]", "compile=true"]
    config = load_config(file, overrides, epochs=7, batch=None)
    assert (config.data, config.lr, config.epochs, config.batch, config.compile) == ("from-file", 2e-4, 7, 12, True)
    assert dataclasses.asdict(config.augment) == {
        **dataclasses.asdict(AugmentConfig()),
        "flip": 0,
        "crop": 1,
        "scale": (1, 1),
    }


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("lr", "'lr' is not a setting; expected name=value"),
        ("rate=1", r"no setting rate; expected one of data, architecture"),
        ("augment.spin=1", r"no setting augment\.spin; expected one of crop, flip"),
        ("lr=fast", "lr is 'fast'; expected a number"),
        ("lr=0", "lr is 0.0; expected a number above 0"),
        ("lr=.nan", "lr is nan; expected a number"),
        ("batch=1.5", "batch is 1.5; expected a whole number"),
        ("batch=true", "batch is True; expected a whole number"),
        ("compile=1", "compile is 1; expected true or false"),
        ("loss=l2", "loss is 'l2'; expected one of bce, dice"),
        ("init=3", "init is 3; expected text"),
        ("ema=1", "ema is 1.0; expected 0 to below 1"),
        ("size=16", "size is 16; expected 32 to 4096"),
        ("augment.crop=32", r"augment\.crop is 32\.0; expected 0\.1 to 1"),
        ("seed=-1", "seed is -1; expected 0 to 4294967295"),
        ("keep=0.5", r"keep is 0\.5; expected 0 if there is no init"),
        ("augment.flip=2", r"augment\.flip is 2\.0; expected 0 to 1"),
        ("augment.scale=1", r"augment\.scale is 1; expected two numbers"),
        ("lr=[", r"'lr=\[' is not YAML"),
        ("lr=2001-13-45", "'lr=2001-13-45' is not YAML"),
        ("lr=" + "[" * 5000, "is nested too deeply"),
        ("seed=1" + "0" * 400, "seed is 10+; expected a whole number"),
        ("augment=crop", "augment is 'crop'; expected settings such as crop"),
        ("augment.scale=[2, 1]", r"augment\.scale is \(2\.0, 1\.0\); expected two factors"),
    ],
)
def test_wrong_settings(setting: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_config(None, [setting], data="x")


def test_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no data"):
        load_config(None)
    with pytest.raises(InputError, match="could not be read"):
        load_config(tmp_path / "none.yaml")
    for text, message in (("a: [", "is not YAML"), ("- a\n", "holds list; expected lines"), ("", "holds NoneType")):
        (tmp_path / "x.yaml").write_text(text)
        with pytest.raises(InputError, match=message):
            load_config(tmp_path / "x.yaml")
