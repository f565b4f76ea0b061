# SPDX-License-Identifier: Apache-2.0
"""Runs a benchmark model by model. For each, the configurations are interleaved, so that drift affects all alike."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from .. import _core
from ..engine import Engine
from ..errors import Error
from ..image import Array
from . import machine
from .cold_start import cold_start, of_starts
from .figures import Turn, of_configuration, of_rate, scaling
from .loops import Arrivals, Limits, closed_loop, open_loop
from .settings import FORMAT, Configuration, Settings
from .work import StageLog, make_frames, make_serve, why_not

log = logging.getLogger(__name__)

_LEAST, _MOST = 5, 1000  # frames a turn
_SETTLE_S = 0.5  # an idle GPU lowers its clock

Progress = Callable[[str, str, int, int], None]
"""``progress(model, step, done, total)``, before each step and after the last; ``total`` is 0 until it is known."""


@dataclass
class ModelRun:
    """The measurements of one model so far."""

    model: str  # its name in the report
    error: str | None = None  # why the measurement ended early
    info: dict[str, Any] | None = None  # what the engine runs on
    starts: list[dict[str, Any]] = field(default_factory=list)  # cold starts
    turns: dict[Configuration, list[Turn]] = field(default_factory=dict)  # repeats of each configuration
    rates: dict[float, list[Arrivals]] = field(default_factory=dict)  # repeats of each rate of the open loop
    not_run: list[dict[str, str]] = field(default_factory=list)  # what could not be measured, and why
    base: Configuration | None = None  # the configuration that the others differ from

    def figures(self) -> dict[str, Any]:
        """The model's part of the report."""
        configurations = [of_configuration(each, turns) for each, turns in self.turns.items()]
        base = self.base
        return {
            "model": self.model,
            "error": self.error,
            "info": self.info,
            "base": None if base is None else {"name": str(base), **asdict(base)},
            "cold_start": of_starts(self.starts),
            "configurations": configurations,
            "open_loop": [] if base is None else [of_rate(base.size, turns) for turns in self.rates.values()],
            "scaling": None if base is None else scaling(configurations, base),
            "not_run": self.not_run,
        }


