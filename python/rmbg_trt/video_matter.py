# SPDX-License-Identifier: Apache-2.0
"""Frames of a video in order. Each frame may use results of earlier ones, which prevents flicker."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, Literal, Self, Unpack

from . import _core
from .engine import Engine
from .errors import InputError
from .frame import DeviceFrame, HostFrame, open_frame
from .options import FrameKeywords, FrameOptions, check_refine
from .runtimes.request import EngineInfo
from .ticket import Ticket, in_order

VideoStretch = Literal["none", "minmax", "running"]
_STRETCHES = ("none", "minmax", "running")


class VideoMatter:
    """Removes the background from the frames of one video, without flicker.

    Use one object for each video and pass the frames in order; ``reset`` starts a new video, and so does a frame of
    another size. Frames are NumPy arrays, PIL images or arrays on the GPU, as for `Engine.run`. Calls from several
    threads are safe, but then the order of the frames is undefined.

    Args:
        model: A model as for `Engine`; or an `Engine`, which stays open when this is closed and may be shared.
        stabilize: Keep from the previous frame what is probably unchanged. This suppresses flicker, and objects that
            appear for only a few frames. Moving edges are followed at once, up to 7 cells of the network's output
            (usually 320 wide) per frame. A new object that touches no known one fades in: to two thirds within ten
            frames, almost fully within thirty. Scene cuts are detected.
        refine: Default of `FrameOptions.refine`.
        decontaminate: Default of `FrameOptions.decontaminate`.
        stretch: "none" keeps the network's probability; (low, high) stretches this range of it; "running" stretches
            by the range of the last frames, so that a faint subject becomes opaque without flicker; "minmax"
            stretches each frame by its own range, which flickers. None: "none"; for a given engine its own setting,
            but "running" in place of "minmax".
        **engine: Options of the new engine: ``device``, ``runtime``, ``precision``, ``size``, ``color``, ``slots``,
            ``filter``.

    Raises:
        InputError: An option has an invalid value, or contradicts a given engine.
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
                raise InputError(f"{names}: the given engine decides that; set it when you create the engine")
            if refine:
                check_refine(model._pipeline)
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
        """The engine that processes the frames."""
        return self._engine

    @property
    def info(self) -> EngineInfo:
        """What the engine runs on, and why."""
        return self._engine.info

    @property
    def options(self) -> FrameOptions:
        """The default options of a frame."""
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
        """Processes the next frame and returns its result; arguments and result are those of `Engine.run`.

        Without ``output`` and ``options``, the result is a composite if there is a background, otherwise alpha.
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
        """Starts the next frame and returns at once; blocks only while all of the engine's slots are busy.

        Frames overlap, on the CPU and on a GPU. Only the short stage after the network that uses the previous frame
        runs in order: it waits for that stage of the previous frame, not for the rest of it.
        """
        opened = self._open(frame, out, stream, self._chosen(options, changes))
        return opened.submit(self._engine._pipeline, self._track)

    def map(
        self, frames: Iterable[Any], *, options: FrameOptions | None = None, **changes: Unpack[FrameKeywords]
    ) -> Iterator[Any]:
        """Yields the results of many frames in order, with the engine's ``slots`` in flight; see `Engine.map`."""
        chosen = self._chosen(options, changes)
        return in_order(frames, lambda frame: self.submit(frame, options=chosen), self._engine.info.slots)

    def _open(self, frame: Any, out: Any, stream: Any, options: FrameOptions) -> HostFrame | DeviceFrame:
        return open_frame(self._engine._pipeline, frame, self._engine._color, options, out=out, stream=stream)

    def _chosen(self, options: FrameOptions | None, changes: FrameKeywords) -> FrameOptions:
        if not changes:
            return options or self._options
        if options is None and changes.get("output") is None:
            changes["output"] = "alpha" if changes.get("background") is None else "composite"
        return (options or self._options).replace(**changes)

    def reset(self) -> None:
        """Starts again with the next frame: another video, or another position in this one."""
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
