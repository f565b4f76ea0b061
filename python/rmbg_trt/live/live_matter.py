# SPDX-License-Identifier: Apache-2.0
"""Live matting: a source, a network and sinks, each in its own thread, and settings that can change meanwhile.

    source -> [newest] -> submit .. collect -> [newest] -> window, virtual camera, stdout
                                            -> [16]     -> recording

The queues in brackets drop the oldest frame, so a slow consumer lowers the frame rate but never adds latency.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import Error
from ..image import write_image
from .capture import Capture
from .controls import Controls
from .matted_frame import MattedFrame
from .matting import Matting
from .options import LiveOptions, Switches
from .sink import Sink, SinkWorker, StreamInfo
from .sources import LiveSource
from .stats import LatencyTracker, LiveReport, SinkReport, Status
from .window import action_of
from .writers import Recorder, free_name

log = logging.getLogger(__name__)

_POLL_S = 0.02  # how soon a key is seen while no frame arrives
_NOTE_S = 4.0  # how long the overlay shows a message
_JOIN_TIMEOUT_S = 6.0  # at the end, for a source that does not respond; streams time out after 5 s themselves


class LiveMatter(Controls):
    """Mattes the frames of a source until it ends, or until `stop`.

    Args:
        source: The source: from `source_of`, or any object with the members of `LiveSource`.
        matter: What computes mattes: a `VideoMatter`, or an `Engine` to matte each frame by itself, made with
            ``color="rgb"``; or any object with the methods of `Matter`. The caller closes it.
        sinks: Where results go: `Window`, `VirtualCamera`, `Recorder`, `RawFrames`, or a `Sink` of your own.
        options: What to compute.
        recording: File for the recordings that `toggle_recording` starts; it is numbered if it exists. By default that
            of the `Recorder` in ``sinks``.
        on_message: Receives messages for the user.

    Attributes:
        switches: The settings that the ``toggle_`` methods change.
        window_busy_since: When the main thread turned to its windows, by `time.monotonic`; None if it has not.

    Raises:
        InputError: An option or a background is invalid.
    """

    def __init__(
        self,
        source: LiveSource,
        matter: Any,
        sinks: Sequence[Sink] = (),
        options: LiveOptions | None = None,
        *,
        recording: Path | None = None,
        on_message: Callable[[str], None] | None = None,
    ) -> None:
        self.options = options or LiveOptions()
        self.options.check()
        self.switches = Switches(mirror=self.options.mirror, overlay=self.options.overlay)
        self._on_message = on_message or (lambda message: log.info("%s", message))
        self._notes: deque[tuple[float, str]] = deque(maxlen=8)
        self._stop, self._done = threading.Event(), threading.Event()
        self._latency = LatencyTracker()
        self._error: BaseException | None = None
        self._stop_requested = False
        self._start_s = self._end_s = 0.0
        self.window_busy_since: float | None = None
        self._threads: list[threading.Thread] = []
        self._capture = Capture(
            source, self.options, stop=self._stop, paused=lambda: self.switches.paused, on_message=self._notify
        )
        self._matting = Matting(
            matter,
            self.options,
            self.switches,
            self._capture.queue,
            self._deliver,
            stop=self._stop,
            on_message=self._notify,
        )
        self._sinks = list(sinks)
        self._workers: list[SinkWorker] = []
        self._last: MattedFrame | None = None
        self._recording = recording or next((sink.target for sink in sinks if isinstance(sink, Recorder)), None)

    # ---- the run ---------------------------------------------------------------------------------------------------

    def run(self, seconds: float | None = None) -> LiveReport:
        """Run until the source ends, `stop` is called or the last sink is closed. Call it once, in the main thread.

        However it ends, recordings are complete and the threads have ended.

        Args:
            seconds: Stop after this many seconds.

        Raises:
            Error: The source could not be opened or was lost for good, the network failed, or a sink could not start.
                A sink that fails later is noted in the report, and the others go on.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        self._start_s = time.monotonic()
        self._workers = [SinkWorker(sink, self._stream_info) for sink in self._sinks]
        self._threads = [
            threading.Thread(target=self._run_thread, args=(work,), name=f"rmbg-{work.__name__}", daemon=True)
            for work in (self._capture.run, self._matting.submit_all, self._matting.collect_all)
        ]
        for thread in self._threads:
            thread.start()
        try:
            while not self._is_over(seconds):
                self._serve_main_thread()
        finally:
            self._shut_down()
        if self._error is not None:
            raise self._error
        return self.report()

    def _run_thread(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._error = self._error or error
            self._stop.set()
        finally:
            if work == self._matting.collect_all or self._stop.is_set():
                self._done.set()

    def _serve_main_thread(self) -> None:
        """Serve the windows and their keys, or wait if there are none."""
        workers = [worker for worker in self._workers if worker.sink.main_thread and not worker.closed]
        if not workers:
            self._done.wait(0.1)
            return
        for worker in workers:
            self.window_busy_since = time.monotonic()
            worker.write_next(_POLL_S)
            if worker.started and not worker.closed:
                self._handle_key(worker.sink)
        self.window_busy_since = None

    def _handle_key(self, window: Sink) -> None:
        action = action_of(window.key())
        if action is not None:
            getattr(self, action)()
        if action is not None or self.switches.paused or self._capture.lost:
            window.refresh()

    def _is_over(self, seconds: float | None) -> bool:
        if self.ending:
            return True
        if seconds is not None and time.monotonic() - self._start_s >= seconds:
            return True
        for worker in list(self._workers):
            if worker.error is not None and not worker.started and not worker.optional:
                self._error = self._error or worker.error
                return True
        return bool(self._sinks) and all(worker.closed for worker in self._workers)

    @property
    def ending(self) -> bool:
        """Whether the source has ended, or `stop` was called."""
        return self._stop_requested or self._done.is_set()

    @property
    def window_shown(self) -> bool:
        """Whether all windows have shown a frame, and have accepted another one since."""
        return all(worker.written > 1 for worker in self._workers if worker.sink.main_thread)

    def finish_without_windows(self) -> None:
        """Complete all other sinks. For another thread, if a window hangs in the main thread."""
        self._end_stages()
        for worker in self._workers:
            if not worker.sink.main_thread:
                worker.finish()

    def _shut_down(self) -> None:
        """End the stages from source to sinks, so that what was matted is still written."""
        self._end_stages()
        for worker in sorted(self._workers, key=lambda worker: worker.sink.main_thread):
            self.window_busy_since = time.monotonic() if worker.sink.main_thread else None
            worker.finish()
        self.window_busy_since, self._end_s = None, time.monotonic()
        for worker in self._workers:
            if worker.error is None or worker.optional:
                continue
            if not worker.started or not isinstance(worker.error, Error):
                self._error = self._error or worker.error

    def _end_stages(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(_JOIN_TIMEOUT_S)
            if thread.is_alive():
                self._notify(f"{thread.name} does not respond and was abandoned")
        for worker in self._workers:
            worker.end()

    def _deliver(self, matted: MattedFrame) -> None:
        self._latency.add(matted.captured_s)
        self._last = matted
        for worker in self._workers:
            worker.put(matted)

    def _stream_info(self) -> StreamInfo:
        assert self._matting.size is not None
        return StreamInfo(self._matting.size, self._capture.rate, self.status)

    # ---- its state -------------------------------------------------------------------------------------------------

    def status(self) -> Status:
        """Return the current state, with statistics of the last seconds."""
        tracker = next((worker.latency for worker in self._workers if worker.sink.main_thread), self._latency)
        fps, latency = tracker.recent()
        now, switches = time.monotonic(), self.switches
        notes = ["paused"] if switches.paused else []
        notes += ["reconnecting"] if self._capture.lost else []
        notes += [f"recording {worker.sink.name}" for worker in self._recordings()]
        notes += [message for at, message in list(self._notes) if at > now - _NOTE_S]
        dropped = self._capture.queue.dropped
        return Status(fps, latency, dropped, tuple(notes), switches.overlay, switches.alpha_view, switches.help)

    def report(self) -> LiveReport:
        """Return the statistics so far. May be called during the run, and after an error."""
        end_s = self._end_s or time.monotonic()
        return LiveReport(
            seconds=end_s - self._start_s if self._start_s else 0.0,
            frames=self._capture.frames,
            matted=self._matting.count,
            dropped=self._capture.queue.dropped,
            reconnects=self._capture.reconnects,
            latency=self._latency.total(),
            sinks={
                worker.sink.name: SinkReport(
                    worker.written, worker.dropped, worker.latency.total(), str(worker.error or "")
                )
                for worker in self._workers
            },
        )

    def _notify(self, message: str) -> None:
        self._notes.append((time.monotonic(), message))
        self._on_message(message)

    # ---- more controls, callable from any thread -------------------------------------------------------------------

    def stop(self) -> None:
        """End the run in order, within about a tenth of a second."""
        self._stop_requested = True  # nothing else: a signal handler may call this, and must not take a lock

    def toggle_recording(self) -> None:
        """Stop the recording, or start another in a file with the next number."""
        running = self._recordings()
        if running:
            for worker in running:
                worker.end()
                self._notify(f"recorded {worker.sink.name}")
            return
        if self._stop.is_set():
            return
        output = self.options.frame.output
        suffix = "mov" if output == "cutout" else "mp4"
        wanted = self._recording or Path(time.strftime(f"rmbg_%Y%m%d_%H%M%S.{suffix}"))
        target = free_name(wanted, taken=[worker.sink.name for worker in self._workers])
        try:
            recorder = Recorder(target, output)
        except Error as error:
            self._notify(str(error))
            return
        worker = SinkWorker(recorder, self._stream_info, on_error=lambda error: self._notify(str(error)))
        self._workers = [*self._workers, worker]

    def snapshot(self) -> None:
        """Save the last result as a PNG."""
        last = self._last
        if last is None:
            return
        target = free_name(self.options.snapshots / time.strftime("rmbg_%Y%m%d_%H%M%S.png"))
        try:
            write_image(target, last.result)
        except Error as error:
            self._notify(str(error))
        else:
            self._notify(f"saved {target}")

    def _recordings(self) -> list[SinkWorker]:
        return [worker for worker in self._workers if isinstance(worker.sink, Recorder) and not worker.ended]
