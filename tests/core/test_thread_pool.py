# SPDX-License-Identifier: Apache-2.0
"""The pool of threads, seen through the ops that run on it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests import reference

from rmbg_trt import _core

RNG = np.random.default_rng(5)
# Large enough to be cut into pieces for several threads.
PICTURE = RNG.integers(0, 256, (900, 1200, 3), dtype=np.uint8)
SIZE = (300, 500)

DIGEST = """
import hashlib, sys
import numpy
from rmbg_trt import _core
picture = numpy.random.default_rng(5).integers(0, 256, (900, 1200, 3), dtype=numpy.uint8)
result = _core.gaussian_blur(_core.resample(picture, (300, 500)), 3.0)
print(_core.cpu_info()["workers"], hashlib.sha256(result).hexdigest())
"""


def test_the_number_of_threads_changes_nothing(in_python: Callable[..., str]) -> None:
    printed = [in_python(DIGEST, RMBG_NUM_THREADS=str(count)).split() for count in (1, 2, 7)]
    assert [int(workers) for workers, _ in printed] == [1, 2, 7]
    assert len({digest for _, digest in printed}) == 1


def test_by_default_there_is_one_thread_a_usable_core(in_python: Callable[..., str]) -> None:
    workers = int(in_python("from rmbg_trt import _core; print(_core.cpu_info()['workers'])", RMBG_NUM_THREADS=""))
    assert workers == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("text", ["abc", "0", "-2", "4 threads", "1.5", "99999999999"])
def test_a_number_of_threads_that_is_none(in_python: Callable[..., str], text: str) -> None:
    script = """
from rmbg_trt import InputError, _core
for _ in range(2):
    try:
        _core.cpu_info()
    except InputError as error:
        print(error)
"""
    words = f"the environment variable RMBG_NUM_THREADS is '{text}'; expected a whole number from 1 to 1024"
    assert in_python(script, RMBG_NUM_THREADS=text).splitlines() == [words] * 2


def test_ops_of_many_threads_share_the_pool() -> None:
    small = reference.resize(PICTURE, SIZE)
    soft = reference.blur(small, 4.0)
    wrong: list[str] = []

    def work() -> None:
        for _ in range(8):
            if not np.array_equal(_core.resample(PICTURE, SIZE), small):
                wrong.append("resample")
            if not np.array_equal(_core.gaussian_blur(small, 4.0), soft):
                wrong.append("blur")

    threads = [threading.Thread(target=work, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
        assert not thread.is_alive(), "the pool is stuck"
    assert wrong == []


def until_others_sleep() -> None:
    """Waits until no other thread of this process has been seen at work for a while."""
    me, quiet = threading.get_native_id(), 0
    for _ in range(3000):
        time.sleep(0.01)
        working = False
        for path in Path("/proc/self/task").glob("*/stat"):  # none where there is no /proc
            with contextlib.suppress(OSError):  # it has just ended
                working |= path.parent.name != str(me) and path.read_text().rpartition(")")[2].split()[0] == "R"
        quiet = 0 if working else quiet + 1
        if quiet == 5:
            return


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_which_lost_the_threads_still_finishes() -> None:
    expected = _core.resample(PICTURE, SIZE)
    until_others_sleep()  # and hold no lock
    child = os.fork()
    if child == 0:
        same = np.array_equal(_core.resample(PICTURE, SIZE), expected)
        os._exit(0 if same else 7)
    for _ in range(600):
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.1)
    os.kill(child, 9)
    os.waitpid(child, 0)
    pytest.fail("the child is stuck")
