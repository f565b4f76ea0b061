# SPDX-License-Identifier: Apache-2.0
"""What many tests share: made models, official weights, engines over Python networks, and the rule for GPU tests."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import fakes, shared, small_models
from tests.stand_in_build import built, stand_in_package  # noqa: F401, fixtures

from rmbg_trt import Engine, _core, engine, models
from rmbg_trt.errors import Error
from rmbg_trt.runtimes.request import Opened

# Idle threads of PyTorch sleep. Spinning, as they do by default, they take time from the test on a busy machine: the
# suite needs half as much again. It counts for what is imported from here on, and for all processes that are started.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the others have the other cores

# In a run with several processes these come first, for they take longest.
LONG = (
    "late",  # two runs of test_cuda_stand_in.py
    "random",
    "tests/test_cuda_stand_in.py",
    "tests/training/test_train.py",
    "tests/test_gpu_check.py",
    "tests/test_recipe_settings.py",
    "tests/training/test_models.py",
    "tests/networks/test_int8.py",
    "tests/test_recipe.py",
    "tests/test_cuda_kernels.py",
    "tests/examples/test_notebooks.py",
    "tests/examples/test_programs.py",
    "tests/export/test_job.py",
    "tests/cli/test_train_command.py",
)


def no_gpu() -> str | None:
    """Why GPU tests cannot run here, or None."""
    build = _core.build_info()
    if not build["cuda"]:
        return "this build of rmbg-trt has no CUDA code"
    if not hasattr(_core, "cuda_upload"):
        return "this build of rmbg-trt has no bindings for tests; build with RMBG_TESTS=ON"
    return None if _core.cuda_devices() else f"no usable GPU ({build['cuda_problem']})"


def pytest_configure() -> None:
    """A job in the background of a script ignores Ctrl-C, and so would its children; the tests of it need it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For runs with several processes (pytest-xdist): a file stays in one of them, whose fixtures serve it."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(config.rootpath).as_posix()))
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(next(item.iter_markers("xdist_group")).args[0], len(LONG)))


def pytest_report_header() -> str:
    reason = no_gpu()
    gpus = ", ".join(device["name"] for device in _core.cuda_devices())
    return f"rmbg_trt: {_core.cpu_info()}, GPU: {gpus if reason is None else f'NONE, gpu tests do not run: {reason}'}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is None:
        return
    reason = no_gpu()
    if reason is not None and os.environ.get("RMBG_FAIL_WITHOUT_CUDA") == "1":
        pytest.fail(f"RMBG_FAIL_WITHOUT_CUDA=1, and {reason}", pytrace=False)
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where tests.shared.once() puts its files; a test that starts pytest shares them with it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    os.environ.setdefault(shared.VARIABLE, str(folder))


def _weights(name: str) -> Path:
    try:
        return models.pull(name)
    except Error as error:
        if os.environ.get("RMBG_FAIL_WITHOUT_WEIGHTS") == "1":
            pytest.fail(f"RMBG_FAIL_WITHOUT_WEIGHTS=1, and {error}", pytrace=False)
        pytest.skip(f"the weights of {name} cannot be had: {error}")


@pytest.fixture(scope="session")
def u2netp_path() -> Path:
    return _weights("u2netp")


@pytest.fixture(scope="session")
def u2net_path() -> Path:
    return _weights("u2net")


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working model with a fixed input of 48 x 64."""
    return small_models.matte(tmp_path_factory.mktemp("models") / "small.onnx", 48, 64)


@pytest.fixture
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if OpenVINO were not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "openvino" else find(name, *rest)
    )


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Makes engines whose network is a Python function: ``fake_engine(predict, size=..., slots=..., **options)``."""
    made: list[Engine] = []

    def make(
        predict: fakes.Predict = fakes.read_tag,
        *,
        size: tuple[int, int] = (32, 32),
        out: tuple[int, int] | None = None,
        slots: int = 2,
        **options: Any,
    ) -> Engine:
        networks = [fakes.network(predict, size, out) for _ in range(slots)]
        opened = Opened(networks, "fake", "1", "a test", "fp32", "a test")
        monkeypatch.setattr(engine, "open_network", lambda path, **_: (opened, "a test"))
        file = tmp_path / "fake.onnx"
        file.touch()
        made.append(Engine(file, slots=slots, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """The command line sets levels and handlers of our loggers; the next test is to find them as they were."""

    def ours() -> list[logging.Logger]:
        known = logging.root.manager.loggerDict
        names = ["rmbg_trt", *(name for name in known if name.startswith("rmbg_trt."))]
        return [logging.getLogger(name) for name in names]

    before = {logger: (logger.level, list(logger.handlers)) for logger in ours()}
    yield
    for logger in ours():
        level, handlers = before.get(logger, (logging.NOTSET, []))
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture(scope="session")
def in_python() -> Callable[..., str]:
    """Runs a script in a fresh interpreter, with more environment, and gives what it printed."""

    def run(script: str, *arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    return run
