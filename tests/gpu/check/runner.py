# SPDX-License-Identifier: Apache-2.0
"""Runs steps one after the other, each with a time limit, and notes each outcome at once, whatever fails."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

GRACE = 15  # seconds to end after Ctrl-C, in which pytest prints what it has


@dataclass(frozen=True)
class Step:
    """One command. `seconds` is its time limit."""

    name: str
    command: list[str]
    seconds: float
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    name: str
    result: str  # "passed", "FAILED, exit code 1", "TIME LIMIT", "not run: …"
    seconds: float


class Runner:
    """Prints what the steps print, and writes it to {part}.log; the outcomes go to {part}.json after each step."""

    def __init__(self, part: str, out: Path, root: Path, limit: float) -> None:
        self.part, self.out, self.outcomes = part, out, list[Outcome]()
        self._root, self._end = root, time.monotonic() + limit
        out.mkdir(parents=True, exist_ok=True)
        self._log = (out / f"{part}.log").open("wb")

    @property
    def left(self) -> float:
        """Seconds until the end of this part."""
        return self._end - time.monotonic()

    @property
    def failed(self) -> bool:
        return any(outcome.result != "passed" for outcome in self.outcomes)

    def allow(self, seconds: float) -> None:
        """Gives this part more time."""
        self._end += seconds

    def say(self, text: str) -> None:
        self._write(f"{text}\n".encode())

    def run(self, step: Step) -> bool:
        """Runs a step in what time is left. True if it passed."""
        limit = min(step.seconds, self.left - GRACE)
        self.say(f"\n=== {self.part}: {step.name}, at most {max(limit, 0):.0f} s")
        if limit < 5:
            return self.note(step.name, "not run: no time is left", 0)
        begin = time.monotonic()
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **step.environment}
        process = subprocess.Popen(
            step.command,
            cwd=self._root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        reader = threading.Thread(target=self._copy, args=(process,), daemon=True)
        reader.start()
        result = _wait(process, limit)
        reader.join(5)  # a grandchild may hold the pipe open
        return self.note(step.name, result, time.monotonic() - begin)

    def note(self, name: str, result: str, seconds: float) -> bool:
        """Keeps an outcome, on disk too."""
        self.outcomes.append(Outcome(name, result, round(seconds, 1)))
        self.say(f"=== {name}: {result}, {seconds:.1f} s")
        path = self.out / f"{self.part}.json"
        path.write_text(json.dumps({"steps": [asdict(each) for each in self.outcomes]}, indent=2) + "\n")
        return result == "passed"

    def _copy(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._write(line)

    def _write(self, data: bytes) -> None:
        for target in (sys.stdout.buffer, self._log):
            target.write(data)
            target.flush()


def _wait(process: subprocess.Popen[bytes], seconds: float) -> str:
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        return "TIME LIMIT"
    except BaseException:
        _end(process)
        raise
    return "passed" if code == 0 else f"FAILED, exit code {code}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a step and its children: politely, then at once."""
    for number, patience in ((signal.SIGINT, GRACE - 5), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    # Children that are left when the step itself has ended.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
