# SPDX-License-Identifier: Apache-2.0
"""The C++ core. Private: its names may change; use rmbg_trt.Engine."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__version__: str

_Image = NDArray[np.uint8]
_Color = Literal["bgr", "rgb"]
_Filter = Literal["lanczos", "bilinear", "area"]
_Output = Literal["alpha", "cutout", "composite"]
_Background = tuple[int, int, int] | _Image | None

class TensorSpec:
    def __init__(self, name: str, shape: Sequence[int], dtype: Literal["float32", "float16"] = "float32") -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, int, int, int]: ...
    @property
    def dtype(self) -> str: ...

class Network:
    @property
    def input(self) -> TensorSpec: ...
    @property
    def output(self) -> TensorSpec: ...
    @property
    def capturable(self) -> bool: ...

def python_network(
    input: TensorSpec,
    output: TensorSpec,
    bind: Callable[[NDArray[np.float32], NDArray[np.float32]], None],
    enqueue: Callable[[int], None],
    capturable: bool = False,
) -> Network: ...

class Completion:
    def wait(self, seconds: float = -1.0) -> bool: ...
    def rethrow(self) -> None: ...

class Pipeline:
    def __init__(
        self,
        networks: Sequence[Network],
        filter: _Filter = "lanczos",
        stretch: Literal["minmax", "none"] = "minmax",
    ) -> None: ...
    def run(
        self,
        frame: _Image,
        result: _Image,
        color: _Color,
        output: _Output,
        premultiplied: bool = False,
        background: _Background = None,
        blur_sigma: float = 0.0,
    ) -> None: ...
    def submit(
        self,
        frame: _Image,
        result: _Image,
        color: _Color,
        output: _Output,
        premultiplied: bool = False,
        background: _Background = None,
        blur_sigma: float = 0.0,
    ) -> Completion: ...
    def recent_times(self) -> list[tuple[float, float, float]]: ...
    @property
    def frames(self) -> int: ...
    @property
    def slots(self) -> int: ...
    def close(self) -> None: ...

def build_info() -> dict[str, Any]: ...
def cuda_devices() -> list[dict[str, Any]]: ...
def cpu_info() -> dict[str, Any]: ...
def allocation_count() -> int: ...
def bytes_in_use() -> int: ...
def resample(image: _Image, size: tuple[int, int], filter: _Filter = "lanczos") -> _Image: ...
def preprocess(
    frame: _Image, size: tuple[int, int], color: _Color = "bgr", filter: _Filter = "lanczos"
) -> NDArray[np.float32]: ...
def gaussian_blur(image: _Image, sigma: float) -> _Image: ...
def host_buffer(shape: Sequence[int]) -> _Image: ...
