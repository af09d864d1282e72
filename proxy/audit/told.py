"""What is told of a record ahead of the archive: everything, but of a decision's snapshot what hearers look at.

The rest of it, above all what others had under way, is most of a record, and the more of it the further the warden is
behind: to decode it all for hearing, and once more for the archive, would keep it behind.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict

import msgspec

from proxy.decoding import decoder
from proxy.store.codec import load


class Glimpse(TypedDict, total=False):
    """Of a snapshot; ``tests/proxy/warden/test_hearing.py`` holds the hearers to it."""

    now: Any
    bot: Any
    anomaly: Any
    controls: Any
    markets: Any


_PARTS: Final = decoder(dict[str, msgspec.Raw])
_GLIMPSE: Final = decoder(Glimpse)


def load_told(text: str) -> Any:
    """The record that ``text`` is, as ``codec.load`` reads it, with a ``Glimpse`` of its snapshot. Raises what that
    raises."""
    try:
        parts = _PARTS.decode(text)
        return {name: _GLIMPSE.decode(part) if name == "snapshot" else load(part) for name, part in parts.items()}
    except msgspec.ValidationError:  # No record, or one without a snapshot that is any.
        return load(text)
