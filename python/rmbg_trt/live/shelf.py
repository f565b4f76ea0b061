# SPDX-License-Identifier: Apache-2.0
"""What stands between two threads of live work: it holds the newest few items, and counts those that it lets fall.

Whoever puts never waits, so a slow taker makes pictures rarer, not older.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Shelf(Generic[Item]):
    """A queue whose oldest item falls when it is full.

    Args:
        length: Items that it holds; 1 keeps the newest only.

    Attributes:
        dropped: Items that fell.
        ended: Whether nothing more will come.
    """

    def __init__(self, length: int = 1) -> None:
        self.dropped = 0
        self.ended = False
        self._length = length
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()

    def put(self, item: Item) -> None:
        """Adds an item; never waits. After `end` it is not taken any more."""
        with self._changed:
            if self.ended:
                return
            if len(self._items) == self._length:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self._changed.notify()

    def take(self, timeout: float | None = None) -> Item | None:
        """The oldest item that is left. None: none came within ``timeout`` seconds, or all are taken after `end`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._items and not self.ended:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._changed.wait(left)
            return self._items.popleft() if self._items else None

    def end(self) -> None:
        """Says that nothing more will come; what is there can still be taken. May be called again."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Takes everything away; it does not count as dropped."""
        with self._changed:
            self._items.clear()

    @property
    def over(self) -> bool:
        """Whether nothing more will come, and nothing is left."""
        with self._changed:
            return self.ended and not self._items
