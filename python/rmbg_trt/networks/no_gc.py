# SPDX-License-Identifier: Apache-2.0
"""Python's garbage collector off while a CUDA graph is captured.

A collection could free memory on the GPU, and a call that frees memory breaks the capture of its thread.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_holders = 0
_was_enabled = False


@contextmanager
def garbage_collection_off() -> Iterator[None]:
    """Switches automatic collection off, and back on as it was when the last holder leaves.

    Threads may hold it at the same time, and it may be nested. Call ``gc.collect()`` before, not inside.
    """
    global _holders, _was_enabled
    with _lock:
        if _holders == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if _holders == 0 and _was_enabled:
                gc.enable()
