# SPDX-License-Identifier: Apache-2.0
"""Packs all that `make gpu-check` needs on a GPU machine without a package registry: `make gpu-bundle`.

The bundle is for Python 3.12 on x86-64 Linux and a GPU of compute capability 9.0. Its parts lie in build/gpu-bundle:

  base   our extension, small wheels, the weights of u2netp: for every command
  rtx1   one half of TensorRT-RTX
  rtx2   the other half
  av     PyAV, for the test of the GPU's video decoder

At the end it prints how many bytes each command sends: the working tree, and the parts named beside it.
"""

from __future__ import annotations

import json
import lzma
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from bundle import ARCHITECTURE, BUNDLE, PARTS, PYTHON, ROOT, Manifest, source_hash

WORK = ROOT / "build" / "gpu-bundle-work"
LIMIT = 64 << 20  # bytes that one command may send
WHEELS = {
    "base": ("platformdirs", "pillow", "pybind11>=3", "isal"),
    "rtx1": ("tensorrt-rtx-cu13-bindings",),
    "av": ("av",),
}
LIBRARIES = "tensorrt-rtx-cu13-libs"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def say(text: str) -> None:
    print(f"=== {text}", flush=True)


def call(*command: str | Path, **environment: str) -> None:
    subprocess.run([str(word) for word in command], cwd=ROOT, env={**os.environ, **environment}, check=True)


def printed(*command: str | Path) -> str | None:
    """What a command prints, or None where it fails."""
    try:
        done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def find_python() -> str | None:
    """A Python 3.12 that has its headers: $PYTHON312, python3.12 on PATH, or one of pyenv's."""
    candidates = [os.environ.get("PYTHON312"), shutil.which(f"python{PYTHON}")]
    candidates += [str(path) for path in sorted(Path.home().glob(f".pyenv/versions/{PYTHON}*/bin/python{PYTHON}"))]
    script = "import sys, sysconfig; print('%d.%d' % sys.version_info[:2], sysconfig.get_path('include'))"
    for candidate in filter(None, candidates):
        version, _, headers = (printed(candidate, "-c", script) or "").partition(" ")
        if version == PYTHON and (Path(headers) / "Python.h").is_file():
            return candidate
    return None


def download(folder: Path, *packages: str) -> None:
    """Wheels for the GPU machine, in the versions of constraints.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    target = ["--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON]
    for platform in PLATFORMS:
        target += ["--platform", platform]
    constraints = ["--constraint", ROOT / "constraints.txt"]
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
    call(*pip, *target, *constraints, "--dest", folder, *packages)


def build_extension(base: Path) -> tuple[Path, bool]:
    """Builds the package in an environment of its own. Returns its Python, and whether the wheel is in the bundle."""
    python = find_python()
    if python is None:
        say(f"no Python {PYTHON} with headers here (set PYTHON312): the extension will be built on the GPU machine")
    made = WORK / ("venv" if python else "venv-other")
    inside = made / "bin" / "python"
    pip = (inside, "-m", "pip", "--quiet", "--disable-pip-version-check")
    if not (made / ".ready").exists():
        call(python or sys.executable, "-m", "venv", made)
        constraints = ("--constraint", "constraints.txt")
        call(*pip, "install", *constraints, "scikit-build-core>=0.11", "pybind11>=3", "cmake>=3.24", "ninja")
        (made / ".ready").touch()
    wheels = WORK / "wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    options = f"-DRMBG_CUDA=AUTO -DRMBG_CUDA_ARCHITECTURES={ARCHITECTURE}-real"
    path = f"{inside.parent}{os.pathsep}{os.environ['PATH']}"
    build = ("--no-build-isolation", "--no-deps", "--config-settings=build-dir=build/gpu-bundle-work/{wheel_tag}")
    environment = {"CMAKE_ARGS": options, "RMBG_TESTS": "ON", "PATH": path}
    call(*pip, "wheel", *build, "--wheel-dir", wheels, ".", **environment)
    (wheel,) = wheels.glob("*.whl")
    call(*pip, "install", "--constraint", "constraints.txt", "--force-reinstall", "--no-deps", wheel)
    call(*pip, "install", "--constraint", "constraints.txt", wheel)
    has_cuda = printed(inside, "-I", "-c", "from rmbg_trt import _core; print(_core.build_info()['cuda'])") == "True"
    if not has_cuda:
        say("no CUDA compiler here: the extension will be built on the GPU machine")
    if python and has_cuda:
        shutil.copy(wheel, base)
        return inside, True
    return inside, False


def pack_libraries() -> None:
    """TensorRT-RTX's libraries, packed tighter than in their wheel and cut into two halves."""
    halves = [BUNDLE / "rtx1" / "libraries.xz.1", BUNDLE / "rtx2" / "libraries.xz.2"]
    download(WORK / "libraries", LIBRARIES)
    wheel = max((WORK / "libraries").glob("*.whl"), key=lambda path: path.stat().st_mtime)
    packed = WORK / f"{wheel.stem}.xz"
    if not packed.exists():
        stored = WORK / "stored.zip"
        unpack_and_store(wheel, stored)
        unfinished = packed.with_suffix(".part")
        with stored.open("rb") as source, lzma.open(unfinished, "wb", preset=4) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        unfinished.rename(packed)
        stored.unlink()
    data = packed.read_bytes()
    middle = len(data) // 2
    for path, piece in zip(halves, (data[:middle], data[middle:]), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(piece)


def unpack_and_store(wheel: Path, stored: Path) -> None:
    """The same archive without compression, which stands in the way of a better one."""
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(stored, "w", zipfile.ZIP_STORED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))


def tree_bytes() -> int:
    """Tracked files, and those that git neither knows nor ignores."""
    names = printed("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard") or ""
    paths = [ROOT / name for name in set(names.split("\0")) if name]
    return sum(path.stat().st_size for path in paths if path.is_file())


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    shutil.rmtree(BUNDLE, ignore_errors=True)
    for part in ("base", "rtx1", "rtx2", "av"):
        (BUNDLE / part).mkdir(parents=True)
    base = BUNDLE / "base"
    say("wheels")
    for part, packages in WHEELS.items():
        download(BUNDLE / part, *packages)
    say("TensorRT-RTX")
    pack_libraries()
    say(f"the extension, for Python {PYTHON} and sm_{ARCHITECTURE}")
    python, with_extension = build_extension(base)
    say("weights")
    where = printed(python, "-I", "-c", "from rmbg_trt import models; print(models.pull('u2netp'))")
    if where is None:
        raise SystemExit("the weights of u2netp could not be fetched")
    (base / "home" / "models").mkdir(parents=True)
    shutil.copy(where, base / "home" / "models")
    commit = printed("git", "rev-parse", "--short=12", "HEAD")
    manifest: Manifest = {
        "commit": commit,
        "architecture": ARCHITECTURE if with_extension else None,
        "sources": source_hash(),
    }
    (base / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    tree = tree_bytes()
    say(f"bytes that each command sends, of at most {LIMIT:,}")
    too_large = False
    for command, parts in PARTS.items():
        total = tree + sum(folder_bytes(BUNDLE / part) for part in parts)
        too_large |= total > LIMIT
        print(f"{command:10} {total:12,} = the tree ({tree:,}) and " + ", ".join(parts))
    if too_large:
        raise SystemExit("a command sends more than it may")


if __name__ == "__main__":
    main()
