# SPDX-License-Identifier: Apache-2.0
"""A MkDocs hook that makes the page "Command line" from the Typer commands, so it always says what ``--help`` says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from rmbg_trt.cli import COMMANDS, app, load

if TYPE_CHECKING:  # MkDocs is optional: the tests read the page without it
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

PAGE = "command-line.md"
HEAD = """# Command line

`rmbg-trt COMMAND --help` prints the same text. Exit codes: 0 success, 1 the job or a file in it failed, 2 wrong usage,
130 Ctrl-C. Results are written under a temporary name and renamed, so a crash leaves no half-written file.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the page to the site; MkDocs calls this."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """The whole page as Markdown."""
    root = typer.Context(typer.main.get_command(app), info_name="rmbg-trt")
    return "\n".join([HEAD, *(text for name in COMMANDS for text in sections(name, load(name), root))])


def sections(name: str, command: Any, parent: typer.Context) -> Iterator[str]:
    """A command's section, and those of its own commands."""
    context = typer.Context(command, info_name=name, parent=parent)
    yield section(command, context)
    for inner in command.list_commands(context) if hasattr(command, "list_commands") else ():
        yield from sections(inner, command.get_command(context, inner), context)


def section(command: Any, context: typer.Context) -> str:
    """A command's heading, usage, help text and table of options."""
    path = context.command_path
    usage = re.sub(r"\{(.+?)\}(\.\.\.)?", r"\1", " ".join([path, *command.collect_usage_pieces(context)]))
    marks = "#" * len(path.split())
    text = [f"{marks} {path.removeprefix('rmbg-trt ')}", f"```text\n{usage}\n```", prose(command.help or "")]
    records = [each.get_help_record(context) for each in command.get_params(context) if each.name != "help"]
    rows = [row(*each) for each in records if each]
    if rows:
        text.append("\n".join(["| Argument or option | Default | Description |", "|---|---|---|", *rows]))
    return "\n\n".join(text) + "\n"


def prose(text: str) -> str:
    """A help text as Markdown: Rich's bold commands become code, and its paragraphs stay."""
    code = re.sub(r"\[bold\](.*?)\[/bold\]", r"`\1`", inspect.cleandoc(text), flags=re.DOTALL)
    return re.sub(r"\[/?\w+\]", "", code)


def row(names: str, words: str) -> str:
    """A line of the table, made of what ``--help`` prints: ("-j, --jobs <int>", "How many  [default: 2; x>=1]")."""
    names = re.sub(r" <(str|Path|list\[\w+\])>", "", names).replace("<int range>", "<int>").rstrip()
    words, _, extra = words.replace("\n", " ").partition("  [")
    default = ""
    for part in extra.removesuffix("]").split("; "):
        if part == "required":
            default = part
        elif part.startswith("default: "):
            default = f"`{part.removeprefix('default: ')}`"
        elif part:
            bounds = re.sub(r"x>=(\d+)", r"at least \1", re.sub(r"(\d+)<=x<=(\d+)", r"\1 to \2", part))
            words += f" ({bounds})"
    return f"| `{names}` | {default} | {prose(words).replace('|', '&#124;')} |"  # in code a bar needs no escape
