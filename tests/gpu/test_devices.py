# SPDX-License-Identifier: Apache-2.0
"""What the CUDA build says about the GPUs of this machine."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Callable

import pytest

from rmbg_trt import Engine, UnavailableError, _core


def test_the_build_knows_its_toolkit() -> None:
    build = _core.build_info()
    assert build["cuda"] is True
    major, minor = map(int, build["cuda_version"].split("."))
    assert major >= 12
    assert minor >= 0
    assert build["cuda_architectures"]
    assert build["cuda_problem"] is None


def test_devices_are_those_of_the_driver() -> None:
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    lines = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip().splitlines()
    expected = dict(line.rsplit(", ", 1) for line in lines)
    devices = _core.cuda_devices()
    assert [device["index"] for device in devices] == list(range(len(devices)))
    for device in devices:
        major, minor = device["compute_capability"]
        assert (major, minor) >= (7, 5)
        # The driver keeps some memory for itself; a MIG slice or container may show less still.
        mib = device["memory_bytes"] / 2**20
        assert 0 < mib <= 1.02 * float(expected[device["name"]])


def test_hidden_devices_are_not_seen(in_python: Callable[..., str]) -> None:
    script = "from rmbg_trt import _core; print((_core.cuda_devices(), _core.build_info()['cuda_problem']))"
    devices, problem = ast.literal_eval(in_python(script, CUDA_VISIBLE_DEVICES=""))
    assert devices == []
    assert problem


def test_a_device_that_is_not_there_is_refused(small_model: object) -> None:
    with pytest.raises(UnavailableError, match=r"cuda:99.*no such GPU"):
        Engine(small_model, device="cuda:99")
