# SPDX-License-Identifier: Apache-2.0
"""The trial run: the main job, done once for real on a made picture whose matte is known."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .. import models
from ..errors import Error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
_TIMED_RUNS = 5


@dataclass(frozen=True)
class Trial:
    """The main job, done once for real. `info` is `Engine.info` as a dict."""

    ok: bool
    model: str
    reason: str
    start_ms: float | None = None  # making the engine
    first_ms: float | None = None  # the first frame: warm-up and capture
    frame_ms: float | None = None  # median of the frames after it
    info: Mapping[str, Any] | None = None


def trial_run(model: str = "u2netp", *, progress: models.Progress | None = None) -> Trial:
    """Make an engine, and take the background out of a picture. Never raises for what fails: it is in the result.

    Args:
        model: a catalogue name or a model file.
        progress: ``progress(bytes_done, bytes_total)`` while the model is fetched.
    """
    picture = trial_picture()
    try:
        from ..engine import Engine

        models.resolve(model, progress=progress)  # the engine would do it too, but without a bar
        start = time.perf_counter()
        with Engine(model) as engine:
            start_ms = 1e3 * (time.perf_counter() - start)
            alpha, first_ms = _timed(engine, picture)
            frame_ms = statistics.median(_timed(engine, picture)[1] for _ in range(_TIMED_RUNS))
            info = asdict(engine.info)
    except Error as error:
        return Trial(False, model, str(error))
    except ImportError as error:
        return Trial(False, model, f"rmbg-trt is not installed as a whole ({error}): install it again")
    except Exception as error:  # whatever a runtime or a driver throws is a result here
        return Trial(False, model, f"unexpected {type(error).__name__}: {error}")
    wrong = check_alpha(alpha, picture)
    return Trial(not wrong, model, wrong or str(info.get("reason", "")), start_ms, first_ms, frame_ms, info)


def _timed(engine: Any, picture: NDArray[np.uint8]) -> tuple[Any, float]:
    start = time.perf_counter()
    alpha = engine.run(picture)
    return alpha, 1e3 * (time.perf_counter() - start)


def trial_picture(height: int = 480, width: int = 640) -> NDArray[np.uint8]:
    """Draw a bright, shaded ball before a dark gradient: (height, width, 3) uint8, BGR."""
    import numpy as np

    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    picture = np.stack([40 + 40 * y / height, 50 + 30 * x / width, np.full_like(x, 45)], axis=-1)
    radius = 0.3 * min(height, width)
    distance = np.hypot(x - width / 2, y - height / 2) / radius
    shade = np.clip(1.2 - np.hypot(x - width / 2 + radius / 3, y - height / 2 + radius / 3) / (2 * radius), 0, 1)
    ball = np.stack([60 * shade, 140 * shade, 255 * shade], axis=-1)
    return np.where((distance <= 1)[..., None], ball, picture).astype(np.uint8)


def check_alpha(alpha: Any, picture: NDArray[np.uint8]) -> str:
    """Say what is wrong with the alpha of `trial_picture`, or nothing."""
    import numpy as np

    alpha = np.asarray(alpha)
    if alpha.shape != picture.shape[:2] or alpha.dtype != np.uint8:
        return f"got an alpha of shape {alpha.shape}, {alpha.dtype}; expected {picture.shape[:2]}, uint8"
    height, width = alpha.shape
    ball = float(alpha[height // 2 - height // 8 : height // 2 + height // 8, width // 2 - 20 : width // 2 + 20].mean())
    corners = float(np.mean([alpha[:40, :40], alpha[:40, -40:], alpha[-40:, :40], alpha[-40:, -40:]]))
    if ball < 128 or corners > 64:
        return f"the alpha is wrong: {ball:.0f} of 255 on the object, {corners:.0f} on the background"
    return ""
