# SPDX-License-Identifier: Apache-2.0
"""The page "Command line" has every command, option and default of the Typer commands, as ``--help`` prints them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import typer

from rmbg_trt.cli import COMMANDS, load

HOOK = Path(__file__).parents[2] / "docs" / "command_line.py"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("command_line_page", HOOK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_and_option_is_there(hook: ModuleType) -> None:
    parts = hook.page().split("\n## ")[1:]
    sections = {part.splitlines()[0]: part for part in parts}
    assert list(sections) == list(COMMANDS)
    for name, section in sections.items():
        command = load(name)
        for parameter in command.get_params(typer.Context(command, info_name=name)):
            for option in [*parameter.opts, *parameter.secondary_opts]:
                if option.startswith("-") and parameter.name != "help":
                    assert f"`{option}" in section or f", {option}" in section or f"/ {option}" in section
    assert {"### models list", "### models pull", "### models path"} <= set(hook.page().splitlines())


def test_a_row_has_the_default_and_the_range(hook: ModuleType) -> None:
    assert hook.row("-j, --jobs <int range>", "Images at once.  [default: 4; x>=1]") == (
        "| `-j, --jobs <int>` | `4` | Images at once. (at least 1) |"
    )
    assert hook.row("-o, --out OUT", "A file.  [required]") == "| `-o, --out OUT` | required | A file. |"
    assert hook.row("--slots <int range>", "Frames.  [1<=x<=64]") == "| `--slots <int>` |  | Frames. (1 to 64) |"
    assert hook.row("--model <str>", "One of a|b.") == "| `--model` |  | One of a&#124;b. |"


def test_help_texts_become_markdown(hook: ModuleType) -> None:
    assert hook.prose("Cut out.\n\n    For example: [bold]rmbg-trt image a.jpg[/bold] [dim]now[/dim]") == (
        "Cut out.\n\nFor example: `rmbg-trt image a.jpg` now"
    )
