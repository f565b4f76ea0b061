# SPDX-License-Identifier: Apache-2.0
"""Both notebooks run from the first cell to the last on small data, and are stored without outputs."""

from __future__ import annotations

import runpy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.examples.conftest import ROOT

nbformat: Any = pytest.importorskip("nbformat")
nbclient: Any = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

EXAMPLES = ROOT / "examples"
NOTEBOOKS = ("train_your_own", "replace_background")


def needs_weights(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.weights(pytest.mark.usefixtures("u2netp_path")(test))


def execute(name: str, **parameters: object) -> tuple[str, Counter[str]]:
    """Runs a notebook with other settings. Gives what it printed, and how many outputs of each kind it showed."""
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    (settings,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    settings.source += "".join(f"\n{key} = {value!r}" for key, value in parameters.items())
    settings.source = settings.source.replace("PosixPath", "Path")
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(EXAMPLES)}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    return printed, Counter(kind for output in outputs for kind in output.get("data", ()))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_stored_without_outputs(name: str) -> None:
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow
@needs_weights
def test_replace_background(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 6)
    printed, shown = execute("replace_background", CLIP=clip, WORK=tmp_path / "work")
    assert "6 frames, 0.2 s of video" in printed
    assert shown["image/png"] == 4
    assert shown["text/html"] == 2  # the two videos
    assert (tmp_path / "work" / "cutout.webm").stat().st_size > 1000


@pytest.mark.slow
@needs_weights
def test_train_your_own_with_a_folder(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    data = tmp_path / "data"
    runpy.run_path(str(EXAMPLES / "sample_data.py"))["make_pairs"](data, 8, 96)
    printed, shown = execute("train_your_own", DATA=data, WORK=tmp_path / "work", EPOCHS=2, SIZE=64)
    assert "8 pairs; left out: {}" in printed
    assert "epoch 2: loss" in printed
    assert "best: IoU" in printed
    assert shown["image/png"] == 4
    assert (tmp_path / "work" / "run" / "best.safetensors").is_file()


@needs_weights
def test_the_masks_of_the_sample_data_are_those_of_its_images(tmp_path: Path) -> None:
    """Without DATA the notebook trains on these: the subject's colours lie where the mask is white."""
    images, masks = runpy.run_path(str(EXAMPLES / "sample_data.py"))["make_pairs"](tmp_path, 8, 128)
    names = sorted(path.stem for path in images.iterdir())
    assert names == sorted(path.stem for path in masks.iterdir())
    assert len(names) == 8
    for name in names:
        pixels = np.asarray(Image.open(images / f"{name}.jpg")).astype(int)
        mask = np.asarray(Image.open(masks / f"{name}.png"))
        assert mask.shape == pixels.shape[:2] == (128, 128)
        assert 0.1 < (mask > 127).mean() < 0.9
        red = pixels[..., 0] - pixels[..., 2]  # the suit is orange, the saucer red
        assert red[mask > 200].mean() > 30
