"""What a store that is another server than before is told, and what of it is held against no bot."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from proxy.warden import Warden


class Told:
    """Everything the warden tells, in order. ``servers`` are the run id that answers and the one that was filled."""

    def __init__(self, run_id: str, filled: str) -> None:
        self.run_id, self.filled = run_id, filled
        self.said: list[str] = []

    async def server(self) -> tuple[str, str]:
        return self.run_id, self.filled

    async def fill(self, run_id: str) -> None:
        self.said.append("filled")
        self.filled = run_id

    async def distrust(self, accounts: list[str]) -> None:
        self.said.append("accounts")

    def store_was_away(self) -> None:
        self.said.append("leases")

    def teller(self, what: str) -> Any:
        async def tell() -> None:
            self.said.append(what)

        return tell


async def watched(told: Told, known: str) -> list[str]:
    """What is said in one look of a warden that filled the server of this run id."""
    warden: Any = Warden.__new__(Warden)
    warden._store, warden._filled = told, known
    warden._keys = SimpleNamespace(publish=told.teller("keys"))
    warden._policies = SimpleNamespace(publish=told.teller("policy"))
    warden._desk = SimpleNamespace(
        accounts={},
        leases=told,
        rearming=SimpleNamespace(publish=told.teller("ramps")),
        overrides=SimpleNamespace(take_up=told.teller("overrides")),
    )
    watching = asyncio.create_task(warden._watch_store())
    await asyncio.sleep(0.1)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    return told.said


async def test_another_server_knows_every_key_before_gates_ask_it_and_leases_run_on() -> None:
    said = await watched(Told("second", "first"), "first")
    assert said.index("keys") < said.index("filled") == len(said) - 1
    assert "leases" in said


async def test_a_server_that_was_emptied_knows_every_key_before_gates_ask_it() -> None:
    assert await watched(Told("first", ""), "first") == ["keys", "filled"]


async def test_the_same_server_is_told_nothing() -> None:
    assert await watched(Told("first", "first"), "first") == []
