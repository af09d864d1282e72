"""Orders of one account as rows of a table: what the simulator works on, and how a row becomes an event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypedDict

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.void]
DTYPE: Final = np.dtype(
    [
        ("ts", "f8"),
        ("type", "U6"),
        ("symbol", "U16"),
        ("side", "U4"),
        ("notional", "f8"),
        ("distance_bps", "f8"),
        ("round_trip_ms", "f8"),
        ("rejected", "?"),
    ]
)
FIELDS: Final = tuple(DTYPE.names or ())
_AT_ONCE: Final = 20_000


class OrderEvent(TypedDict):
    """One message of an account and what the venue made of it.

    `ts`: unix seconds when it was sent. `type`: new, amend or cancel. `side`: buy or sell. `notional`: in quote
    currency. `distance_bps`: from the mark, above zero on the aggressive side. `round_trip_ms`: until the answer.
    """

    ts: float
    type: str
    symbol: str
    side: str
    notional: float
    distance_bps: float
    round_trip_ms: float
    rejected: bool


def to_rows(records: Sequence[tuple[Any, ...]]) -> Rows:
    """Rows in order of time; of equal times the first stays first."""
    rows = np.array(list(records), dtype=DTYPE)
    for name, digits in (("ts", 3), ("notional", 2), ("distance_bps", 2), ("round_trip_ms", 1)):
        rows[name] = np.round(rows[name], digits)
    return rows[np.argsort(rows["ts"], kind="stable")]


def events(rows: Rows) -> Iterator[OrderEvent]:
    """The rows as events, one after another."""
    for begin in range(0, len(rows), _AT_ONCE):
        for values in rows[begin : begin + _AT_ONCE].tolist():
            yield dict(zip(FIELDS, values, strict=True))  # type: ignore[misc]
