"""The one door to msgspec's readings of typed values, safe in every thread.

msgspec learns a dataclass or a struct when it first meets it, and shows the half that it has learned to every thread:
whoever reads the same kind meanwhile follows a null pointer, and the process is gone. That is msgspec 0.22.0 by
experiment, and a warden died of it under a press. So kinds are learned here one at a time, whole, before they are read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar, overload

import msgspec

T = TypeVar("T")

_LEARNING: Final = threading.Lock()
_KNOWN: Final = set[Any]()


def build(value: Any, kind: type[T]) -> T:
    """A frozen ``kind`` of the house out of plain JSON types. Raises ``msgspec.ValidationError``."""
    if kind not in _KNOWN:
        decoder(kind)
        _KNOWN.add(kind)
    return msgspec.convert(value, kind)


@overload
def decoder(kind: type[T], dec_hook: Callable[[type, Any], Any] | None = None) -> msgspec.json.Decoder[T]: ...
@overload
def decoder(kind: Any, dec_hook: Callable[[type, Any], Any] | None = None) -> msgspec.json.Decoder[Any]: ...
def decoder(kind: Any, dec_hook: Callable[[type, Any], Any] | None = None) -> msgspec.json.Decoder[Any]:
    """What reads JSON as ``kind``. Raises ``TypeError`` for a kind that msgspec cannot read."""
    with _LEARNING:
        return msgspec.json.Decoder(kind, dec_hook=dec_hook)
