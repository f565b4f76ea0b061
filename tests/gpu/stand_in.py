# SPDX-License-Identifier: Apache-2.0
"""What the stand-in for CUDA (tests/cuda_stand_in) can do and a GPU cannot: it fails on request, and counts."""

from __future__ import annotations

import ctypes

from rmbg_trt import _core

GLOBAL, THREAD_LOCAL, RELAXED = range(3)  # cudaStreamCaptureMode


class StandIn:
    def __init__(self) -> None:
        library = ctypes.CDLL(_core.__file__)
        self.foreign_context = library.rmbg_stand_in_foreign_context
        self.reset = library.rmbg_stand_in_reset
        self._fail, self._calls, self._live, self._fresh = (
            library.rmbg_stand_in_fail,
            library.rmbg_stand_in_calls,
            library.rmbg_stand_in_live,
            library.rmbg_stand_in_fresh_bytes_copied,
        )
        self.begin_capture = library.rmbg_stand_in_begin_capture
        self.end_capture = library.rmbg_stand_in_end_capture
        self.captured_stream = library.rmbg_stand_in_captured_stream
        self.captured_stream.restype = ctypes.c_ulonglong
        self._context_is_current = library.rmbg_stand_in_context_is_current
        self._contexts = library.rmbg_stand_in_contexts
        self._contexts.restype = ctypes.c_ulonglong
        self._calls.restype = self._live.restype = self._fresh.restype = ctypes.c_long

    def fail(self, call: str, error: int, after: int = 0) -> None:
        assert self._fail(call.encode(), after, error) == 0

    def calls(self, call: str) -> int:
        return int(self._calls(call.encode()))

    def live(self, what: str) -> int:
        return int(self._live(what.encode()))

    def contexts(self) -> int:
        """A bit for each device that has a primary context."""
        return int(self._contexts())

    def context_is_current(self) -> bool:
        """Whether this thread has a context."""
        return bool(self._context_is_current())

    def fresh_bytes_copied(self) -> int:
        return int(self._fresh())
