# SPDX-License-Identifier: Apache-2.0
"""Replace the background of a video. The sound, the subtitles and the time of every frame stay.

Needs: pip install ".[video]"

python examples/sample_data.py clip.mp4
python examples/video_background.py clip.mp4 office.mp4 --background blur
python examples/video_background.py clip.mp4 cutout.webm
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import rmbg_trt


def main() -> None:
    """Replace a clip's background, or make it transparent if no new one is given."""
    parser = argparse.ArgumentParser(description="Replace the background of a video.")
    parser.add_argument("clip", help="the video: anything that FFmpeg reads")
    parser.add_argument("result", help="the video to write; .mov, .webm, .mkv and .webp can be transparent")
    parser.add_argument("--background", help="'blur', a color, an image file or a video file")
    parser.add_argument("--model", default="u2net", help="u2net, u2netp (smaller and faster) or a model file")
    arguments = parser.parse_args()

    def show(progress: Any) -> None:  # a rmbg_trt.video.Progress
        total = "?" if progress.total_s is None else f"{progress.total_s:.1f}"
        print(f"\r{progress.frames} frames, {progress.seconds:.1f} of {total} s", end="", file=sys.stderr)

    result = rmbg_trt.matte_video(
        arguments.clip,
        arguments.result,
        model=arguments.model,
        background=arguments.background,
        overwrite=True,
        progress=show,
    )
    print(f"\nwrote {result.target}: {result.frames} frames in {result.elapsed_s:.1f} s")
    for note in result.notes:
        print(f"note: {note}")


if __name__ == "__main__":
    main()
