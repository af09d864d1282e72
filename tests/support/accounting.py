"""What a session at the exchange must find again in the audit, and that nobody walked around the guard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from proxy.practice.world import ACCOUNT
from tests.support.worlds import LiveWorld, until


def placed_names(world: LiveWorld) -> list[str]:
    """Client order ids of every order the exchange was asked to place, in their order."""
    return [name for entry in world.door.log() for name in _names(entry)]


def nothing_unaccounted(world: LiveWorld) -> list[dict[str, Any]]:
    """Assert that the audit has every order the exchange saw, and that only the guard's key was used; the records."""
    world.wait_until_settled()
    strangers = [entry for entry in world.door.log() if entry["account"] != ACCOUNT]
    assert strangers == [], "somebody came without the guard's key"
    names = set(placed_names(world))
    assert names, "no order reached the exchange"
    # The archive trails the store by the drain's pace.
    records = until(lambda: _records_with(world, names), f"the audit has {sorted(names)}", 30, every_s=0.5)
    assert world.command("audit", "verify").returncode == 0
    return records


def _names(entry: dict[str, Any]) -> Iterator[str]:
    params = entry["params"]
    if entry["method"] != "POST":
        return
    if entry["path"].endswith("/batchOrders"):
        yield from (order["newClientOrderId"] for order in json.loads(params["batchOrders"]))
    elif entry["path"].endswith("/order"):
        yield params["newClientOrderId"]
    elif entry["path"].endswith("/algoOrder"):
        yield params["clientAlgoId"]


def _records_with(world: LiveWorld, names: set[str]) -> list[dict[str, Any]] | None:
    records = world.export()
    written = {name for record in records if record["kind"] in ("intent", "outcome") for name in _written(record)}
    return records if names <= written else None


def _written(record: dict[str, Any]) -> Iterator[str]:
    """An outcome bears the name the exchange repeated; when no answer came, the intent has it."""
    for each in (*record.get("items", ()), *record.get("commands", ())):
        if name := each.get("client_order_id"):
            yield name
