"""Which overrides a request used up, read from the record of its decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def used_by(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The overrides that the gate took out of the store for this request; none of a record of another shape.

    The gate takes those of a command in order and stops at the first that is gone (``proxy.gate.readiness``): that one
    served another order, and those before it are spent although the command was withheld.
    """
    if record.get("kind") != "decision":
        return ()
    try:
        withheld = record["withheld"]
        return tuple(
            override_id
            for place, decision in enumerate(record["decisions"])
            for override_id in _taken(decision["overrides"], withheld.get(str(place)))
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        return ()  # The archive keeps unreadable records; they name no order that was sent.


def _taken(overrides: list[str], withheld: Mapping[str, Any] | None) -> list[str]:
    if withheld is None or withheld["rule_id"] != "override":
        return overrides
    return overrides[: overrides.index(withheld["observed"])]
