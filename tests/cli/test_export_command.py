# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt export`` as it is typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import small_models
from typer.testing import CliRunner

from rmbg_trt.cli import app
from rmbg_trt.export import Options, job


def _run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["export", *map(str, arguments)], catch_exceptions=False)


class CaughtError(Exception):
    """Ends the command where the export would begin."""


Caught = Callable[..., tuple[str, Path, Options]]


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> Caught:
    """``caught("u2net", ...)``: the source, target and options that a command line asks the export for."""
    calls: list[tuple[str, Path, Options]] = []

    def export(source: str, out: Path, options: Options, *, progress: Any) -> None:
        calls.append((source, out, options))
        raise CaughtError

    def run(*arguments: object) -> tuple[str, Path, Options]:
        with pytest.raises(CaughtError):
            _run(*arguments)
        return calls[-1]

    monkeypatch.setattr(job, "export", export)
    return run


def test_options_arrive(caught: Caught) -> None:
    source, out, options = caught(
        *("u2net", "-o", "x.plan", "--runtime", "tensorrt_rtx", "--device", "cuda:1", "--precision", "fp32"),
        *("--size", "288x512"),
        *("--batch", "1:2:8", "--targets", "sm86,sm89", "--workspace", "4G", "--verify", "photos", "--force"),
        *("--overwrite", "--timing-cache", "times"),
    )
    assert (source, out) == ("u2net", Path("x.plan"))
    assert options == Options(
        precision="fp32",
        batch=(1, 2, 8),
        size=((288, 288, 288), (512, 512, 512)),
        runtime="tensorrt_rtx",
        device="cuda:1",
        targets=("sm86", "sm89"),
        workspace_bytes=4 << 30,
        timing_cache=Path("times"),
        images=Path("photos"),
        force=True,
        overwrite=True,
    )


def test_one_side_is_a_square(caught: Caught) -> None:
    assert caught("u2net", "--size", 288)[2].size == ((288, 288, 288), (288, 288, 288))


@pytest.mark.parametrize(
    ("sides", "size"),
    [
        ((160, 320, 640), ((160, 320, 640), (160, 320, 640))),
        (("160x192", "320x512", "640x1024"), ((160, 320, 640), (192, 512, 1024))),
    ],
)
def test_ranges(sides: tuple[object, ...], size: Any, caught: Caught) -> None:
    assert caught("u2net", "--dynamic", *sides)[2].size == size


@pytest.mark.parametrize(
    ("arguments", "out"),
    [(("u2net",), "u2net.plan"), (("weights/best.safetensors", "--onnx-only"), "best.onnx")],
)
def test_the_default_name(arguments: tuple[str, ...], out: str, caught: Caught) -> None:
    assert caught(*arguments)[1] == Path(out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give a SOURCE to export, or --inspect FILE"),
        (("u2net", "--inspect", "x"), "give it no SOURCE"),
        (("u2net", "--size", "tall"), "--size is 'tall'; expected one side, as 320, or HEIGHTxWIDTH"),
        (("u2net", "--precision", "int8", "--size", "tall"), "--size is 'tall'"),
        (("u2net", "--size", 320, "--dynamic", 160, 320, 640), "contradict each other"),
        (("u2net", "--dynamic", "1x2x3", 320, 640), "expected three sides or HxW"),
        (("u2net", "--dynamic", "a", "b", "c"), "expected whole numbers"),
        (("u2net", "--batch", "1:2"), "--batch is '1 2'; expected N or MIN:OPT:MAX"),
        (("u2net", "--workspace", "lots"), "expected a size such as 512M or 4G"),
        (("u2net", "--onnx-only", "--targets", "sm86"), "are for plans, not for --onnx-only"),
        (("u2net", "--onnx-only", "--device", "cuda"), "are for plans, not for --onnx-only"),
        (("u2net", "--precision", "int8", "--device", "cuda"), "no options of plans"),
        (("u2net", "--device", "cpu"), "device is 'cpu', but plans are for GPUs"),
        (("u2net", "--device", "gpu1"), "device is 'gpu1'; expected 'auto'"),
    ],
)
def test_wrong_usage(arguments: tuple[object, ...], message: str) -> None:
    result = _run(*arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_an_export_and_what_is_in_it(small_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.onnx"
    result = _run(small_model, "-o", out, "--onnx-only")
    assert result.exit_code == 0, result.output
    assert "Verification" in result.output
    assert f"{out}: fp16" in result.output
    shown = _run("--inspect", out)
    assert shown.exit_code == 0
    assert "matte [1, 1, 48, 64] float" in shown.output
    again = _run(small_model, "-o", out, "--onnx-only")
    assert again.exit_code == 1
    assert "already exists" in again.output


def test_a_failure_says_why(tmp_path: Path) -> None:
    path = small_models.matte(tmp_path / "odd.onnx", 32, 32)
    data = path.read_bytes().replace(b"Sigmoid", b"Softsig")  # an operator that there is not
    path.write_bytes(data)
    result = _run(path, "-o", tmp_path / "x.onnx", "--onnx-only")
    assert result.exit_code == 1
    assert "not a readable ONNX model" in result.output
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"vtrt"])
def test_inspecting_what_is_no_model(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(content)
    result = _run("--inspect", path)
    assert result.exit_code == (0 if content == b"vtrt" else 1), result.output
    assert ("not loaded" if content == b"vtrt" else "not a readable PyTorch file") in result.output


def test_help_has_examples() -> None:
    result = _run("--help")
    assert result.exit_code == 0
    assert "rmbg-trt export u2net -o u2net.plan" in result.output
