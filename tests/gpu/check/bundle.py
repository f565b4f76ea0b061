# SPDX-License-Identifier: Apache-2.0
"""The bundle of `make gpu-bundle`, as `make gpu-check` finds it on a GPU machine: what it holds, how it is unpacked."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import shutil
import zipfile
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).resolve().parents[3]
BUNDLE = ROOT / "build" / "gpu-bundle"
PYTHON = "3.12"
ARCHITECTURE = "90"
# The parts that travel with each command. What came with an earlier command to the same machine is still there.
PARTS = {"tests": ("base", "rtx1"), "latency": ("base", "rtx2"), "sanitizer": ("base", "av")}


class Manifest(TypedDict):
    """What base/manifest.json says."""

    commit: str | None
    architecture: str | None  # of the extension in the bundle; None: there is none
    sources: str  # source_hash() when it was built


def source_hash() -> str:
    """Changes with every file that the extension is compiled from."""
    digest = hashlib.sha256()
    files = [ROOT / "CMakeLists.txt", *(ROOT / "cmake").rglob("*"), *(ROOT / "csrc").rglob("*")]
    for path in sorted(file for file in files if file.is_file()):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def read_manifest() -> Manifest | None:
    """None where there is no bundle."""
    path = BUNDLE / "base" / "manifest.json"
    return json.loads(path.read_text()) if path.is_file() else None


def why_not(manifest: Manifest, version: str, architecture: str) -> str | None:
    """Why the bundle's extension cannot serve this Python and this GPU, or None."""
    if manifest["architecture"] is None:
        return "the bundle has no extension"
    if version != PYTHON:
        return f"the bundle's extension is for Python {PYTHON}, and this is {version}"
    if manifest["architecture"] != architecture:
        return f"the bundle's extension is for sm_{manifest['architecture']}, and this GPU is sm_{architecture}"
    if manifest["sources"] != source_hash():
        return "the bundle's extension was built from other sources; run make gpu-bundle again"
    return None


def wheels(*, extension: bool) -> list[Path]:
    """All wheels that are here; our own is among them if `extension`."""
    found = sorted(BUNDLE.glob("*/*.whl"))
    return [path for path in found if extension or not path.name.startswith("rmbg_trt-")]


def copy_python_sources(site: Path) -> None:
    """Puts the tree's Python files over those of the bundle's wheel, which may be older."""
    ignore = shutil.ignore_patterns("__pycache__", "_core.*.so")
    for source, target in (("python/rmbg_trt", ""), ("training", "training"), ("export", "export")):
        shutil.copytree(ROOT / source, site / "rmbg_trt" / target, dirs_exist_ok=True, ignore=ignore)


def unpack_libraries(site: Path) -> str:
    """Joins the halves of TensorRT-RTX's libraries and unpacks them. Returns what was done."""
    halves = [BUNDLE / "rtx1" / "libraries.xz.1", BUNDLE / "rtx2" / "libraries.xz.2"]
    missing = [path.parent.name for path in halves if not path.is_file()]
    if missing:
        return f"TensorRT-RTX is not unpacked: {' and '.join(missing)} of the bundle did not come to this machine"
    if not (site / "tensorrt_rtx_libs").is_dir():
        packed = b"".join(path.read_bytes() for path in halves)
        with zipfile.ZipFile(io.BytesIO(lzma.decompress(packed))) as archive:
            archive.extractall(site)
    return "TensorRT-RTX is unpacked"
