# SPDX-License-Identifier: Apache-2.0
"""Where the check runs: the GPU, the Python with everything in it, and our extension, built if need be.

Three kinds: a machine with the bundle of `make gpu-bundle`, where nothing is fetched; any other machine, where pip
fetches what is missing into an environment of its own; and a rehearsal on the CPU, with a build against
tests/cuda_stand_in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import bundle
from bundle import ROOT
from runner import Runner, Step

SITE = ROOT / "build" / "gpu-site"
VENV = ROOT / "build" / "gpu-venv"
SEARCH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/local/cuda/bin"
LOADS = """
import sys, tests
from rmbg_trt import _core
print(_core.__file__, _core.build_info(), _core.cuda_devices())
if not list(tests.__path__)[0].startswith(sys.argv[1]):
    raise SystemExit(f"another package called tests is in the way: {tests.__path__}")
if not _core.cuda_devices():
    raise SystemExit(3)
"""


@dataclass
class Place:
    python: str
    rehearsal: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    shared: bool = True  # several processes may use the GPU at once

    def find(self, program: str) -> str | None:
        return shutil.which(program, path=self.environment.get("PATH", SEARCH))

    def has(self, module: str) -> bool:
        done = subprocess.run(
            [self.python, "-c", f"import {module}"],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            capture_output=True,
        )
        return done.returncode == 0

    def module(self, *arguments: str) -> list[str]:
        return [self.python, "-m", *arguments]


def prepare(runner: Runner) -> Place | None:
    """Sets everything up, in steps of the runner. None: without success, so that no test can run."""
    package = os.environ.get("RMBG_GPU_REHEARSAL")
    place = Place(os.environ.get("PYTHON") or sys.executable, rehearsal=bool(package))
    path = SEARCH
    if package:
        path = f"{Path(__file__).parent / 'rehearsal'}{os.pathsep}{path}"
        place.environment |= {"RMBG_STAND_IN_OPEN": "1", "RMBG_STAND_IN_ORDER": "shuffled"}
    place.environment |= {"PATH": path, "RMBG_FAIL_WITHOUT_CUDA": "1"}
    if package:
        place.environment["PYTHONPATH"] = _first_on_path(package)
    gpu = _ask_gpu(place)
    runner.say(f"GPU, driver, compute capability, memory, compute mode: {gpu}")
    if gpu is None:
        runner.note("set up", "FAILED: nvidia-smi finds no GPU", 0)
        return None
    architecture, place.shared = gpu[2].replace(".", ""), not gpu[4].startswith("Exclusive")
    manifest = None if package else bundle.read_manifest()
    if manifest is not None:
        ready = _with_bundle(runner, place, manifest, architecture)
    else:
        ready = bool(package) or _with_pip(runner, place, architecture)
    return place if ready and _loads(runner, place) else None


def _ask_gpu(place: Place) -> list[str] | None:
    """Name, driver, compute capability, memory and compute mode of the first GPU."""
    program = place.find("nvidia-smi")
    if program is None:
        return None
    query = "--query-gpu=name,driver_version,compute_cap,memory.total,compute_mode"
    done = subprocess.run([program, query, "--format=csv,noheader"], capture_output=True, text=True)
    fields = [each.strip() for each in done.stdout.partition("\n")[0].split(",")]
    return fields if done.returncode == 0 and len(fields) == 5 else None


def _loads(runner: Runner, place: Place) -> bool:
    return runner.run(Step("the extension loads", [place.python, "-c", LOADS, str(ROOT)], 90, place.environment))


def _first_on_path(folder: str) -> str:
    return os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))


def _build_options(architecture: str) -> dict[str, str]:
    options = f"-DRMBG_CUDA=ON -DRMBG_CUDA_ARCHITECTURES={architecture}-real"
    return {"CMAKE_ARGS": options, "RMBG_TESTS": "ON"}


def _with_bundle(runner: Runner, place: Place, manifest: bundle.Manifest, architecture: str) -> bool:
    version = subprocess.run(
        [place.python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True
    ).stdout.strip()
    reason = bundle.why_not(manifest, version, architecture)
    place.environment |= {
        "PYTHONPATH": _first_on_path(str(SITE)),
        "RMBG_TRT_HOME": str(bundle.BUNDLE / "base" / "home"),
        "RMBG_TRT_OFFLINE": "1",
    }
    if manifest["commit"]:
        place.environment["RMBG_COMMIT"] = manifest["commit"]
    install = place.module(
        "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(SITE)
    )
    shutil.rmtree(SITE, ignore_errors=True)
    wheels = [str(path) for path in bundle.wheels(extension=reason is None)]
    unpack = [*install, "--no-index", "--no-compile", *wheels]
    if not runner.run(Step("unpack the wheels", unpack, 60)):
        return False
    runner.say(bundle.unpack_libraries(SITE))
    if reason is None:
        bundle.copy_python_sources(SITE)
        import_core = [place.python, "-c", "from rmbg_trt import _core"]
        if runner.run(Step("load the extension of the bundle", import_core, 60, place.environment)):
            return True
        reason = "the bundle's extension does not load"
        runner.outcomes.pop()  # not a failure: what follows cures it, or fails
    runner.say(f"{reason}: building here")
    build = [*install, "--no-build-isolation", "--upgrade", "."]
    options = place.environment | _build_options(architecture)
    return runner.run(Step(f"build for sm_{architecture}", build, 300, options))


def _with_pip(runner: Runner, place: Place, architecture: str) -> bool:
    """Packages that the machine has, PyTorch above all, are used where they are new enough."""
    runner.allow(1500)  # the packages may have to be fetched; minutes are short only where there is a bundle
    if not VENV.exists():
        make = place.module("venv", "--system-site-packages", str(VENV))
        if not runner.run(Step("make an environment", make, 60)):
            return False
    place.python = str(VENV / "bin" / "python")
    install = place.module("pip", "install", "--quiet", "--disable-pip-version-check", ".[test]", "pytest-xdist")
    return runner.run(Step(f"build for sm_{architecture}, with pip", install, 1500, _build_options(architecture)))
