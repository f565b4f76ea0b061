# SPDX-License-Identifier: Apache-2.0
"""The list of commands: what stands in it is what the commands say of themselves, and only the one called is loaded."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from rmbg_trt import cli


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_list_has_the_first_sentence_of_each_help(name: str) -> None:
    help_text = cli.load(name).help
    assert help_text is not None
    assert help_text.split("\n\n")[0] == cli.COMMANDS[name]


def test_the_list() -> None:
    result = CliRunner().invoke(cli.app, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in cli.COMMANDS)


def test_a_name_that_is_nearly_right() -> None:
    result = CliRunner().invoke(cli.app, ["imge"])
    assert result.exit_code == 2
    assert "image" in result.output


def test_help_imports_no_command_and_nothing_heavy(in_python: Callable[..., str]) -> None:
    script = """if True:
    import sys
    from typer.testing import CliRunner
    from rmbg_trt import cli
    assert CliRunner().invoke(cli.app, ["--help"]).exit_code == 0
    heavy = ("numpy", "PIL", "torch", "openvino", "onnx", "av", "cv2", "rmbg_trt._core", "rmbg_trt.engine")
    print([name for name in heavy if name in sys.modules])
    """
    assert in_python(script).strip() == "[]"
