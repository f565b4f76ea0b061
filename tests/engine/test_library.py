# SPDX-License-Identifier: Apache-2.0
"""The library for C and C++: installed into a folder, found by find_package, and used by examples and by test programs.

The library is made of the objects of `make test`; only what lies in csrc/engine is compiled for it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests import make, small_models
from tests.stand_in_build import CMAKE, ROOT, Build, call, environment, needs_a_build

from rmbg_trt import Engine, _core
from rmbg_trt.networks.native_export import export_native

pytestmark = needs_a_build

EXPORTED = re.compile(
    r"rmbg_\w+|rmbg::Engine::.*|rmbg::(version|bt601|bt709)\(.*\)|typeinfo (name )?for rmbg::(\w*Error|Network)"
)


@pytest.fixture(scope="module")
def installed(built: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("installed")
    call(str(CMAKE), "--install", str(built("rmbg")), "--component", "library", "--prefix", str(prefix))
    return prefix


def build_with(installed: Path, source: Path, build: Path) -> Path:
    options = [f"-DCMAKE_PREFIX_PATH={installed}", "-DCMAKE_BUILD_TYPE=Release"]
    call(str(CMAKE), "-G", "Ninja", "-S", str(source), "-B", str(build), *options)
    call(str(CMAKE), "--build", str(build))
    return build


@pytest.fixture(scope="module")
def examples(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_with(installed, ROOT / "examples" / "cpp", tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    export_native(str(small_models.matte(folder / "small.onnx", 48, 64)), folder / "small.rmbg")
    return folder / "small.rmbg"


@pytest.fixture(scope="module")
def u2netp(u2netp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "u2netp.rmbg"
    export_native("u2netp", out)
    return out


def write_ppm(path: Path, rgb: np.ndarray) -> Path:
    path.write_bytes(b"P6\n# a comment\n%d %d\n255\n" % (rgb.shape[1], rgb.shape[0]) + rgb.tobytes())
    return path


def run(*command: object, stdin: bytes = b"", code: int = 0) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [str(part) for part in command], input=stdin, env=environment(), capture_output=True, check=False, timeout=60
    )
    assert done.returncode == code, done.stderr.decode()
    return done


def test_programs_that_check_the_interfaces(installed: Path, small: Path, tmp_path: Path) -> None:
    programs = build_with(installed, ROOT / "tests" / "engine", tmp_path)
    assert run(programs / "c_interface", small, small.with_suffix(".onnx")).stdout == b"fine\n"
    assert run(programs / "cpp_interface", small).stdout == b"fine\n"


def test_only_the_interface_is_exported(built: Build) -> None:
    if shutil.which("nm") is None:
        pytest.skip("needs nm")
    (library,) = built("rmbg_shared").glob("librmbg_shared.so")
    listed = call("nm", "--dynamic", "--defined-only", "--demangle", str(library)).splitlines()
    names = [line.split(" ", 2)[2] for line in listed]
    assert [name for name in names if not EXPORTED.fullmatch(name)] == []
    assert {"rmbg_open", "rmbg_run", "rmbg_close", "rmbg_last_error"} <= set(names)


def test_a_package_of_another_version_is_not_found(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.24)\nproject(p LANGUAGES CXX)\nfind_package(rmbg 0.9 REQUIRED)\n"
    )
    command = [str(CMAKE), "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={installed}"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert 'requested version "0.9"' in re.sub(r"\s+", " ", done.stderr)


class TestCutOut:
    @pytest.mark.weights
    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    @pytest.mark.parametrize("output", ["alpha", "cutout", "composite"])
    def test_the_same_bytes_as_in_python(
        self, examples: Path, u2netp: Path, output: str, precision: str, tmp_path: Path
    ) -> None:
        if precision == "bf16" and not _core.cpu_info()["bf16"]:
            pytest.skip("this processor has no bfloat16")
        rgb = np.asarray(Image.open(ROOT / "docs" / "images" / "astronaut.jpg").convert("RGB"))
        image, out = write_ppm(tmp_path / "in.ppm", rgb), tmp_path / "out.pam"
        done = run(examples / "cut_out", u2netp, image, out, output, precision)
        assert done.stderr == f"{precision}: it was asked for\n".encode()
        with Engine(u2netp, device="cpu", precision=precision, color="rgb") as engine:
            black = (0, 0, 0) if output == "composite" else None
            expected = engine.run(rgb, output=output, background=black)
        header = b"P5\n512 512\n255\n" if output == "alpha" else b"ENDHDR\n"
        assert out.read_bytes().partition(header)[2] == expected.tobytes()

    @pytest.mark.weights
    def test_auto_takes_bf16_with_amx_only(self, examples: Path, u2netp: Path, tmp_path: Path) -> None:
        image = write_ppm(tmp_path / "in.ppm", make.noise(40, 30, 3))
        done = run(examples / "cut_out", u2netp, image, tmp_path / "out.pam")
        assert _core.read_model_file(str(u2netp)).keeps_mattes
        amx = _core.cpu_isa() == "amx"
        expected = (
            b"bf16: the model keeps its mattes in it" if amx else b"fp32: bf16 was measured to be faster only with AMX"
        )
        assert done.stderr == expected + b"\n"

    def test_png_where_there_is_libpng(self, examples: Path, small: Path, tmp_path: Path) -> None:
        rgb = make.noise(20, 30, 3)
        Image.fromarray(rgb).save(tmp_path / "in.png")
        image = write_ppm(tmp_path / "in.ppm", rgb)
        if "png_file.cpp" not in (examples / "build.ninja").read_text():
            done = run(examples / "cut_out", small, image, tmp_path / "out.png", code=1)
            assert b"built without libpng; give a name that ends in .pam" in done.stderr
            return
        run(examples / "cut_out", small, tmp_path / "in.png", tmp_path / "out.png")
        run(examples / "cut_out", small, image, tmp_path / "out.pam")
        assert (tmp_path / "out.pam").read_bytes().endswith(Image.open(tmp_path / "out.png").tobytes())

    def test_errors(self, examples: Path, small: Path, tmp_path: Path) -> None:
        image = write_ppm(tmp_path / "in.ppm", make.noise(5, 4, 3))
        assert b"usage: cut_out" in run(examples / "cut_out", code=2).stderr
        done = run(examples / "cut_out", tmp_path / "none.rmbg", image, tmp_path / "out.pam", code=1)
        assert b"none.rmbg: cannot be read: No such file" in done.stderr
        damaged = tmp_path / "damaged.rmbg"
        damaged.write_bytes(small.read_bytes()[:-1])
        assert b"its header says" in run(examples / "cut_out", damaged, image, tmp_path / "o.pam", code=1).stderr
        image.write_bytes(image.read_bytes()[:-1])
        assert b"the file ends early" in run(examples / "cut_out", small, image, tmp_path / "o.pam", code=1).stderr


class TestMatteFrames:
    @pytest.mark.parametrize(("output", "channels"), [("rgba", 4), ("gray", 1)])
    def test_frames_of_a_pipe(self, examples: Path, small: Path, output: str, channels: int) -> None:
        frames = [make.noise(30, 40, 3, seed=seed) for seed in range(3)]
        data = b"".join(frame.tobytes() for frame in frames)
        got = run(examples / "matte_frames", small, 40, 30, output, stdin=data).stdout
        with Engine(small, device="cpu", precision="fp32", color="rgb", stretch="none") as engine:
            expected = [engine.run(frame, output="cutout" if channels == 4 else "alpha") for frame in frames]
        assert got == b"".join(result.tobytes() for result in expected)

    def test_errors(self, examples: Path, small: Path) -> None:
        assert b"usage: matte_frames" in run(examples / "matte_frames", small, 0, 30, code=2).stderr
        done = run(examples / "matte_frames", small, 40, 30, stdin=bytes(40 * 30 * 3 + 7), code=1)
        assert b"the input ends within a frame (7 of 3600 bytes)" in done.stderr
        assert len(done.stdout) == 40 * 30 * 4

    def test_between_two_ffmpegs(self, examples: Path, small: Path, tmp_path: Path) -> None:
        """As in the program's first lines, with PyAV's FFmpeg on either side."""
        av = pytest.importorskip("av")
        clip = tmp_path / "in.mp4"
        with av.open(str(clip), "w") as file:
            stream = file.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for seed in range(4):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(make.noise(48, 64, 3, seed=seed), format="rgb24")))
            file.mux(stream.encode(None))
        with av.open(str(clip)) as file:
            frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        data = b"".join(frame.tobytes() for frame in frames)
        got = run(examples / "matte_frames", small, 64, 48, stdin=data).stdout
        cutouts = np.frombuffer(got, np.uint8).reshape(-1, 48, 64, 4)
        assert len(cutouts) == len(frames) == 4
        np.testing.assert_array_equal(cutouts[..., :3], np.stack(frames))
