# SPDX-License-Identifier: Apache-2.0
"""The parent's side of `worker`: starts children, gives them weights and images, and asks one at a time."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any

from rmbg_trt import models

from .contenders import ENVIRONMENTS, Contender

HERE = Path(__file__).resolve().parent
WEIGHTS = ENVIRONMENTS / "weights"


class ChildError(RuntimeError):
    """A child said why it could not, or died."""


class Child:
    """A rival in a process of its own. Use as a context manager.

    Args:
        contender: Who.
        model: Catalogue name.

    Raises:
        ChildError: It could not be started, or its network not be opened.
    """

    def __init__(self, contender: Contender, model: str) -> None:
        self.name = contender.name
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in __exit__
        command = [str(contender.python), str(HERE / "worker.py"), contender.adapter]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            text=True, encoding="utf-8", env=environment(contender),
        )  # fmt: skip
        try:
            answer = self._ask(do="load", model=model, weights=str(WEIGHTS), **contender.options)
        except BaseException:
            self.__exit__()
            raise
        self.facts: dict[str, Any] = {**answer["facts"], "load_seconds": round(answer["load_seconds"], 2)}

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe:
                pipe.close()

    def add_frame(self, path: Path) -> None:
        self._ask(do="add_frame", path=str(path))

    def run(self, frame: int) -> float:
        """Seconds from the decoded image to its mask, measured over there."""
        return float(self._ask(do="run", frame=frame)["seconds"])

    def save(self, frame: int, path: Path) -> None:
        self._ask(do="save", frame=frame, path=str(path))

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise ChildError(f"ended with code {self._process.wait()}: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise ChildError(answer["error"])
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"


def environment(contender: Contender) -> dict[str, str]:
    """The parent's variables; a rival does not see our modules, and finds the programs of its environment first."""
    made = dict(os.environ)
    made.pop("PYTHONDONTWRITEBYTECODE", None)  # else programs would compile their modules again at each start
    if contender.environment:
        made.pop("PYTHONPATH", None)
        made["PATH"] = os.pathsep.join([str(contender.python.parent), made.get("PATH", "")])
    return made


def provide_weights(model: str) -> None:
    """Puts the official weights where the adapters look: MODEL.onnx, and MODEL.pth if PyTorch is there to make it."""
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    onnx, pth = WEIGHTS / f"{model}.onnx", WEIGHTS / f"{model}.pth"
    found = models.pull(model).resolve()
    if onnx.resolve() != found:
        onnx.unlink(missing_ok=True)
        onnx.symlink_to(found)
    pytorch = Contender("", "pytorch", "")
    if not pth.is_file() and not pytorch.why_not():
        command = [str(pytorch.python), str(HERE / "weights.py"), str(onnx), str(pth)]
        if subprocess.run(command, check=False, env=environment(pytorch)).returncode:
            raise SystemExit(f"{onnx.name} could not be put back into PyTorch's form; the reason is above")
