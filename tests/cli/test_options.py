# SPDX-License-Identifier: Apache-2.0
"""Options that commands share: a dataclass of options becomes options of the command, and arrives as one object."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from rmbg_trt.cli.console import error_boundary
from rmbg_trt.cli.options import EngineChoice, Filter, FrameChoice, MatteChoice, ModelOption, Output, expand_options
from rmbg_trt.errors import InputError
from rmbg_trt.options import FrameOptions

CALLS: list[dict[str, Any]] = []


@dataclass(frozen=True, kw_only=True)
class Range:
    """Two options that are checked together."""

    low: Annotated[int, typer.Option(help="The smaller one.")] = 1
    high: int = 2

    def __post_init__(self) -> None:
        """Refuses an empty range."""
        if self.low > self.high:
            raise InputError(f"--low is {self.low}, above --high {self.high}")


@error_boundary()
@expand_options
def command(
    name: Annotated[str, typer.Argument(help="Something.")],
    *,
    bounds: Range,
    output: Annotated[Output | None, typer.Option("--output")] = None,
    model: ModelOption = "u2net",
    choice: EngineChoice,
    required: Annotated[str, typer.Option("--out", help="Has no default.")],
) -> None:
    """A command with two groups of options."""
    CALLS.append({"name": name, "bounds": bounds, "output": output, "model": model, "choice": choice, "out": required})


def run(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(command)
    CALLS.clear()
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, list(map(str, arguments)))


def test_groups_arrive_as_objects_with_their_defaults() -> None:
    assert run("x", "--out", "o").exit_code == 0
    assert [
        {"name": "x", "bounds": Range(), "output": None, "model": "u2net", "choice": EngineChoice(), "out": "o"}
    ] == CALLS


def test_values_arrive_in_their_group() -> None:
    arguments = ("--low", 3, "--high", 4, "--output", "alpha", "--device", "cpu", "--size", "32x64", "--filter", "area")
    assert run("x", *arguments, "--out", "o").exit_code == 0
    assert CALLS[0]["bounds"] == Range(low=3, high=4)
    assert CALLS[0]["output"] is Output.alpha
    assert CALLS[0]["choice"] == EngineChoice(device="cpu", size="32x64", filter=Filter.area)


def test_a_group_has_its_options_in_its_place() -> None:
    app = typer.Typer(add_completion=False)
    app.command()(command)
    found = [parameter.opts[0] for parameter in typer.main.get_command(app).params]
    engine = ["--device", "--runtime", "--precision", "--calibration", "--size", "--filter"]
    assert found == ["name", "--low", "--high", "--output", "--model", *engine, "--out"]
    assert "The smaller one." in run("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--low", 5), "--low is 5, above --high 2"),
        (("--size", "wide"), "--size is 'wide'; expected one side, as 320, or HEIGHTxWIDTH, as 320x480"),
        (("--size", "1x2x3"), "--size is '1x2x3'"),
        (("--calibration", "."), "--calibration is for --precision int8"),
        (("--calibration", "nowhere", "--precision", "int8"), "--calibration is nowhere; expected a folder"),
    ],
)
def test_what_a_group_refuses_is_wrong_usage(arguments: tuple[object, ...], message: str) -> None:
    done = run("x", "--out", "o", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert CALLS == []


def test_an_error_of_the_command_itself_is_not_wrong_usage() -> None:
    @error_boundary()
    @expand_options
    def failing(*, bounds: Range) -> None:
        raise InputError(f"no {bounds.low}")

    app = typer.Typer()
    app.command()(failing)
    done = CliRunner().invoke(app, [])
    assert (done.exit_code, done.stderr.strip()) == (1, "Error: no 1")


def test_keywords_of_the_engine(tmp_path: Path) -> None:
    choice = EngineChoice(precision="int8", calibration=tmp_path, size="320", filter=Filter.bilinear)
    assert choice.keywords() == {
        "device": "auto",
        "runtime": "auto",
        "precision": "int8",
        "calibration": tmp_path,
        "size": 320,
        "filter": "bilinear",
    }


@pytest.mark.parametrize("stretch", ["wide", "0.5", "0.5,0.5", "-1,1", "0,nan"])
def test_a_stretch_that_is_refused(stretch: str) -> None:
    with pytest.raises(InputError, match="expected none, minmax, running, or LOW,HIGH"):
        MatteChoice(stretch=stretch)


@pytest.mark.parametrize(
    ("choice", "options"),
    [
        (FrameChoice(), FrameOptions("cutout", refine=True, decontaminate=True)),
        (FrameChoice(background="red", refine=False), FrameOptions("composite", "red", decontaminate=True)),
        (FrameChoice(background=""), FrameOptions("composite", "", refine=True, decontaminate=True)),
        (FrameChoice(background=[]), FrameOptions("cutout", [], refine=True, decontaminate=True)),
        (FrameChoice(output=Output.alpha), FrameOptions("alpha", refine=True, decontaminate=True)),
        (
            FrameChoice(premultiplied=True, refine=False, decontaminate=False),
            FrameOptions("cutout", premultiplied=True),
        ),
    ],
)
def test_options_of_frames(choice: FrameChoice, options: FrameOptions) -> None:
    assert choice.frame_options() == options


def test_every_option_of_a_frame_is_one_of_the_commands() -> None:
    """But nv12: frames that a command reads are in colors."""
    of_frames, of_commands = (
        [field.name for field in dataclasses.fields(each)] for each in (FrameOptions, FrameChoice)
    )
    assert sorted(of_commands) == sorted({*of_frames} - {"nv12"})


@pytest.mark.parametrize("output", ["alpha", "composite"])
def test_premultiplied_is_for_cutouts(output: str) -> None:
    with pytest.raises(InputError, match=f"--premultiplied is for cutouts, not for --output {output}"):
        FrameChoice(output=Output(output), premultiplied=True).frame_options()
