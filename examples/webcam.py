# SPDX-License-Identifier: Apache-2.0
"""Replace the background of a webcam live, with OpenCV for the camera and the window. Quit with q or Ctrl-C.

Needs: pip install ".[video]" opencv-python

python examples/webcam.py
python examples/webcam.py 1 --background "#2b5797"
python examples/webcam.py clip.mp4 --record result.mp4

`rmbg-trt camera` does more: it never falls behind the camera, and it feeds a virtual camera for meetings.
"""

from __future__ import annotations

import argparse
import sys

import cv2

import rmbg_trt

TITLE = "rmbg-trt: q quits"


def main() -> None:
    """Show, or record, the camera's frames over another background until the user quits."""
    parser = argparse.ArgumentParser(description="Replace the background of a webcam.")
    parser.add_argument("camera", nargs="?", default="0", help="the camera's number, or a video file in its place")
    parser.add_argument("--background", default="blur", help="'blur' or a color such as 'white' or '#2b5797'")
    parser.add_argument("--record", metavar="FILE", help="write a video (.mp4) instead of opening a window")
    parser.add_argument("--model", default="u2netp", help="u2netp, u2net (better and slower) or a model file")
    arguments = parser.parse_args()

    camera = cv2.VideoCapture(int(arguments.camera) if arguments.camera.isdecimal() else arguments.camera)
    if not camera.isOpened():
        sys.exit(f"cannot open {arguments.camera!r}; expected a camera's number, such as 0, or a video file")
    writer, frames = None, 0
    try:
        with rmbg_trt.VideoMatter(arguments.model) as matter:  # BGR frames, as OpenCV has them
            print(matter.info, "Quit with q or Ctrl-C.", sep="\n", flush=True)
            while True:
                found, frame = camera.read()
                if not found:
                    break
                result = matter.run(frame, background=arguments.background)
                frames += 1
                if arguments.record is None:
                    cv2.imshow(TITLE, result)
                    if cv2.waitKey(1) == ord("q"):
                        break
                    continue
                if writer is None:
                    rate = camera.get(cv2.CAP_PROP_FPS) or 30
                    size = (frame.shape[1], frame.shape[0])
                    writer = cv2.VideoWriter(arguments.record, cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
                writer.write(result)
    except KeyboardInterrupt:
        print("stopped")
    finally:
        camera.release()
        if writer is not None:
            writer.release()
    print(f"{frames} frames")


if __name__ == "__main__":
    main()
