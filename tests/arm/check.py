# SPDX-License-Identifier: Apache-2.0
"""Builds the library and its examples for aarch64, runs them under QEMU and compares a matte with this machine's.

    make arm-check      or      python tests/arm/check.py

Needs a cross compiler and QEMU (apt-get install g++-aarch64-linux-gnu qemu-user), cmake, ninja, and the package in this
Python. QEMU says nothing about speed. Everything lies in build/arm.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from rmbg_trt import Engine
from rmbg_trt.networks.native_export import export_native

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "arm"
COMPILER = "aarch64-linux-gnu-"
QEMU = ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu")
SIZE = (96, 128)  # of the network's input: under QEMU a frame takes seconds
FUZZ_SECONDS = 10

MAX_MEAN, MAX_DIFFERENCE = 0.02, 2
"""Of alpha, 0 to 255: sums of floats in another order. A matte is truncated to bytes."""


def call(*command: object) -> str:
    print("+", *command, flush=True)
    done = subprocess.run([str(part) for part in command], cwd=WORK, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with exit code {done.returncode}\n{done.stdout[-5000:]}")
    return done.stdout


def build(source: Path, tree: Path, *options: str, targets: tuple[str, ...] = ()) -> None:
    kit = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": "aarch64",
        "CMAKE_C_COMPILER": f"{COMPILER}gcc",
        "CMAKE_CXX_COMPILER": f"{COMPILER}g++",
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_FIND_ROOT_PATH_MODE_PACKAGE": "BOTH",
        "CMAKE_DISABLE_FIND_PACKAGE_PNG": "ON",  # what would be found is this machine's
    }
    call(
        "cmake",
        "-G",
        "Ninja",
        "-S",
        source,
        "-B",
        tree,
        *(f"-D{key}={value}" for key, value in kit.items()),
        *options,
    )
    call("cmake", "--build", tree, *(f"--target={target}" for target in targets))


def compare(examples: Path) -> None:
    """The matte of a photograph by u2netp, on Arm and here."""
    model, image, out = WORK / "u2netp.rmbg", WORK / "in.ppm", WORK / "out.pgm"
    export_native("u2netp", model, size=SIZE, overwrite=True)
    photograph = Image.open(ROOT / "docs" / "images" / "astronaut.jpg").convert("RGB")
    photograph.save(image)
    call(*QEMU, examples / "cut_out", model, image, out, "alpha", "fp32")
    with Engine(model, device="cpu", precision="fp32", color="rgb") as engine:
        expected = engine.run(np.asarray(photograph)).astype(np.int16)
    difference = np.abs(np.asarray(Image.open(out)).astype(np.int16) - expected)
    print(f"alpha on Arm: mean difference {difference.mean():.4f}, largest {difference.max()} of 255")
    if difference.mean() > MAX_MEAN or difference.max() > MAX_DIFFERENCE or expected.max() < 255:
        sys.exit(f"too much: expected a mean of at most {MAX_MEAN} and at most {MAX_DIFFERENCE} anywhere")


def main() -> None:
    missing = [tool for tool in (f"{COMPILER}g++", QEMU[0], "cmake", "ninja") if shutil.which(tool) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; see the first lines of {__file__}")
    WORK.mkdir(parents=True, exist_ok=True)
    library, installed, examples, tests = (WORK / name for name in ("library", "installed", "examples", "tests"))
    off = ("-DRMBG_PYTHON=OFF", "-DRMBG_CUDA=OFF", "-DRMBG_TESTS=ON", "-DRMBG_WERROR=ON")
    fuzzers = ("frames", "graphs", "model_file", "resample")
    build(ROOT, library, *off, targets=("rmbg", "fuzz"))
    call("cmake", "--install", library, "--component", "library", "--prefix", installed)
    build(ROOT / "examples" / "cpp", examples, f"-DCMAKE_PREFIX_PATH={installed}")
    build(ROOT / "tests" / "engine", tests, f"-DCMAKE_PREFIX_PATH={installed}")
    compare(examples)

    small = WORK / "small.rmbg"
    export_native(str(small_model(WORK / "small.onnx")), small, overwrite=True)
    for program, *arguments in (("c_interface", small, WORK / "small.onnx"), ("cpp_interface", small)):
        print(call(*QEMU, tests / str(program), *arguments).strip())
    for name in fuzzers:  # rules for any input, among them: all layers in fp32 and bf16 compile and run
        print(call(*QEMU, library / "tests" / "fuzz" / f"{name}_fuzz", f"-max_total_time={FUZZ_SECONDS}").strip())


def small_model(path: Path) -> Path:
    sys.path.insert(0, str(ROOT))
    from tests import small_models

    return small_models.matte(path, 48, 64)


if __name__ == "__main__":
    os.environ.setdefault("RMBG_NUM_THREADS", "2")
    main()
