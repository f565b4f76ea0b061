# SPDX-License-Identifier: Apache-2.0
"""Cut the subject out of one photograph, or put it over a new background.

python examples/cut_out_image.py docs/images/astronaut.jpg cutout.png
python examples/cut_out_image.py docs/images/astronaut.jpg office.jpg --background blur
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageOps

import rmbg_trt


def main() -> None:
    """Read one image, remove its background, save the result."""
    parser = argparse.ArgumentParser(description="Cut the subject out of a photograph.")
    parser.add_argument("image", help="the photograph")
    parser.add_argument("result", help="the file to write: PNG or WebP keep the transparency")
    parser.add_argument("--background", help="'blur', a color such as 'white' or '#2b5797', or an image file")
    parser.add_argument("--model", default="u2net", help="u2net, u2netp (smaller and faster) or a model file")
    arguments = parser.parse_args()

    photograph = ImageOps.exif_transpose(Image.open(arguments.image))  # phones store photographs rotated
    with rmbg_trt.Engine(arguments.model) as engine:
        print(engine.info)
        if arguments.background is None:
            result = engine.run(photograph, output="cutout")
        elif Path(arguments.background).is_file():
            result = engine.run(photograph, output="composite", background=Image.open(arguments.background))
        else:
            result = engine.run(photograph, output="composite", background=arguments.background)
    result.save(arguments.result)
    print(f"wrote {arguments.result}: {result.width}x{result.height}, {result.mode}")


if __name__ == "__main__":
    main()
