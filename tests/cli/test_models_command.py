# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt models``: what it prints, where, and its exit codes; pulling goes through a local web server."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from rmbg_trt import catalogue, models
from rmbg_trt.cli import app, console
from rmbg_trt.errors import Error

GOOD = bytes(range(256)) * 8000
BAD = GOOD[::-1]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A catalogue of a good model, and of one whose server sends something else."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "good").write_bytes(GOOD)
    (served / "bad").write_bytes(BAD)
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(served)))
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()

    def model(name: str) -> catalogue.Model:
        source = catalogue.UrlSource(f"http://127.0.0.1:{httpd.server_port}/{name}")
        sha256 = hashlib.sha256(GOOD).hexdigest()
        return catalogue.Model(name, f"{name}.onnx", sha256, len(GOOD), "Apache-2.0", "", (320, 320), (source,))

    monkeypatch.setattr(models, "CATALOGUE", {name: model(name) for name in ("bad", "good")})
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RMBG_TRT_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("COLUMNS", "400")  # no path is wrapped
    yield tmp_path / "home"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["models", *arguments])


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_list(arguments: tuple[str, ...], home: Path) -> None:
    run("pull", "good")
    result = run(*arguments)
    assert result.exit_code == 0
    rows = {line.split()[1]: line for line in result.stdout.splitlines() if ".onnx" in line}
    assert set(rows) == {"bad", "good"}
    for word in ("2.0 MB", "Apache-2.0", "yes", str(home / "models" / "good.onnx")):
        assert word in rows["good"]
    assert "no" in rows["bad"].split()


def test_pull_says_where_and_does_not_fetch_twice(home: Path) -> None:
    result = run("pull", "good")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"good: pulled to {home / 'models' / 'good.onnx'}\n"
    assert (home / "models" / "good.onnx").read_bytes() == GOOD
    assert "good: already at" in run("pull", "good").stderr
    assert "good: pulled to" in run("pull", "--force", "good").stderr


def test_pull_all_goes_on_past_a_failure(home: Path) -> None:
    result = run("pull", "--all")
    assert result.exit_code == 1
    assert "Error: bad.onnx: a wrong file was sent" in result.stderr
    assert (home / "models" / "good.onnx").is_file()
    assert not (home / "models" / "bad.onnx").exists()


def test_pull_refuses_an_unknown_name_before_it_fetches(home: Path) -> None:
    result = run("pull", "good", "goood")
    assert result.exit_code == 1
    assert "Did you mean 'good'?" in result.stderr
    assert not home.exists()


@pytest.mark.parametrize(
    "arguments", [("pull",), ("pull", "good", "--all"), ("pull", "--wrong"), ("path",), ("nonsense",)]
)
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...], home: Path) -> None:
    assert run(*arguments).exit_code == 2
    assert not home.exists()


def test_path_prints_the_path_and_nothing_else(home: Path) -> None:
    missing = run("path", "good")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "rmbg-trt models pull good" in missing.stderr
    run("pull", "good")
    found = run("path", "good")
    assert (found.exit_code, found.stdout, found.stderr) == (0, f"{home / 'models' / 'good.onnx'}\n", "")


def test_verbose_tells_the_sources() -> None:
    assert "pulling good from" in run("pull", "good", "--verbose").stderr
    assert "pulling good from" not in run("pull", "good", "--force").stderr


@pytest.mark.parametrize("arguments", [(), ("list",), ("pull",), ("path",)])
def test_every_help_has_an_example(arguments: tuple[str, ...]) -> None:
    result = run(*arguments, "--help")
    assert result.exit_code == 0
    assert "Example:" in result.stdout


# ---- what all commands share


def test_the_error_boundary(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, console.error_boundary():
        raise Error("a [bold]file[/bold] is " + "long " * 50 + "gone")
    assert caught.value.exit_code == 1
    assert capsys.readouterr().err == "Error: a [bold]file[/bold] is " + "long " * 50 + "gone\n"
    with pytest.raises(typer.Exit) as caught, console.error_boundary():
        raise KeyboardInterrupt
    assert caught.value.exit_code == 130
    for error, what in ((MemoryError(), "memory"), (RuntimeError("can't start new thread"), "threads")):
        with pytest.raises(typer.Exit) as caught, console.error_boundary():
            raise error
        assert caught.value.exit_code == 1
        assert f"the system gives no more {what}" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(RuntimeError), console.error_boundary():
        raise RuntimeError("a bug")
    with pytest.raises(ZeroDivisionError), console.error_boundary():
        _ = 1 // 0  # a bug is not hidden


def test_verbose_shows_where_an_error_came_from() -> None:
    application = typer.Typer()

    @application.command()
    @console.error_boundary()
    def command(verbose: bool = False) -> None:
        console.setup_logging(verbose)
        raise Error("broken")

    for arguments, shown in (([], False), (["--verbose"], True)):
        result = CliRunner().invoke(application, arguments)
        assert result.exit_code == 1
        assert "Error: broken" in result.stderr
        assert ("Traceback" in result.stderr) == shown


def test_a_download_bar_appears_only_when_something_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=screen, force_terminal=True, width=100))
    with console.download_bar("weights"):
        pass
    assert screen.getvalue() == ""
    with console.download_bar("weights") as progress:
        progress(500_000, 2_000_000)
        progress(2_000_000, 2_000_000)
    assert "weights" in screen.getvalue()
    assert "2.0/2.0 MB" in screen.getvalue()


def test_a_bar_is_silent_where_it_cannot_redraw(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress_bar() as bar:
        bar.advance(bar.add_task("frames", total=1))
    assert capsys.readouterr().err == ""
