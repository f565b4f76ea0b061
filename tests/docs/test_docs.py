# SPDX-License-Identifier: Apache-2.0
"""The documentation against the package: its programs, commands, options, file names and links are real."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from rmbg_trt.cli import COMMANDS, load

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
GENERATED = {ROOT / "docs" / "command-line.md"}  # made by docs/command_line.py when the site is built
SHARED = ("benchmarks", "csrc", "docs", "examples", "export", "python", "tests", "training", ".ci", ".github")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def programs() -> list[Any]:
    return [
        pytest.param(program, id=f"{page.relative_to(ROOT)}:{index}")
        for page in PAGES
        for index, program in enumerate(blocks(page.read_text(encoding="utf-8"), "python"))
    ]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every rmbg-trt command of the shell blocks and of code in the text, as (page, words)."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        shell = "\n".join(blocks(text, "sh")).replace("\\\n", " ").splitlines()
        for line in [*shell, *re.findall(r"`(rmbg-trt [^`]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))]:
            for part in re.split(r"\||;|&&", line.split(" # ")[0]):
                if "rmbg-trt " in part:
                    yield str(page.relative_to(ROOT)), shlex.split(part[part.index("rmbg-trt ") :])[1:]


@functools.cache
def loaded(name: str) -> Any:
    return load(name)


def options_of(words: list[str]) -> tuple[str, set[str]]:
    """The name of the command that the words call, and all options that it has."""
    if words[0] not in COMMANDS:
        return "", {"--help"}
    command, name = loaded(words[0]), words[0]
    context = typer.Context(command, info_name=name)
    if len(words) > 1 and hasattr(command, "get_command") and command.get_command(context, words[1]):
        command, name = command.get_command(context, words[1]), f"{name} {words[1]}"
    parameters = command.get_params(typer.Context(command, info_name=name))
    return name, {option for each in parameters for option in [*each.opts, *each.secondary_opts]}


def test_the_readme_is_short_and_keeps_its_two_commands() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert "`make demo`" in text
    assert "`make test`" in text


def test_the_benchmarks_are_one_page() -> None:
    assert len((ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.weights
def test_the_readmes_program_runs(u2net_path: Path, tmp_path: Path) -> None:
    assert u2net_path.is_file()
    (tmp_path / "docs").symlink_to(ROOT / "docs", target_is_directory=True)
    (program,) = blocks(README.read_text(encoding="utf-8"), "python")
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("u2net 320x320 on ")
    assert (tmp_path / "cutout.png").stat().st_size > 10_000


@pytest.mark.parametrize("program", programs())
def test_programs_compile_and_import_what_exists(program: str) -> None:
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rmbg_trt"):
            module = importlib.import_module(node.module)
            missing = [each.name for each in node.names if not hasattr(module, each.name)]
            assert not missing, f"{node.module} has no {', '.join(missing)}"


def test_commands_have_the_options_that_the_docs_give_them() -> None:
    seen = set()
    for page, words in commands():
        name, options = options_of(words)
        assert name or words[0].isupper() or words[0].startswith("-"), f"{page}: there is no command {words[0]!r}"
        given = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)} - {"--help", "-i", "-f"}
        assert given <= options, f"{page}: {name} has no {', '.join(sorted(given - options))}"
        seen.add(name)
    assert {"image", "video", "camera", "export", "train", "evaluate", "bench", "prepare", "models pull"} <= seen


def test_options_that_the_docs_name_exist() -> None:
    known = set().union(*(options_of([name])[1] for name in COMMANDS))
    known |= {"--help", "--count", "--fmad", "--no-save", "--tag"}  # of other programs
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for code in re.findall(r"`(--[a-z][a-z0-9-]*)[^`]*`", text):
            assert code in known, f"{page.relative_to(ROOT)}: no command has {code}"


def test_files_that_the_docs_name_exist() -> None:
    seen = 0
    for page in PAGES:
        for code in re.findall(r"`([^`\s]+)`", page.read_text(encoding="utf-8")):
            path = code.split("::")[0].rstrip("/")
            if path.split("/")[0] in SHARED and "/" in path and not re.search(r"[A-Z]{3,}|…", path):
                assert list(ROOT.glob(path)), f"{page.relative_to(ROOT)}: there is no {code}"
                seen += 1
    assert seen > 30


def test_every_extra_is_documented() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("|")]
    assert set(extras) <= set(re.findall(r"`(\w+)`", " ".join(rows)))


def test_links_lead_to_files() -> None:
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" not in link and not link.startswith("#"):
                target = (page.parent / link.split("#")[0]).resolve()
                assert target.exists() or target in GENERATED, f"{page.relative_to(ROOT)}: {link}"
