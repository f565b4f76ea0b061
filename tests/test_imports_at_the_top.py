# SPDX-License-Identifier: Apache-2.0
"""Modules of the package are imported at the top of a file, where a reader looks for them.

The exceptions are modules that themselves need an optional package, or one that is slow to import.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "rmbg_trt.training": ROOT / "training",
    "rmbg_trt.export": ROOT / "export",
    "rmbg_trt": ROOT / "python/rmbg_trt",
}
REQUIRED = {"isal", "numpy", "PIL", "platformdirs", "rich", "typer"}  # `onnx` is required and slow to import
STANDARD = set(sys.stdlib_module_names)
SLOW = {"rmbg_trt.fetch"}  # HTTP and TLS
WORKS_WITHOUT_THE_CORE = "rmbg_trt.doctor.report"  # the doctor says what is wrong with it

MODULES = {
    ".".join([package, *file.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__"): file
    for package, folder in FOLDERS.items()
    for file in folder.rglob("*.py")
}


def imported(module: str, node: ast.AST) -> list[str]:
    """What a statement imports, as absolute names: modules of ours, or the top level of other packages."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        parents = module.split(".") if MODULES[module].name == "__init__.py" else module.split(".")[:-1]
        base = ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [base])])
    names = [f"{base}.{alias.name}" for alias in node.names]
    return [name if name in MODULES else base for name in names]


@functools.cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@functools.cache
def at_the_top(module: str) -> frozenset[str]:
    return frozenset(name for node in tree(module).body for name in imported(module, node))


def inside_functions(module: str) -> Iterator[str]:
    for function in ast.walk(tree(module)):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from (name for node in ast.walk(function) for name in imported(module, node))


def has_a_reason(module: str, importer: str) -> bool:
    """Whether importing a module needs more than the package's own requirements, or is slow."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in SLOW:
            return True
        if name in MODULES:
            parent = name.rpartition(".")[0]
            waiting += [*at_the_top(name), *([parent] if parent.count(".") and not importer.startswith(parent) else [])]
        elif not name.startswith("rmbg_trt") and name.partition(".")[0] not in REQUIRED | STANDARD:
            return True
    return False


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {WORKS_WITHOUT_THE_CORE}))
def test_own_modules_are_imported_at_the_top(module: str) -> None:
    ours = {name for name in inside_functions(module) if name in MODULES and name != "rmbg_trt"}
    assert [name for name in sorted(ours) if not has_a_reason(name, module)] == []


def test_an_import_without_a_reason_is_found() -> None:
    assert not has_a_reason("rmbg_trt.engine", "rmbg_trt.cli.image")
    assert has_a_reason("rmbg_trt.live", "rmbg_trt.cli.camera")  # needs PyAV