class Bench:
    """A benchmark of models.

    Args:
        models: As ``Engine`` takes them, without duplicates.
        settings: What to measure.
        open_engine: Opens an engine: ``open_engine(model, color=..., slots=..., **settings.engine)``.

    Attributes:
        runs: One for each model, filled while ``run`` works.
    """

    def __init__(
        self,
        models: Sequence[str | os.PathLike[str]],
        settings: Settings,
        *,
        open_engine: Callable[..., Engine] = Engine,
    ) -> None:
        self._labels = _labels(models)
        self._settings = settings
        self._open = open_engine
        self._frames_of: dict[tuple[int, int], list[Array]] = {}
        self._began = time.time()
        self._load = machine.load_average()  # before our own work is part of it
        self.runs: list[ModelRun] = []
        self.complete = False

    def run(self, progress: Progress = lambda model, step, done, total: None) -> None:
        """Measures all models. A model that fails is recorded and does not stop the others.

        After an interruption ``report`` has the measurements so far.

        Raises:
            Error: The frames cannot be read from the image or video.
        """
        self._frames(*self._settings.sizes[0])  # a file that cannot be read fails before anything is measured
        for model, label in self._labels.items():
            run = ModelRun(label)
            self.runs.append(run)
            try:
                self._run_model(model, run, progress)
            except Error as error:
                run.error = str(error)
        self.complete = True

    def report(self) -> dict[str, Any]:
        """All settings, facts about the machine and figures, ready for JSON."""
        settings = asdict(self._settings)
        for name in ("image", "video"):
            settings[name] = None if settings[name] is None else Path(settings[name]).name
        if "calibration" in settings["engine"]:
            settings["engine"]["calibration"] = Path(settings["engine"]["calibration"]).name
        return {
            "format": FORMAT,
            "program": "rmbg-trt bench",
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._began)),
            "complete": self.complete,
            "machine": {**machine.machine(), "load_average": self._load},
            "software": machine.software(),
            "commit": machine.commit(),
            "settings": settings,
            "models": [run.figures() for run in self.runs],
        }

    def _run_model(self, model: str, run: ModelRun, progress: Progress) -> None:
        settings = self._settings
        repeats = settings.repeats if settings.cold_start else 0
        base = settings.base(settings.slots or (1,))
        for number in range(repeats):
            progress(run.model, "cold start", number, 0)
            run.starts.append(cold_start(model, {**settings.engine, "slots": 1}, (base.height, base.width)))
        progress(run.model, "opening", repeats, 0)
        slots = settings.slots or _default_slots(settings)
        with self._open(model, color="rgb", slots=max(slots), **settings.engine) as engine:
            run.info = {**asdict(engine.info), "model": run.model}
            del run.info["model_path"]
            steps = self._steps(engine, run, slots)
            total = repeats + settings.repeats * len(steps)
            for turn in range(settings.repeats):
                # Forwards, then backwards: steady drift affects all configurations alike.
                for number, (title, step) in enumerate(steps if turn % 2 == 0 else steps[::-1]):
                    progress(run.model, title, repeats + turn * len(steps) + number, total)
                    log.info("turn %d: %s", turn + 1, title)
                    step()
            run.info["mode"] = engine.info.mode
            run.info["device_memory_bytes"] = engine.info.device_memory_bytes
            progress(run.model, "done", total, total)

    def _steps(self, engine: Engine, run: ModelRun, slots: Sequence[int]) -> list[tuple[str, Callable[[], None]]]:
        """The steps of a turn; records what cannot be run here."""
        reasons = {place: why_not(place, engine.info.device) for place in self._settings.places}
        run.not_run += [{"what": f"frames in {place} memory", "why": why} for place, why in reasons.items() if why]
        places = tuple(place for place, why in reasons.items() if why is None)
        if not places:
            raise Error("there is nothing to measure: " + "; ".join(filter(None, reasons.values())))
        settings = dataclasses.replace(self._settings, places=places)
        run.base = settings.base(slots)
        steps: list[tuple[str, Callable[[], None]]] = []
        for each in settings.configurations(slots):
            steps.append((str(each), partial(self._measure, engine, run, each)))
        for rate in settings.rates:
            open_base = dataclasses.replace(run.base, in_flight=max(slots))
            steps.append((f"{rate:g} frames/s", partial(self._arrive, engine, run, open_base, rate)))
        return steps

    def _measure(self, engine: Engine, run: ModelRun, configuration: Configuration) -> None:
        settings = self._settings
        serve = make_serve(engine, configuration, self._frames(configuration.height, configuration.width))
        count = settings.frames
        limits = Limits(
            seconds=0.0 if count else settings.seconds / settings.repeats,
            least=count or _LEAST,
            most=count or _MOST,
            warmup=settings.warmup,
            settle_s=0.0 if engine.info.device == "cpu" else _SETTLE_S,
        )
        stages = StageLog(engine)
        latencies = closed_loop(serve, limits, in_flight=configuration.in_flight, begun=stages.begin, pause=stages.take)
        paired = engine.info.device == "cpu" and configuration.in_flight == 1
        run.turns.setdefault(configuration, []).append(Turn(latencies, stages.times(), paired))

    def _arrive(self, engine: Engine, run: ModelRun, base: Configuration, rate: float) -> None:
        settings = self._settings
        workers = base.in_flight
        serve = make_serve(engine, base, self._frames(base.height, base.width))
        closed_loop(serve, Limits(0, workers, workers, max(1, settings.warmup)), in_flight=workers)  # to warm up
        arrivals = open_loop(
            serve, rate=rate, seconds=settings.rate_seconds, workers=workers, queue=settings.queue or workers
        )
        run.rates.setdefault(rate, []).append(arrivals)

    def _frames(self, height: int, width: int) -> list[Array]:
        size = height, width
        if size not in self._frames_of:
            self._frames_of[size] = make_frames(size, image=self._settings.image, video=self._settings.video)
        return self._frames_of[size]


def _default_slots(settings: Settings) -> tuple[int, ...]:
    """1 and 2 frames in flight; also 4 with eight cores or more, or if there may be a GPU."""
    many = _core.cpu_info()["workers"] >= 8
    gpu = settings.engine.get("device") != "cpu" and bool(_core.cuda_devices())
    return (1, 2, 4) if many or gpu else (1, 2)


def _labels(models: Sequence[str | os.PathLike[str]]) -> dict[str, str]:
    """The names of models in reports: the ends of their paths, as short as possible but different."""
    paths = {os.fspath(model): Path(model).parts for model in models}
    for length in range(1, max(map(len, paths.values()), default=1) + 1):
        labels = {model: "/".join(parts[-length:]) for model, parts in paths.items()}
        if len(set(labels.values())) == len(labels):
            return labels
    return {model: model for model in paths}
