# SPDX-License-Identifier: Apache-2.0
"""Images per second of a training run, against the same steps on images that are already in memory.

The ratio is how busy the processor (the GPU, if there is one) is: reading and augmenting must keep up. The images are
synthetic: JPEG, 640x480, with masks.

python benchmarks/training_speed.py                       # u2netp and u2net, as the machine is
python benchmarks/training_speed.py u2netp --size 64 --images 64 --batch 4
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import _report
import numpy as np
import torch
from PIL import Image, ImageDraw
from rich.table import Table

from rmbg_trt.training.callbacks.record import read_metrics
from rmbg_trt.training.config import AugmentConfig, TrainConfig
from rmbg_trt.training.data import Pair, create_csv
from rmbg_trt.training.losses import bce
from rmbg_trt.training.models import build
from rmbg_trt.training.processors import find_processors
from rmbg_trt.training.train import train


def main() -> None:
    parser = _report.parser(__doc__)
    parser.add_argument("models", nargs="*", default=["u2netp", "u2net"])
    parser.add_argument("--images", type=int, default=512, help="in an epoch")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--workers", type=int, default=-1)
    options = parser.parse_args()
    table = Table("model", "images/s", "of them in memory", "busy", "waited for images")
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = make_set(Path(folder) / "set", options.images)
        for name in options.models:
            config = TrainConfig(
                str(data),
                architecture=name,
                size=options.size,
                batch=options.batch,
                workers=options.workers,
                epochs=2,
                previews=0,
                augment=AugmentConfig(background=0.2),
            )
            in_memory = steps_in_memory(config)
            train(config, Path(folder) / name)
            row = read_metrics(Path(folder) / name)[1]  # the first epoch warms up
            busy = row["images_per_s"] / in_memory
            figures[name] = {**row, "in_memory_images_per_s": in_memory, "busy": busy}
            shown = (f"{row['images_per_s']:.4g}", f"{in_memory:.4g}", f"{busy:.2f}", f"{row['waited']:.1%}")
            table.add_row(name, *shown)
    _report.console.print(table)
    _report.save("training_speed", options, figures)


def make_set(folder: Path, count: int) -> Path:
    """Noise with an ellipse, as a prepared set; an eighth more for validation."""
    random = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    pairs = []
    for number in range(count + count // 8):
        name = f"{number:05d}"
        noise = Image.fromarray(random.integers(0, 256, (60, 80, 3), dtype=np.uint8)).resize((640, 480))
        mask = Image.new("L", (640, 480))
        box = tuple(int(each) for each in (*random.integers(0, 200, 2), *random.integers(250, 480, 2)))
        ImageDraw.Draw(mask).ellipse(box, fill=255)
        noise.paste((200, 120, 40), mask=mask)
        image, truth = folder / "images" / f"{name}.jpg", folder / "masks" / f"{name}.png"
        noise.save(image, quality=90)
        mask.save(truth)
        pairs.append(Pair(name, image, truth, "made", "train" if number < count else "val"))
    create_csv(pairs, folder / "pairs.csv")
    return folder


def steps_in_memory(config: TrainConfig) -> float:
    """Images a second of forward, backward and optimizer, with one batch again and again."""
    processors = find_processors(config)
    device = torch.device(processors.accelerator)
    model = build(config.architecture).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    side = round(config.augment.crop * config.size)
    images = torch.randn(config.batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    masks = (torch.rand(config.batch, 1, side, side, device=device) > 0.5).float()
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(processors.precision)

    def step() -> None:
        with torch.autocast(device.type, kind or torch.bfloat16, enabled=kind is not None):
            outputs = model(images)
        loss = bce(tuple(each.float() for each in outputs), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # waits for the GPU

    for _ in range(2 if device.type == "cpu" else 10):
        step()
    count = 3 if device.type == "cpu" else 50
    started = time.perf_counter()
    for _ in range(count):
        step()
    return count * config.batch / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
