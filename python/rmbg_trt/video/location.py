# SPDX-License-Identifier: Apache-2.0
"""Where a clip comes from: a file, a URL, a sequence of images, or a pipe; and how FFmpeg opens it.

Source: FFmpeg's documentation of its protocols (file, pipe) and of the demuxer image2.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import select
import stat
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import av
from av.container import InputContainer

from ..errors import Error, InputError
from .animated_image import as_video, needs_pillow

OPEN_TIMEOUT_S, READ_TIMEOUT_S = 15.0, 15.0  # of a server
PIPE_TIMEOUT_S = 60.0  # the program that writes to it may have to compute
_NUMBER = re.compile(r"%(0?)(\d*)d")


def _interruptible(call: Callable[[], InputContainer]) -> InputContainer:
    """Calls what may wait long without running Python code. Ctrl-C ends the wait; the call goes on without us."""
    results: queue.SimpleQueue[InputContainer | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put(call())
        except BaseException as error:
            results.put(error)

    threading.Thread(target=run, name="rmbg-open", daemon=True).start()
    while True:
        with contextlib.suppress(queue.Empty):
            result = results.get(timeout=0.1)  # without a timeout, Windows ignores Ctrl-C
            if isinstance(result, BaseException):
                raise result
            return result


def file_url(path: str | os.PathLike[str]) -> str:
    """A file's name for FFmpeg, which otherwise takes what comes before a colon for a protocol."""
    return f"file:{os.fspath(path)}"


def protocol_options(url: str) -> dict[str, str]:
    """FFmpeg's options for the protocol of a URL: RTSP over TCP, because frames over UDP can be torn."""
    return {"rtsp_transport": "tcp"} if re.match("rtsps?:", url, re.IGNORECASE) else {}


@dataclass(frozen=True)
class Location:
    """Where a clip comes from.

    Attributes:
        text: As the user wrote it.
        kind: "file"; "url"; "sequence", images with a number in their names (``f_%03d.png``); or "pipe", which is
            standard input (``-``) or a named pipe.
    """

    text: str
    kind: Literal["file", "url", "sequence", "pipe"]

    @classmethod
    def of(cls, location: str | os.PathLike[str] | Location) -> Location:
        """Finds out what a user means. An existing file is a file, whatever its name looks like."""
        if isinstance(location, Location):
            return location
        text = os.fspath(location)
        path = Path(text)
        if text == "-":
            return cls(text, "pipe")
        if _exists(path):
            return cls(text, "pipe" if _is_pipe(path) else "file")
        if re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE):
            return cls(text, "url")
        return cls(text, "sequence" if _NUMBER.search(path.name) else "file")

    @property
    def name(self) -> str:
        """For messages: a URL without user name and password."""
        return "standard input" if self.text == "-" else re.sub(r"(?<=//)[^/@]*@", "", self.text)

    @property
    def stem(self) -> str:
        """For the name of a result."""
        if self.text == "-":
            return "stdin"
        name = Path(urlsplit(self.text).path if self.kind == "url" else self.text).stem
        return _NUMBER.sub("", name).rstrip("_-. ") or self.kind if self.kind != "file" else name

    @property
    def path(self) -> Path | None:
        """The file, if it is one."""
        return Path(self.text) if self.kind == "file" else None

    def check(self) -> None:
        """Raises `InputError` if there is no such file, or if a sequence has a gap."""
        path = Path(self.text)
        if self.kind == "sequence":
            self._numbers()
        elif self.kind == "file":
            if not self.text:
                raise InputError("the name of the clip is empty")
            if not _exists(path):
                raise InputError(f"{path} does not exist")
            if path.is_dir():
                raise InputError(f"{path} is a folder; give the video files in it, such as {path}/*.mp4")

    def open(self, rate: Fraction | None = None, **options: Any) -> InputContainer:
        """Opens it with PyAV.

        Args:
            rate: Frames per second of a sequence of images; None is 25. Other clips have their own.
            **options: For `av.open`.

        Raises:
            av.FFmpegError, Error, OSError, ValueError: It cannot be read.
        """
        file: Any = file_url(self.text)
        if self.kind == "pipe":
            file = _Pipe(self.text, self.name)
        elif self.kind == "url":
            file = self.text
            options["timeout"] = (OPEN_TIMEOUT_S, READ_TIMEOUT_S)
            options["options"] = protocol_options(self.text)
        elif self.kind == "sequence":
            path = Path(self.text)
            file = file_url(Path(str(path.parent).replace("%", "%%"), path.name))
            options["format"] = "image2"
            options["options"] = {"start_number": str(self._numbers()[0]), "framerate": str(rate or 25)}
        elif needs_pillow(Path(self.text)):
            file = as_video(Path(self.text))
        if self.kind == "url" and "hwaccel" not in options:  # a GPU's context belongs to this thread
            return _interruptible(lambda: av.open(file, **options))
        container: InputContainer = av.open(file, **options)
        return container

    def failure(self, why: str) -> str:
        """The message for a clip that cannot be opened."""
        if self.kind == "url":
            return f"{self.name} cannot be opened ({why}); check the address and the server"
        advice = "it may be cut off or not a video"
        if self.kind == "pipe":
            advice += ", or an MP4 file whose index is at its end: ffmpeg -movflags +faststart puts it at the beginning"
        return f"{self.name} cannot be read as a video ({why}); {advice}"

    def _numbers(self) -> list[int]:
        """The numbers of a sequence's images, in order."""
        path = Path(self.text)
        match = _NUMBER.search(path.name)
        assert match is not None
        before, after = re.escape(path.name[: match.start()]), re.escape(path.name[match.end() :])
        digits = rf"\d{{{match[2]},}}" if match[1] and match[2] else r"\d+"
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        found = (re.fullmatch(f"{before}({digits}){after}", name, re.ASCII) for name in names)
        numbers = sorted({int(one[1]) for one in found if one})
        if not numbers:
            raise InputError(f"{path} does not exist, and there is no image of such a name")
        if len(numbers) != numbers[-1] - numbers[0] + 1:
            missing = next(number for number in range(numbers[0], numbers[-1]) if number not in numbers)
            raise InputError(f"{path}: number {missing} is missing between {numbers[0]} and {numbers[-1]}")
        return numbers


def is_same_file(path: Path, other: Path) -> bool:
    """Whether both paths lead to one existing file or folder."""
    try:
        return path.exists() and path.samefile(other)
    except OSError:
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, as URLs can be
        return False


def _is_pipe(path: Path) -> bool:
    mode = path.stat().st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


class _Pipe:
    """Reads standard input or a named pipe for PyAV. FFmpeg's own protocol would wait for ever, deaf to a stop."""

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._owned: int | None = None
        if text == "-":
            if sys.stdin is None or sys.stdin.isatty():
                raise InputError(
                    f"standard input is {'closed' if sys.stdin is None else 'a terminal'}; pipe a clip to it"
                )
            self._descriptor = sys.stdin.fileno()
        else:  # without O_NONBLOCK, this waits until somebody writes
            self._descriptor = self._owned = os.open(text, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))

    def read(self, size: int) -> bytes:
        """Reads up to ``size`` bytes; b"" at the end. Raises `Error` if nothing comes for a minute."""
        if sys.platform != "win32" and not select.select([self._descriptor], [], [], PIPE_TIMEOUT_S)[0]:
            raise Error(f"{self._name}: nothing came for {PIPE_TIMEOUT_S:g} s")
        return os.read(self._descriptor, size)

    def __del__(self) -> None:
        if self._owned is not None:
            os.close(self._owned)
