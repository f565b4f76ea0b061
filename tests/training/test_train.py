# SPDX-License-Identifier: Apache-2.0
"""Training runs: what they leave behind, exact resumption, several processes, and what goes wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.training.made_pairs import make_set
from tests.training.small_unet import small_unet

from rmbg_trt import Error, InputError, ModelError, UnavailableError
from rmbg_trt.training.callbacks import Record, progress, record
from rmbg_trt.training.callbacks.record import read_metrics
from rmbg_trt.training.config import TrainConfig, load_config
from rmbg_trt.training.data.pairs import read_pairs
from rmbg_trt.training.models import ModelConfig, build, load_checkpoint, save_checkpoint
from rmbg_trt.training.train import Watch, choose, resumable, train
from rmbg_trt.training.validation import Validation

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SMALL = {
    "architecture": "unet",  # see small_unet.py
    "size": 48,
    "batch": 2,
    "epochs": 2,
    "lr": 1e-3,
    "workers": 0,
    "device": "cpu",
    "warmup_steps": 2,
    "previews": 2,
    "augment": {"crop": 0.67, "background": 0.3},
}


def config(data: Path, **changes: Any) -> TrainConfig:
    return load_config(None, data=str(data), **{**SMALL, **changes})


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    with small_unet():
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("made"))


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing them takes longer than the training does. The run that nothing disturbed has its own."""
    monkeypatch.setattr(record, "draw_curves", lambda rows, path: None)


