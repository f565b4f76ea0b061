# SPDX-License-Identifier: Apache-2.0
"""Model files: resolves names and paths, finds catalogue models in the cache, and fetches them.

A file in the cache is either complete or absent, whatever interrupts a pull.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import hashlib
import logging
import os
from pathlib import Path

from .cache import cache_dir
from .catalogue import CATALOGUE as CATALOGUE
from .catalogue import Model, UrlSource
from .catalogue import Progress as Progress
from .errors import InputError, ModelError, UnavailableError
from .files import model_sha256

_log = logging.getLogger(__name__)
_CHUNK_BYTES = 1 << 20


def model_path(name: str) -> Path:
    """The path of the catalogue model ``name``, cached or not. Raises `InputError` for an unknown name."""
    return cache_dir() / "models" / _entry(name).file_name


def is_catalogue_file(path: Path) -> bool:
    """Whether this is the path of a catalogue model in the cache, whose content `resolve` has checked."""
    return any(path == model_path(name) for name in CATALOGUE)


def content_sha256(path: Path) -> str:
    """The sha256 of a model file, hexadecimal. A catalogue model is not hashed again: `resolve` has checked it."""
    for name, model in CATALOGUE.items():
        if path == model_path(name):
            return model.sha256
    try:
        states = [file.stat() for file in (path, path.with_suffix(".bin")) if file.is_file()]
    except OSError:
        return model_sha256(path)  # reports the error
    return _hashed(path, tuple((state.st_ino, state.st_size, state.st_mtime_ns) for state in states))


@functools.lru_cache(maxsize=32)
def _hashed(path: Path, state: tuple[tuple[int, int, int], ...]) -> str:
    """The sha256 of a file in this state (inode, size, time of change): one start needs it for several cache keys."""
    return model_sha256(path)


def is_cached(name: str) -> bool:
    """Whether the catalogue model ``name`` is in the cache and complete. Raises `InputError` for an unknown name."""
    return _flaw(_entry(name), model_path(name)) is None


def offline() -> bool:
    """Whether ``RMBG_TRT_OFFLINE`` forbids the network."""
    return os.environ.get("RMBG_TRT_OFFLINE", "").lower() not in ("", "0", "false", "no")


def resolve(model: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
    """Resolves a path or catalogue name to an existing file.

    Args:
        model: The path of a file, or the name of a catalogue model, which is pulled if it is not cached.
        progress: Called as ``progress(bytes_done, bytes_total)`` while a model is pulled.

    Returns:
        The path of the file.

    Raises:
        InputError: It is neither a file nor a catalogue name.
        ModelError: The cached file is damaged and could not be replaced, or a source sent a wrong file.
        UnavailableError: The model is not cached and could not be fetched.
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


_MISSING = "it is not there"


def _flaw(model: Model, path: Path) -> str | None:
    """What is wrong with the file, or None. It is hashed only when it has changed; ``<file>.ok`` remembers that."""
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


def pull(name: str, *, force: bool = False, progress: Progress | None = None) -> Path:
    """Fetches a catalogue model into the cache, unless it is there and complete.

    Safe to run from several processes at once: each writes its own temporary file, and the renames are atomic.

    Args:
        name: The name of a catalogue model.
        force: Fetch it even if it is cached. The old file stays until the new one is complete.
        progress: Called as ``progress(bytes_done, bytes_total)``; not called when nothing is fetched.

    Returns:
        The path of the model.

    Raises:
        InputError: There is no such model.
        ModelError: The cached file is damaged and could not be replaced, or a source sent a wrong file.
        UnavailableError: No source could deliver the model.
        Error: The cache cannot be written.
    """
    model = _entry(name)
    path = model_path(name)
    flaw = _flaw(model, path)
    if flaw is None and not force:
        return path
    damaged = flaw not in (None, _MISSING)
    if damaged:
        _log.warning("the cached model %s is damaged: %s; it is fetched again", path, flaw)

    from . import fetch  # slow to import (HTTP, TLS), and most programs fetch nothing

    reasons: list[str] = []
    wrong = False
    for source in () if offline() else model.sources:
        _log.info("pulling %s from %s", name, source)
        try:
            fetch.fetch(source, model, path, progress)
        except fetch.SourceError as error:
            _log.warning("could not pull %s from %s: %s", name, source, error)
            reasons.append(f"{source}: {error}")
            wrong |= isinstance(error, fetch.WrongFileError)
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
