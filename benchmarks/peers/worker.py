# SPDX-License-Identifier: Apache-2.0
"""The child process that one rival lives in: a JSON object a line comes in, a JSON object a line goes out.

Run with the rival's own Python: ``python worker.py ADAPTER``, where ADAPTER is a module beside this file with a class
`Peer` (see `peer_onnxruntime` for the shortest):

    Peer(model, weights, **options)  opens the network; `weights` is the folder of `children.Children`
    facts() -> dict                  what the result should say of it: versions, device, threads
    prepare(path) -> frame           an image as the rival's own interface takes it, decoded; not timed
    run(frame) -> mask               what is timed: from the decoded image to the finished mask
    to_pil(mask) -> PIL.Image        the mask as a gray image; not timed

What a rival prints goes to stderr; the protocol has the true stdout for itself.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any


class Worker:
    """Answers requests; each public method is one."""

    def __init__(self, adapter: str) -> None:
        self._adapter = adapter
        self._peer: Any = None
        self._frames: list[Any] = []

    def load(self, **arguments: Any) -> dict[str, Any]:
        begin = time.perf_counter()
        self._peer = importlib.import_module(self._adapter).Peer(**arguments)
        seconds = time.perf_counter() - begin
        return {"load_seconds": seconds, "facts": {"python": platform.python_version(), **self._peer.facts()}}

    def add_frame(self, path: str) -> dict[str, Any]:
        self._frames.append(self._peer.prepare(path))
        return {}

    def run(self, frame: int) -> dict[str, Any]:
        image = self._frames[frame]
        begin = time.perf_counter()
        self._peer.run(image)
        return {"seconds": time.perf_counter() - begin}

    def save(self, frame: int, path: str) -> dict[str, Any]:
        mask = self._peer.to_pil(self._peer.run(self._frames[frame]))
        mask.save(path)
        return {"size": list(mask.size)}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # print() of a rival, and of the libraries under it
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        method: Callable[..., dict[str, Any]] = getattr(worker, request.pop("do"))
        try:
            answer = {"ok": True, **method(**request)}
        except Exception as error:
            traceback.print_exc()
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
