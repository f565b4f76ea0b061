# SPDX-License-Identifier: Apache-2.0
"""Live matting: a source, a network and sinks, each with its own thread, and the keys that turn things meanwhile.

    source -> [newest] -> submit .. collect -> [newest] -> window, virtual camera, stdout
                                            -> [16]     -> recording

What stands in brackets lets the oldest fall, so nothing that is slow makes pictures older.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..errors import Error
from ..image import write_image
from .capture import Capture
from .keys import action_of
from .latency import Latency
from .look import Matted
from .matting import Matting, Switches
from .options import LiveOptions
from .recorder import Recorder, free_name
from .report import LiveReport, SinkReport
from .sink import Outlet, Show, Sink, Status
from .sources import LiveSource

log = logging.getLogger(__name__)

_POLL_S = 0.02  # how soon a key is seen while no picture comes
_NOTE_S = 4.0  # how long a message stays on the picture
_PATIENCE_S = 6.0  # at the end, for a source that does not answer; streams themselves give up after 5 s


class _Keyed(Protocol):
    def key(self) -> str: ...

    def refresh(self) -> None: ...


class LiveMatter:
    """Mattes what a source gives, until it is over or `stop`.

    Args:
        source: Where frames come from: of `source_of`, or anything of the shape of `LiveSource`.
        matter: What makes mattes: a `VideoMatter` or, for mattes that know nothing of each other, an `Engine`, made
            with ``color="rgb"``; or anything of the shape of `Matter`. The caller closes it.
        sinks: Where results go: `Window`, `VirtualCamera`, `Recorder`, `RawFrames`, or a `Sink` of your own.
        options: What is made.
        recording: File of the recordings that `toggle_recording` starts, numbered; one that is among the sinks is
            what it stops first.
        tell: Takes messages for the user.

    Attributes:
        switches: What can be turned; the ``toggle_`` methods do.

    Raises:
        InputError: An option makes no sense, or a background is none.
    """

    def __init__(
        self,
        source: LiveSource,
        matter: Any,
        sinks: Sequence[Sink] = (),
        options: LiveOptions | None = None,
        *,
        recording: Path | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.options = options or LiveOptions()
        self.options.check()
        self.switches = Switches(mirror=self.options.mirror, overlay=self.options.overlay)
        self._say = tell or (lambda message: log.info("%s", message))
        self._notes: deque[tuple[float, str]] = deque(maxlen=8)
        self._stop, self._done = threading.Event(), threading.Event()
        self._latency = Latency()
        self._error: BaseException | None = None
        self._asked = False
        self._begin_s = self._end_s = 0.0
        self._capture = Capture(
            source, self.options, stop=self._stop, paused=lambda: self.switches.paused, tell=self._tell
        )
        self._matting = Matting(
            matter, self.options, self.switches, self._capture.shelf, self._deliver, stop=self._stop, tell=self._tell
        )
        self._sinks = list(sinks)
        self._outlets: list[Outlet] = []
        self._last: Matted | None = None
        given = next((sink.target for sink in self._sinks if isinstance(sink, Recorder)), None)
        self._recording = recording or given

    # ---- the run ---------------------------------------------------------------------------------------------------

    def run(self, seconds: float | None = None) -> LiveReport:
        """Runs until the source is over, `stop`, or the last sink is gone. May be called once, in the main thread.

        However it ends, recordings are finished and whole, and the threads have ended.

        Args:
            seconds: Stop after so long.

        Raises:
            Error: The source cannot be opened, or was lost for good; the network failed; or a sink could not begin.
                A sink that fails later is left out and noted in the report, and the rest goes on.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        self._begin_s = time.monotonic()
        self._outlets = [Outlet(sink, self._show) for sink in self._sinks]
        threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"rmbg-{work.__name__}", daemon=True)
            for work in (self._capture.run, self._matting.submit_all, self._matting.collect_all)
        ]
        for thread in threads:
            thread.start()
        try:
            while not self._is_over(seconds):
                self._serve()
        finally:
            self._shut(threads)
        if self._error is not None:
            raise self._error
        return self.report()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._error = self._error or error
            self._stop.set()
        finally:
            if work == self._matting.collect_all or self._stop.is_set():
                self._done.set()

    def _serve(self) -> None:
        """The main thread's part: windows and keys; without them, waiting."""
        windows = [outlet for outlet in self._outlets if outlet.sink.main_thread and not outlet.gone]
        if not windows:
            self._done.wait(0.1)
        for outlet in windows:
            outlet.work(_POLL_S)
            sink: Any = outlet.sink
            if hasattr(sink, "key") and outlet.started and not outlet.gone:
                self._obey(sink)

    def _obey(self, window: _Keyed) -> None:
        action = action_of(window.key())
        if action is not None:
            getattr(self, action)()
        if action is not None or not self._flows:
            window.refresh()

    @property
    def _flows(self) -> bool:
        return not self.switches.paused and not self._capture.lost

    def _is_over(self, seconds: float | None) -> bool:
        if self._asked or self._done.is_set() or (seconds is not None and time.monotonic() - self._begin_s >= seconds):
            return True
        for outlet in list(self._outlets):
            if (
                outlet.error is not None and not outlet.started and not outlet.optional
            ):  # from the first: no use in going on
                self._error = self._error or outlet.error
                return True
        return bool(self._sinks) and all(outlet.gone for outlet in self._outlets)

    def _shut(self, threads: list[threading.Thread]) -> None:
        """Ends everything in the direction of the frames, so that what was matted is still written."""
        self._stop.set()
        for thread in threads:
            thread.join(_PATIENCE_S)
            if thread.is_alive():
                self._tell(f"{thread.name} does not answer; it was left behind")
        for outlet in self._outlets:
            outlet.end()
        for outlet in self._outlets:
            outlet.finish()
        self._end_s = time.monotonic()
        for outlet in self._outlets:
            if outlet.error is None or outlet.optional:
                continue
            if not outlet.started or not isinstance(outlet.error, Error):
                self._error = self._error or outlet.error

    def _deliver(self, matted: Matted) -> None:
        self._latency.add(matted.captured_s)
        self._last = matted
        for outlet in self._outlets:
            outlet.offer(matted)

    def _show(self) -> Show:
        assert self._matting.size is not None
        return Show(self._matting.size, self._capture.rate, self.status)

    # ---- how it goes -----------------------------------------------------------------------------------------------

    def status(self) -> Status:
        """How it goes, of the last seconds."""
        shown = next((outlet.latency for outlet in self._outlets if outlet.sink.main_thread), self._latency)
        fps, latency = shown.recent()
        now = time.monotonic()
        switches = self.switches
        words = [text for at, text in list(self._notes) if at > now - _NOTE_S]
        states = {
            "paused": switches.paused,
            "looking for the source": self._capture.lost,
            **{f"recording {outlet.sink.name}": True for outlet in self._recordings()},
        }
        notes = (*(word for word, on in states.items() if on), *words)
        return Status(
            fps, latency, self._capture.shelf.dropped, notes, switches.overlay, switches.alpha_view, switches.help
        )

    def report(self) -> LiveReport:
        """What was done so far; also while it runs, and after an error."""
        end_s = self._end_s or time.monotonic()
        sinks = {
            outlet.sink.name: SinkReport(
                outlet.written, outlet.dropped, outlet.latency.whole(), str(outlet.error or "")
            )
            for outlet in self._outlets
        }
        return LiveReport(
            end_s - self._begin_s if self._begin_s else 0.0,
            self._capture.frames,
            self._matting.count,
            self._capture.shelf.dropped,
            self._capture.reconnects,
            self._latency.whole(),
            sinks,
        )

    def _tell(self, message: str) -> None:
        self._notes.append((time.monotonic(), message))
        self._say(message)

    # ---- what can be done meanwhile, from any thread -----------------------------------------------------------------

    def stop(self) -> None:
        """Ends the run, in good order, within a tenth of a second or so."""
        self._asked = True  # no more than that: a handler of signals, which may call this, must not take a lock

    def toggle_pause(self) -> None:
        """Pauses, or goes on."""
        self.switches.paused = not self.switches.paused

    def toggle_mirror(self) -> None:
        """Swaps left and right from the next frame on."""
        self.switches.mirror = not self.switches.mirror

    def next_background(self) -> None:
        """Takes the next of the backgrounds; after the last comes the first."""
        self.switches.background += 1

    def toggle_alpha_view(self) -> None:
        """Shows the alpha in the window, or what is made; all other sinks get what is made."""
        self.switches.alpha_view = not self.switches.alpha_view

    def toggle_overlay(self) -> None:
        """Shows figures in the window, or not."""
        self.switches.overlay = not self.switches.overlay

    def toggle_help(self) -> None:
        """Shows the keys in the window, or not."""
        self.switches.help = not self.switches.help

    def toggle_recording(self) -> None:
        """Stops the recording, or starts another in a file with the next number."""
        running = self._recordings()
        if running:
            for outlet in running:
                outlet.end()
                self._tell(f"recorded {outlet.sink.name}")
            return
        if self._stop.is_set():
            return
        suffix = "mov" if self.options.kind == "cutout" else "mp4"
        wanted = self._recording or Path(time.strftime(f"rmbg_%Y%m%d_%H%M%S.{suffix}"))
        target = free_name(wanted, taken=[outlet.sink.name for outlet in self._outlets])
        try:
            recorder = Recorder(target, self.options.kind)
        except Error as error:
            self._tell(str(error))
            return
        self._outlets = [*self._outlets, Outlet(recorder, self._show, lambda error: self._tell(str(error)))]

    def snapshot(self) -> None:
        """Saves the last result as a PNG."""
        last = self._last
        if last is None:
            return
        target = free_name(self.options.snapshots / time.strftime("rmbg_%Y%m%d_%H%M%S.png"))
        try:
            write_image(target, last.result)
        except Error as error:
            self._tell(str(error))
        else:
            self._tell(f"saved {target}")

    def _recordings(self) -> list[Outlet]:
        return [outlet for outlet in self._outlets if isinstance(outlet.sink, Recorder) and not outlet.ended]
