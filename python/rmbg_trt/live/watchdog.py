# SPDX-License-Identifier: Apache-2.0
"""Ends a run whose window hangs.

OpenCV draws windows in the main thread. If a call of OpenCV never returns, the main thread neither looks at the time
nor runs Python's signal handlers. So another thread does.
"""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType

from .live_matter import LiveMatter

_POLL_S = 0.25


class WindowWatchdog:
    """Watches the windows of a run while it is used as a context manager. Enter it in the main thread.

    A window hangs if a call for it takes longer than ``start_limit_s`` before its first frame. Later calls may take
    long, because some systems block them while the user drags the window; there the limit is ``end_limit_s`` after the
    run should have ended: at its time limit, at the end of its source, or after a signal.

    Args:
        live: The run.
        on_hang: Called, in the watchdog's thread, once all other sinks are complete. It should end the process.
        seconds: The time limit of the run.
        start_limit_s: For the first frame, in seconds.
        end_limit_s: For the end, in seconds.
    """

    def __init__(
        self,
        live: LiveMatter,
        on_hang: Callable[[], None],
        *,
        seconds: float | None = None,
        start_limit_s: float = 20.0,
        end_limit_s: float = 5.0,
    ) -> None:
        self._live, self._on_hang = live, on_hang
        self._start_limit_s, self._end_limit_s = start_limit_s, end_limit_s
        self._end_s = None if seconds is None else time.monotonic() + seconds
        self._signals, self._wakeup = socket.socketpair()
        self._previous_fd = -1
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rmbg-watchdog", daemon=True)

    def __enter__(self) -> WindowWatchdog:
        self._wakeup.setblocking(False)
        if threading.current_thread() is threading.main_thread():
            self._previous_fd = signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._previous_fd)
        self._closed.set()
        with contextlib.suppress(BlockingIOError):  # wakes it
            self._wakeup.send(b"\0")
        self._thread.join()
        self._signals.close()
        self._wakeup.close()

    def _watch(self) -> None:
        while not self._closed.is_set():
            if select.select([self._signals], [], [], _POLL_S)[0]:
                self._signals.recv(64)
                self._end_soon()
            if self._live.ending:
                self._end_soon()
            if self._hangs():
                self._live.finish_without_windows()
                self._on_hang()
                return

    def _end_soon(self) -> None:
        now = time.monotonic()
        self._end_s = now if self._end_s is None else min(self._end_s, now)

    def _hangs(self) -> bool:
        since = self._live.window_busy_since
        if since is None:
            return False
        now = time.monotonic()
        if not self._live.window_shown and now - since > self._start_limit_s:
            return True
        return self._end_s is not None and now - max(since, self._end_s) > self._end_limit_s
