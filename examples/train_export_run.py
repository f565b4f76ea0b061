# SPDX-License-Identifier: Apache-2.0
"""Fine-tune U²-Net on images with masks, export it to ONNX, and run the result.

Needs: pip install ".[train]"

python examples/train_export_run.py work
python examples/train_export_run.py work --images photos --masks masks --epochs 20

Without --images it makes a small set from the photographs of the package (sample_data.py), only to show the way.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import sample_data
from PIL import Image

import rmbg_trt
from rmbg_trt import export
from rmbg_trt.training.config import TrainConfig
from rmbg_trt.training.data.options import Options, Source
from rmbg_trt.training.data.pairs import read_pairs
from rmbg_trt.training.data.prepare import prepare
from rmbg_trt.training.data.sources import read_pairs_of_folders
from rmbg_trt.training.train import Watch, train


def main() -> None:
    """Prepare, train, export, run; each step prints what it made."""
    parser = argparse.ArgumentParser(description="Fine-tune U²-Net, export it, run it.")
    parser.add_argument("work", type=Path, help="a folder for everything that is made")
    parser.add_argument("--images", type=Path, help="your photographs")
    parser.add_argument("--masks", type=Path, help="their masks, under the same names")
    parser.add_argument("--count", type=int, default=24, help="how many images to make if you have none")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--size", type=int, default=160, help="side of the network's input; for real results 320")
    arguments = parser.parse_args()
    work: Path = arguments.work
    if work.exists():
        parser.error(f"{work} exists; name a new folder")
    images, masks = arguments.images, arguments.masks
    if images is None or masks is None:
        images, masks = sample_data.make_pairs(work / "pairs", arguments.count)

    source = Source("mine", (images, masks), partial(read_pairs_of_folders, images, masks, "mine"))
    report = prepare([source], work / "set", Options(val=0.25, test=0))
    print(f"prepared {len(report.pairs)} images; look at {work / 'set' / 'contact_sheet.png'}")

    config = TrainConfig(
        data=str(work / "set"),
        init="u2netp",
        freeze_batch_norm=True,  # small batches would spoil the statistics
        size=arguments.size,
        batch=4,
        epochs=arguments.epochs,
        lr=3e-5,
        ema=0.9,
    )

    def show(row: dict[str, float]) -> None:
        print(f"epoch {row['epoch']:.0f}: loss {row['train_loss']:.3f}, IoU on val {row['val_iou']:.3f}")

    run = train(config, work / "run", watch=Watch(on_message=print, on_epoch=show))
    print(f"trained {run.epochs} epochs; best IoU {run.best:.3f}")

    model = work / "model.onnx"
    done = export.export(str(run.folder / "best.safetensors"), model, export.Options(onnx_only=True, precision="fp32"))
    print(f"exported {done.artefacts[-1].path}; verified: {done.written}")

    with rmbg_trt.Engine(done.artefacts[-1].path) as engine:
        print(engine.info)
        image = Image.open(read_pairs(work / "set", "val")[0].image)
        engine.run(image, output="cutout").save(work / "cutout.png")
    print(f"cut out {work / 'cutout.png'}")


if __name__ == "__main__":
    main()
