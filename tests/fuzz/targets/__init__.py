# SPDX-License-Identifier: Apache-2.0
"""Fuzz targets of the Python side: what reads files and values of others. Each takes bytes, and may raise only ours.

Seeds are made here, so that the repository holds no binary files. What a fuzzer once found is a test beside the code.
"""

from __future__ import annotations

from tests.fuzz.targets import media, models, values
from tests.fuzz.targets.base import Target

TARGETS = {
    "image": Target(media.read_image, media.image_seeds),
    "onnx": Target(models.read_onnx, models.onnx_seeds),
    "checkpoint": Target(models.read_checkpoint, models.checkpoint_seeds),
    "inspect": Target(models.inspect_file, models.inspect_seeds),
    "video": Target(media.read_video, media.video_seeds),
    "background": Target(values.parse_background, values.text_seeds),
    "config": Target(values.read_config, values.config_seeds),
    "array": Target(values.import_array, values.array_seeds),
    "dlpack": Target(values.import_dlpack, lambda: [bytes(range(1, 64))]),
}
