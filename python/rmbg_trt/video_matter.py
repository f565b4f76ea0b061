# SPDX-License-Identifier: Apache-2.0
"""Frames of a video in their order. Each may take over something from those before it, which prevents flicker."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, Literal, Self, Unpack

from . import _core
from .engine import Engine
from .engine_info import EngineInfo
from .errors import InputError
from .frame import DeviceFrame, HostFrame, open_frame
from .options import FrameKeywords, FrameOptions, check_refine
from .ticket import Ticket, in_order

VideoStretch = Literal["none", "minmax", "running"]
_STRETCHES = ("none", "minmax", "running")


class VideoMatter:
    """Removes the background from the frames of one video, without flicker.

    Use one object for each video and give it the frames in their order; ``reset`` starts a new video. Frames are NumPy
    arrays, PIL images or arrays on the GPU, as for `Engine.run`. A frame of another size also starts anew. Calls from
    several threads are safe, but then nobody knows the order of the frames.

    Args:
        model: What `Engine` takes; or an `Engine`, which stays open when this is closed, and which several may share.
        stabilize: Take over from the frame before what is likely to be unchanged. This suppresses flicker, and objects
            that appear for a few frames only. A moving edge is followed at once, up to 7 cells of the network's output
            (320 wide, as a rule) a frame. A new object that touches nothing known fades in: to two thirds within ten
            frames, almost fully within thirty. A cut between scenes is detected.
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
        self._options = FrameOptions(refine=bool(refine), decontaminate=bool(decontaminate))

    @property
    def engine(self) -> Engine:
        """The engine that works on the frames."""
        return self._engine

    @property
    def info(self) -> EngineInfo:
        """What it runs on, and why."""
        return self._engine.info

    @property
    def options(self) -> FrameOptions:
        """The options of a frame where a call does not say otherwise."""
        return self._options

    def run(
        self,
        frame: Any,
        *,
        out: Any = None,
        stream: Any = None,
        options: FrameOptions | None = None,
        **changes: Unpack[FrameKeywords],
    ) -> Any:
        """Works on the next frame and returns its result; the arguments and the result are those of `Engine.run`.

        Without ``output`` and ``options`` the result is a composite if there is a background, else alpha.
        """
        return self._open(frame, out, stream, self._chosen(options, changes)).run(self._engine._pipeline, self._track)

    def submit(
        self,
        frame: Any,
        *,
        out: Any = None,
        stream: Any = None,
        options: FrameOptions | None = None,
        **changes: Unpack[FrameKeywords],
    ) -> Ticket[Any]:
        """Starts on the next frame and returns at once; waits only while all of the engine's slots are busy.

        Frames overlap on the CPU and on a GPU. Only the short stage that carries something over from frame to frame
        takes place in their order: it comes after the network, and waits for that stage of the frame before, not for
        the rest of it.
        """
        opened = self._open(frame, out, stream, self._chosen(options, changes))
        return opened.submit(self._engine._pipeline, self._track)

    def map(
        self, frames: Iterable[Any], *, options: FrameOptions | None = None, **changes: Unpack[FrameKeywords]
    ) -> Iterator[Any]:
        """Results of many frames in order, with the engine's ``slots`` in flight; the iterable may be endless."""
        chosen = self._chosen(options, changes)
        return in_order(frames, lambda frame: self.submit(frame, options=chosen), self._engine.info.slots)

    def _open(self, frame: Any, out: Any, stream: Any, options: FrameOptions) -> HostFrame | DeviceFrame:
        return open_frame(self._engine._pipeline, frame, self._engine._color, options, out=out, stream=stream)

    def _chosen(self, options: FrameOptions | None, changes: FrameKeywords) -> FrameOptions:
        if options is None and changes.get("output") is None:
            changes["output"] = "alpha" if changes.get("background") is None else "composite"
        return (options or self._options).replace(**changes)

    def reset(self) -> None:
        """Starts anew with the next frame: another video, or another position in this one."""
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
