# SPDX-License-Identifier: Apache-2.0
"""Background removal and video matting with U²-Net.

    alpha = rmbg_trt.Engine("u2net").run(frame)

Everything is imported on first use, so that ``import rmbg_trt`` is quick and needs no runtime and no GPU.
"""

from __future__ import annotations

import importlib

from .errors import CudaError, Error, InputError, ModelError, NetworkError, UnavailableError

TYPE_CHECKING = False  # as type checkers read it; typing is not imported for it
if TYPE_CHECKING:
    from ._core import __version__ as __version__
    from .engine import Engine as Engine
    from .engine import EngineInfo as EngineInfo
    from .engine import Ticket as Ticket
    from .options import FrameOptions as FrameOptions
    from .video.job import matte_video as matte_video
    from .video_matter import VideoMatter as VideoMatter

__all__ = [
    "CudaError",
    "Engine",
    "EngineInfo",
    "Error",
    "FrameOptions",
    "InputError",
    "ModelError",
    "NetworkError",
    "Ticket",
    "UnavailableError",
    "VideoMatter",
    "__version__",
]

_LAZY = {
    "Engine": ".engine",
    "EngineInfo": ".engine",
    "FrameOptions": ".options",
    "Ticket": ".engine",
    "VideoMatter": ".video_matter",
    "__version__": "._core",
    "matte_video": ".video",  # not in __all__: it needs PyAV, and a star must not
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'rmbg_trt' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_LAZY})