@pytest.fixture(scope="module")
def unbroken(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs that nothing disturbed, with its curves."""
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    train(config(made), folder)
    return folder


def test_a_run_leaves_what_it_promises(unbroken: Path) -> None:
    names = {path.name for path in unbroken.iterdir()}
    assert names == {
        *("best.safetensors", "last.safetensors", "last.ckpt", "config.yaml", "model.json", "metrics.csv"),
        *("curves.png", "previews", "tensorboard"),
    }
    rows = read_metrics(unbroken)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert [row["step"] for row in rows] == [4, 8]
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    checkpoint = load_checkpoint(unbroken / "best.safetensors")
    assert (checkpoint.config.architecture, checkpoint.config.input_size) == ("unet", (48, 48))
    with Image.open(unbroken / "curves.png") as curves:
        assert np.ptp(np.asarray(curves)) > 100
    with Image.open(unbroken / "previews" / "epoch_002.png") as grid:
        assert grid.size == (4 * 160, 2 * 160)
    assert resumable(unbroken).epochs == 2
    assert list((unbroken / "tensorboard").glob("events.*"))


def test_the_loss_falls(made: Path, tmp_path: Path) -> None:
    augment = {"crop": 1, "scale": [1, 1], "jitter": 0, "blur": 0, "jpeg": 0}
    train(config(made, epochs=6, lr=3e-3, augment=augment, ema=0.0), tmp_path / "run")
    losses = [row["train_loss"] for row in read_metrics(tmp_path / "run")]
    assert losses[-1] < 0.75 * losses[0]


def _same_curve(one: Path, other: Path) -> None:
    for row, expected in zip(read_metrics(one), read_metrics(other), strict=True):
        for name in ("epoch", "step", "train_loss", "val_loss", "val_iou", "val_mae", "val_maxf", "lr"):
            assert row[name] == pytest.approx(expected[name], abs=1e-5), name
    left, right = (load_checkpoint(each / "last.safetensors").model.state_dict() for each in (one, other))
    for name, tensor in left.items():
        torch.testing.assert_close(tensor, right[name], atol=1e-5, rtol=1e-5)


_KILLED_RUN = """
import os, sys
from pathlib import Path
from rmbg_trt.training.callbacks import Record, progress, record
from rmbg_trt.training.config import load_config
from rmbg_trt.training.train import train
sys.path.insert(0, sys.argv[6])
from tests.training.small_unet import SmallUNet, ARCHITECTURES
ARCHITECTURES["unet"] = SmallUNet
record.draw_curves = lambda rows, path: None
data, folder, stop, how = sys.argv[1:5]
settings = eval(sys.argv[5])
before = Record.on_train_batch_end
def slow(self, trainer, *rest):
    before(self, trainer, *rest)
    if trainer.global_step == int(stop):
        os.killpg(0, int(how))  # as a terminal does: workers get it too
Record.on_train_batch_end = slow
report = train(load_config(None, data=data, **settings), Path(folder))
print(report.stopped or "done")
"""


def _run_and_kill(data: Path, folder: Path, step: int, how: int, **changes: Any) -> subprocess.CompletedProcess[str]:
    """Trains in a process of its own that gets a signal after a step."""
    arguments = [str(data), str(folder), str(step), str(how), repr({**SMALL, **changes}), str(ROOT)]
    command = [sys.executable, "-c", _KILLED_RUN, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, start_new_session=True)


def _run_and_signal(data: Path, folder: Path, batch: int, how: signal.Signals, **changes: Any) -> None:
    """Trains in this process, which gets a signal after a batch."""
    before, batches = Record.on_train_batch_end, itertools.count(1)

    def signalled(self: Record, *batch_end: Any) -> None:
        before(self, *batch_end)
        if next(batches) == batch:
            signal.raise_signal(how)

    def unheard(number: int, frame: Any) -> None:
        raise AssertionError(f"the run does not listen to signal {number}")

    handler = signal.signal(how, unheard)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Record, "on_train_batch_end", signalled)
            assert train(config(data, **changes), folder).stopped == "interrupted"
        assert signal.getsignal(how) is unheard, "afterwards it listens no longer"
    finally:
        signal.signal(how, handler)


def test_an_interrupted_process_goes_on_as_if_nothing_had_been(made: Path, unbroken: Path, tmp_path: Path) -> None:
    """With a worker, which gets the signal, too."""
    folder = tmp_path / "run"
    done = _run_and_kill(made, folder, 2, signal.SIGINT, workers=1)
    assert done.stdout.strip() == "interrupted", done.stderr
    train(resumable(folder), folder, resume=True)
    _same_curve(folder, unbroken)


@pytest.mark.parametrize("batch", [4, 7])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(
    made: Path, unbroken: Path, tmp_path: Path, batch: int
) -> None:
    """After an epoch's last step, and in mid-epoch of the second one."""
    folder = tmp_path / "run"
    _run_and_signal(made, folder, batch, signal.SIGINT)
    train(resumable(folder), folder, resume=True)
    _same_curve(folder, unbroken)


def test_a_killed_run_goes_on_from_the_last_checkpoint(made: Path, unbroken: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = _run_and_kill(made, folder, 7, signal.SIGKILL, checkpoint_minutes=1e-6)
    assert done.returncode == -signal.SIGKILL
    assert len(read_metrics(folder)) == 1
    train(resumable(folder), folder, resume=True)
    _same_curve(folder, unbroken)


def test_a_finished_run_is_resumed_to_nothing(made: Path, unbroken: Path) -> None:
    before = (unbroken / "metrics.csv").read_bytes()
    report = train(resumable(unbroken), unbroken, resume=True)
    assert (report.epochs, report.stopped) == (2, "")
    assert (unbroken / "metrics.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("batch", "changes"),
    [
        (8, {"schedule": "plateau", "plateau_patience": 0, "lr": 1e-7, "min_lr": 0.0, "epochs": 3, "ema": 0}),
        (1, {"ema": 0.0, "accumulate": 2}),
    ],
)
def test_other_schedules_resume_exactly_too(made: Path, tmp_path: Path, batch: int, changes: dict[str, Any]) -> None:
    """A rate that is halved at the end of the very epoch; gradients that are added up when the signal comes."""
    train(config(made, **changes), tmp_path / "whole")
    _run_and_signal(made, tmp_path / "broken", batch, signal.SIGTERM, **changes)
    train(resumable(tmp_path / "broken"), tmp_path / "broken", resume=True)
    whole, broken = ([row["lr"] for row in read_metrics(tmp_path / name)] for name in ("whole", "broken"))
    assert broken == pytest.approx(whole, rel=1e-6)
    if "schedule" in changes:
        assert whole == pytest.approx([1e-7, 0.5e-7, 0.25e-7], rel=1e-6)
    _same_curve(tmp_path / "broken", tmp_path / "whole")


def test_two_processes_learn_what_one_does(made: Path, tmp_path: Path) -> None:
    """With frozen batch normalisation: its statistics are the one thing that hangs on a process's batch."""
    changes = {"freeze_batch_norm": True, "epochs": 1}
    train(config(made, batch=4, **changes), tmp_path / "one")
    script = tmp_path / "two.py"
    script.write_text(_KILLED_RUN)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = [str(made), str(tmp_path / "two"), "-1", "0", repr({**SMALL, "batch": 2, **changes}), str(ROOT)]
    done = subprocess.run(
        [*torchrun, str(script), *arguments], capture_output=True, text=True, timeout=300, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    assert "".join(done.stdout.split()) == "donedone", "both processes say so, perhaps at the same time"
    _same_curve(tmp_path / "two", tmp_path / "one")


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_batch(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rmbg_trt.training import losses

    seen = []

    def broken(outputs: losses.Outputs, target: torch.Tensor) -> torch.Tensor:
        seen.append(target)
        return losses.bce(outputs, target) * (float("nan") if len(seen) == 3 else 1)

    monkeypatch.setitem(losses.LOSSES, "bce", broken)
    with pytest.raises(Error, match=r"loss is nan in step 2, epoch 1.*all weights are finite.*nan_batch\.pt"):
        train(config(made), tmp_path / "run")
    batch = torch.load(tmp_path / "run" / "nan_batch.pt", weights_only=True)
    assert torch.equal(batch["mask"], seen[2])
    assert len(batch["names"]) == 2
    assert batch["names"][0].startswith("train_")


def test_a_training_that_diverges_is_an_error_and_saves_nothing(made: Path, tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"diverged: the validation loss is .* epoch 1; .*smaller lr \(it is 1e\+06\)"):
        train(config(made, lr=1e6, clip_norm=0.0, ema=0.0), tmp_path / "run")
    assert not list((tmp_path / "run").glob("*.safetensors"))
    assert not (tmp_path / "run" / "last.ckpt").exists()


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 1e9])
def test_a_later_divergence_keeps_the_best_weights(
    made: Path, tmp_path: Path, loss: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, calls = Validation.compute, itertools.count()

    def later(self: Validation) -> dict[str, torch.Tensor]:
        results = compute(self)
        epoch = next(calls)
        return {**results, "val_loss": torch.tensor(loss)} if epoch else results

    monkeypatch.setattr(Validation, "compute", later)
    with pytest.raises(Error, match=r"after epoch 2; nothing of this epoch is saved\. .*best\.safetensors keeps"):
        train(config(made), tmp_path / "run")
    best = (tmp_path / "run" / "best.safetensors").read_bytes()
    assert best == (tmp_path / "run" / "last.safetensors").read_bytes()


def test_a_finished_run_is_prolonged(made: Path, unbroken: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(unbroken, tmp_path / "run"))
    report = train(resumable(run, epochs=4), run, resume=True)
    assert (report.epochs, report.stopped) == (4, "")
    rows = read_metrics(run)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[:2] == read_metrics(unbroken)
    assert rows[2]["lr"] > rows[3]["lr"] > 0.9e-6, "the cosine goes on to the new end"
    assert rows[2]["lr"] > 1e-5
    assert resumable(run).epochs == 4


def test_data_that_changed_is_said(unbroken: Path, made: Path, tmp_path: Path) -> None:
    said: list[str] = []
    run = Path(shutil.copytree(unbroken, tmp_path / "run"))
    train(resumable(run), run, resume=True, watch=Watch(said.append))
    assert not [line for line in said if "has changed" in line]
    other = make_set(tmp_path / "other", train=9, val=4)
    settings = dataclasses.replace(resumable(run), data=str(other))
    train(settings, run, resume=True, watch=Watch(said.append))
    assert "The data has changed since the run was stopped" in said[-1]
    assert "9 pairs in train, where there were 8" in said[-1]


def test_without_a_terminal_a_line_a_minute(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    said: list[str] = []
    train(config(made), tmp_path / "run", watch=Watch(said.append))
    lines = said[1:]
    assert len(lines) == 8
    shape = r"epoch 1/2, step 3/4: loss \d\.\d{4}, [\d.]+ images/s, \d+ (s|min) left"
    assert re.fullmatch(shape, lines[2]), lines[2]
    assert lines[-1].endswith(", 0 s left")


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (100, "2 min"), (11100, "3 h 05 min")])
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text


def test_what_is_kept_is_mixed_with_what_the_run_began_with(made: Path, tmp_path: Path) -> None:
    """The same run three times; training itself is not touched, and a resumed run mixes alike."""
    first = build("unet")
    save_checkpoint(first, ModelConfig("unet", 1, (48, 48)), tmp_path / "first.safetensors")
    start = {"init": str(tmp_path / "first.safetensors"), "ema": 0.5}
    train(config(made, **start), tmp_path / "whole")
    train(config(made, **start, keep=0.75), tmp_path / "mixed")
    _run_and_signal(made, tmp_path / "broken", 5, signal.SIGINT, **start, keep=0.75)
    train(resumable(tmp_path / "broken"), tmp_path / "broken", resume=True)
    _same_curve(tmp_path / "broken", tmp_path / "mixed")
    rows = [[row["train_loss"] for row in read_metrics(tmp_path / name)] for name in ("whole", "mixed")]
    assert rows[0] == pytest.approx(rows[1], abs=1e-5)
    whole, mixed = (load_checkpoint(tmp_path / name / "last.safetensors").model for name in ("whole", "mixed"))
    pairs = zip(first.parameters(), whole.parameters(), mixed.parameters(), strict=True)
    for before, trained, kept in pairs:
        torch.testing.assert_close(kept, 0.75 * before + 0.25 * trained, atol=1e-5, rtol=1e-5)


def test_early_stopping(made: Path, tmp_path: Path) -> None:
    settings = config(made, epochs=9, patience=2, lr=1e-12, min_lr=0.0, monitor="val_loss", ema=0)
    report = train(settings, tmp_path / "run")
    assert report.epochs == report.best_epoch + 2 < 9
    assert not report.stopped
    again = train(resumable(tmp_path / "run"), tmp_path / "run", resume=True)
    assert again == report


def test_a_time_limit_ends_the_run_where_it_can_go_on(made: Path, unbroken: Path, tmp_path: Path) -> None:
    report = train(config(made, max_minutes=1e-6), tmp_path / "run")
    assert (report.epochs, report.stopped) == (0, "time limit")
    report = train(resumable(tmp_path / "run", max_minutes=0.0), tmp_path / "run", resume=True)
    assert (report.epochs, report.stopped) == (2, "")
    _same_curve(tmp_path / "run", unbroken)


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_damaged_checkpoint(made: Path, unbroken: Path, tmp_path: Path, content: bytes | None) -> None:
    run = Path(shutil.copytree(unbroken, tmp_path / "run"))
    last = run / "last.ckpt"
    last.write_bytes(last.read_bytes()[:100_000] if content is None else content)
    with pytest.raises(ModelError, match=r"last\.ckpt is damaged.*a new run can start from .*last\.safetensors"):
        train(resumable(run), run, resume=True)


def test_a_run_that_never_came_to_a_checkpoint_begins_again(made: Path, unbroken: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(unbroken / "config.yaml", run)
    (run / "metrics.csv").write_text("damaged,\n1,\n")
    train(resumable(run), run, resume=True)
    _same_curve(run, unbroken)
    assert (run / "metrics.csv.damaged").is_file()


def test_wrong_folders(made: Path, unbroken: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds a run already"):
        train(config(made), unbroken)
    with pytest.raises(InputError, match=r"no run to resume"):
        train(config(made), tmp_path, resume=True)
    with pytest.raises(InputError, match="holds no run"):
        resumable(tmp_path)
    with pytest.raises(InputError, match=r"holds no pairs\.csv"):
        train(config(tmp_path), tmp_path / "run")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_named(tmp_path: Path, workers: int) -> None:
    data = make_set(tmp_path / "made")
    read_pairs(data, "train")[3].image.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"^\S*train_003\.png is not an image[^\n]*$"):
        train(config(data, workers=workers), tmp_path / "run")


def test_a_missing_mask_is_named(tmp_path: Path) -> None:
    data = make_set(tmp_path / "made")
    read_pairs(data, "val")[0].mask.unlink()
    with pytest.raises(InputError, match=r"val_000\.png could not be read"):
        train(config(data), tmp_path / "run")


def test_more_images_a_step_than_there_are(made: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"8 training images are fewer than one step takes \(1 x 9\)"):
        train(config(made, batch=9), tmp_path / "run")


def test_a_full_disk_is_an_error_and_leaves_the_last_checkpoint(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rmbg_trt.training.callbacks import checkpoints

    folder = tmp_path / "run"
    write, kept = checkpoints.atomic_file, []

    @contextlib.contextmanager
    def full(path: Path) -> Iterator[IO[bytes]]:
        with write(path) as file:
            if (folder / "last.ckpt").exists():
                kept.append((folder / "last.ckpt").read_bytes())
                file.write(b"half")
                raise OSError(28, "No space left on device")
            yield file

    monkeypatch.setattr(checkpoints, "atomic_file", full)
    with pytest.raises(Error, match=r"last\.ckpt could not be written: No space left on device"):
        train(config(made), folder)
    assert (folder / "last.ckpt").read_bytes() == kept[0]
    assert not list(folder.glob("*.part"))


def test_a_gpu_that_is_not_there(made: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(UnavailableError, match="PyTorch sees no GPU"):
        train(config(made, device="cuda"), tmp_path / "run")
    with pytest.raises(InputError, match="fp16 is for a GPU"):
        train(config(made, precision="fp16"), tmp_path / "run")


def test_what_is_told(made: Path, tmp_path: Path) -> None:
    said: list[str] = []
    told: list[dict[str, float]] = []
    train(config(made, epochs=1), tmp_path / "run", watch=Watch(said.append, told.append))
    assert said == ["unet on CPU, fp32, from random weights: 8 training images in 4 steps of 2, 4 validation images"]
    assert told == read_metrics(tmp_path / "run")


def test_a_choice_of_images_is_always_the_same(made: Path) -> None:
    pairs = read_pairs(made, "train")
    some = choose(pairs, 3, seed=1)
    assert some == choose(pairs, 3, seed=1) != choose(pairs, 3, seed=2)
    assert [pair for pair in pairs if pair in some] == some
    assert choose(pairs, 0, seed=1) == choose(pairs, 99, seed=1) == pairs
