# SPDX-License-Identifier: Apache-2.0
"""Importing the package is quick, needs no GPU and loads no runtime."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import rmbg_trt

HEAVY = ("torch", "openvino", "onnx", "onnxruntime", "tensorrt", "tensorrt_rtx", "cv2", "scipy", "skimage")
LOADED = f"print([name for name in {HEAVY} if name in sys.modules])"


@pytest.mark.parametrize(
    "use",
    [
        "import rmbg_trt",
        "import rmbg_trt; rmbg_trt.Engine; rmbg_trt.__version__",
        "from rmbg_trt import *",
        "import rmbg_trt.models, rmbg_trt.engine, rmbg_trt.background, rmbg_trt.networks",
    ],
)
def test_no_runtime_is_loaded(in_python: Callable[..., str], use: str) -> None:
    assert in_python(f"import sys; {use}; {LOADED}") == "[]"


def test_import_alone_does_not_even_load_numpy(in_python: Callable[..., str]) -> None:
    assert in_python("import sys, rmbg_trt; print('numpy' in sys.modules, 'PIL' in sys.modules)") == "False False"


def test_import_alone_does_not_load_typing(in_python: Callable[..., str]) -> None:
    script = "import sys; before = set(sys.modules); import rmbg_trt; print('typing' in set(sys.modules) - before)"
    assert in_python(script) == "False"


def test_what_fetches_models_is_loaded_only_to_fetch_one(in_python: Callable[..., str]) -> None:
    names = ("urllib.request", "http.client", "ssl", "rmbg_trt.fetch")
    script = "import sys, numpy; before = set(sys.modules); import rmbg_trt.engine; new = set(sys.modules) - before; "
    assert in_python(f"{script}print([name for name in {names} if name in new])") == "[]"


@pytest.mark.parametrize("value", ["", "-1", "99"])
def test_it_imports_where_no_gpu_may_be_seen(in_python: Callable[..., str], value: str) -> None:
    script = "import rmbg_trt; from rmbg_trt import _core; print(len(_core.cuda_devices()), rmbg_trt.Engine.__name__)"
    assert in_python(script, CUDA_VISIBLE_DEVICES=value) == "0 Engine"


def seconds(script: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", script], env=os.environ, check=True)
    return time.perf_counter() - begin


def test_it_imports_in_a_fifth_of_a_second() -> None:
    seconds("import rmbg_trt")  # compiles and caches
    pairs = [(seconds("pass"), seconds("import rmbg_trt")) for _ in range(7)]
    empty, full = (statistics.median(side) for side in zip(*pairs, strict=True))
    assert full - empty < 0.2, pairs


def test_every_public_name_is_there() -> None:
    for name in rmbg_trt.__all__:
        assert getattr(rmbg_trt, name) is not None
    assert set(dir(rmbg_trt)) == {*rmbg_trt.__all__, "matte_video"}
    assert callable(rmbg_trt.matte_video)
    with pytest.raises(AttributeError, match="'rmbg_trt' has no attribute 'Enjine'"):
        _ = rmbg_trt.Enjine


def test_the_version_is_that_of_the_project() -> None:
    from rmbg_trt import _core

    project = Path(__file__).parents[1] / "pyproject.toml"
    written = re.search(r'^version = "(.+)"$', project.read_text(encoding="utf-8"), re.MULTILINE)
    assert written is not None
    assert rmbg_trt.__version__ == _core.build_info()["version"] == written[1]
