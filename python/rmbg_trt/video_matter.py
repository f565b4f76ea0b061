# SPDX-License-Identifier: Apache-2.0
"""Frames of a video, one after the other: what each carries over from those before it, and the finish video needs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from . import _core
from .background import BackgroundLike
from .engine import Engine, Nv12, Output, check_refine
from .engine_info import EngineInfo
from .errors import InputError
from .frame_job import Quality
from .ticket import Ticket, in_order

if TYPE_CHECKING:
    from typing import Self

VideoStretch = Literal["none", "minmax", "running"]
_STRETCHES = ("none", "minmax", "running")


class VideoMatter:
    """Mattes the frames of one video in their order, without flicker.

    One object for each video: frames given to it follow one another, and ``reset`` begins a new one. Frames are NumPy
    arrays, PIL images or arrays on the GPU, as for `Engine.run`; their size may change, which begins anew, too. Calls
    from several threads are safe, but the order of the frames is then theirs.

    Args:
        model: What `Engine` takes; or an `Engine`, which stays open when this is closed, and which several may share.
        stabilize: Take over from the frame before what is likely to be still the same: flicker, and objects that come
            and go for a few frames, are held back; an edge that moves is followed at once, up to 7 cells of the
            network's output (of 320, as a rule) in a frame. Something new that touches nothing known fades in: to two
            thirds within ten frames, nearly whole within thirty. A cut between scenes is noticed.
        refine: Let alpha follow the frame's colours: hair and edges as fine as the frame.
        decontaminate: Give the edge the subject's own colours, without those of the old background.
        stretch: "none" keeps the network's probability; (low, high) stretches this range of it; "running" stretches
            by the range of the last frames, so that a faint subject becomes opaque without flicker; "minmax"
            stretches each frame by its own range, which flickers. None: "none"; for a given engine what it was made
            with, "running" in place of "minmax".
        **engine: For the engine that is made: ``device``, ``runtime``, ``precision``, ``size``, ``color``, ``slots``,
            ``filter``.

    Raises:
        InputError: An option has no such value, or does not go with a given engine.
        ModelError, UnavailableError: As for `Engine`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Engine = "u2net",
        *,
        stabilize: bool = True,
        refine: bool = True,
        decontaminate: bool = True,
        stretch: VideoStretch | tuple[float, float] | None = None,
        **engine: Any,
    ) -> None:
        self._owns = not isinstance(model, Engine)
        if isinstance(model, Engine):
            if stretch is None and model._stretch == "minmax":
                stretch = "running"
            decided = stretch not in (None, "running", model._stretch)
            if engine or decided:
                names = ", ".join([*engine, *(["stretch"] if decided else [])])
                raise InputError(f"{names}: the given engine decides that; make the engine with it")
            if refine:
                check_refine(model._network)
            self._engine = model
        else:
            if isinstance(stretch, str) and stretch not in _STRETCHES:
                raise InputError(f"stretch is {stretch!r}; expected {', '.join(map(repr, _STRETCHES))} or (low, high)")
            fixed = "none" if stretch in (None, "running") else stretch
            self._engine = Engine(model, stretch=fixed, refine=refine, **engine)  # type: ignore[arg-type]
        carries = stabilize or stretch == "running"
        self._track = _core.Track(bool(stabilize), stretch == "running") if carries else None
        self._quality = Quality(bool(refine), bool(decontaminate), self._track)

    @property
    def engine(self) -> Engine:
        """The engine that works on the frames."""
        return self._engine

    @property
    def info(self) -> EngineInfo:
        """What it runs on, and why."""
        return self._engine.info

    def process(
        self,
        frame: Any,
        *,
        output: Output | None = None,
        background: BackgroundLike | None = None,
        premultiplied: bool = False,
        out: Any = None,
        stream: Any = None,
        nv12: Nv12 | None = None,
    ) -> Any:
        """Works on the next frame and returns its result; the arguments and the result are those of `Engine.run`.

        ``output`` None: a composite if there is a background, else alpha.
        """
        more = {"background": background, "premultiplied": premultiplied, "out": out, "nv12": nv12}
        return self._engine._run(frame, self._quality, stream, output=_output(output, background), **more)

    def submit(
        self,
        frame: Any,
        *,
        output: Output | None = None,
        background: BackgroundLike | None = None,
        premultiplied: bool = False,
        out: Any = None,
        stream: Any = None,
        nv12: Nv12 | None = None,
    ) -> Ticket[Any]:
        """Starts on the next frame and returns at once; waits only while all of the engine's slots are busy.

        On the CPU networks of several frames run at once, and each frame still follows the one before it. On a GPU a
        frame that carries something over waits for the whole of the one before.
        """
        more = {"background": background, "premultiplied": premultiplied, "out": out, "nv12": nv12}
        return self._engine._submit(frame, self._quality, stream, output=_output(output, background), **more)

    def map(
        self,
        frames: Iterable[Any],
        *,
        output: Output | None = None,
        background: BackgroundLike | None = None,
        premultiplied: bool = False,
        nv12: Nv12 | None = None,
    ) -> Iterator[Any]:
        """Results of many frames in order, with the engine's ``slots`` in flight; the iterable may be endless."""

        def submit(frame: Any) -> Ticket[Any]:
            return self.submit(frame, output=output, background=background, premultiplied=premultiplied, nv12=nv12)

        return in_order(frames, submit, self._engine.info.slots)

    def reset(self) -> None:
        """Begins anew with the next frame: another video, or another place in this one."""
        if self._track is not None:
            self._track.reset()

    def close(self) -> None:
        """Closes the engine, unless it was given."""
        if self._owns:
            self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<rmbg_trt.VideoMatter {self._engine.info}>"


def _output(asked: Output | None, background: BackgroundLike | None) -> Output:
    return asked or ("alpha" if background is None else "composite")
