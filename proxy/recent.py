"""A memory with a bound: the newest entries of something that never ends."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping that forgets what was put longest ago, once it holds ``size_max`` entries."""

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[K]:
        """What is remembered, oldest first, as it is now."""
        return iter(tuple(self._entries))

    def get(self, key: K) -> V | None:
        """The value, ``None`` when it was never put or is forgotten."""
        return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        """Remember as the newest."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        while len(self._entries) > self._size_max:
            self._entries.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget; nothing happens when it is not there."""
        self._entries.pop(key, None)
