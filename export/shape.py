# SPDX-License-Identifier: Apache-2.0
"""The input shapes a model is exported for: one, or a range of batches and sizes."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[int, int, int]
"""Smallest, usual (what the plan is tuned for) and largest; all equal for a fixed length."""

CHANNELS = 3
MIN_SIDE, MAX_SIDE = 32, 4096
MAX_BATCH = 256


@dataclass(frozen=True)
class InputShape:
    """The shape (N, 3, H, W) of a network's input.

    Attributes:
        batch: N, 1 to 256.
        height: H in pixels, 32 to 4096.
        width: W in pixels, 32 to 4096.

    Raises:
        ValueError: A length is out of bounds, or a range is not in order.
    """

    batch: Range = (1, 1, 1)
    height: Range = (320, 320, 320)
    width: Range = (320, 320, 320)

    def __post_init__(self) -> None:
        bounds = {"batch": (1, MAX_BATCH), "height": (MIN_SIDE, MAX_SIDE), "width": (MIN_SIDE, MAX_SIDE)}
        for name, (lowest, highest) in bounds.items():
            low, usual, high = getattr(self, name)
            if not lowest <= low <= usual <= high <= highest:
                raise ValueError(
                    f"{name} is {low}, {usual}, {high} (smallest, usual, largest); expected whole numbers in this "
                    f"order, from {lowest} to {highest}"
                )

    @property
    def fixed(self) -> bool:
        """Whether there is only one shape."""
        return self.smallest == self.largest

    @property
    def smallest(self) -> tuple[int, int, int, int]:
        """(N, 3, H, W) of the smallest input."""
        return self._corner(0)

    @property
    def usual(self) -> tuple[int, int, int, int]:
        """(N, 3, H, W) that a plan is tuned for."""
        return self._corner(1)

    @property
    def largest(self) -> tuple[int, int, int, int]:
        """(N, 3, H, W) of the largest input."""
        return self._corner(2)

    def _corner(self, index: int) -> tuple[int, int, int, int]:
        return self.batch[index], CHANNELS, self.height[index], self.width[index]

    def __str__(self) -> str:
        def text(sides: tuple[int, ...]) -> str:
            return "x".join(map(str, sides))

        if self.fixed:
            return text(self.usual)
        return f"{text(self.smallest)} to {text(self.largest)}, usually {text(self.usual)}"
