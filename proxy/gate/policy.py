"""The policy a gate works under: what the warden has put in force, as the store last told.

Orders need none of this: the one round trip of each brings the policy of that very moment. What looks at the policy
besides, without an order, follows it here.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from proxy.policy.reading import PolicyError, parse_policy
from proxy.store.gate_store import GateStore
from proxy.store.trouble import StoreUnavailable
from rules.policy import Policy

log = logging.getLogger("perpguard.gate")

READ_EVERY_S: Final = 1.0


def policy_of(text: str) -> Policy | None:
    """The policy in ``text``, ``None`` when this gate cannot read it: then it refuses whatever adds risk."""
    try:
        return parse_policy(text)
    except PolicyError as error:
        log.error("the policy in force cannot be read here, so entries are refused: %s", error)
        return None


class GatePolicy:
    """The policy in force. ``started_with`` stands in until the store has told."""

    def __init__(self, store: GateStore, started_with: Policy) -> None:
        self._store = store
        self._started_with = started_with

    @property
    def in_force(self) -> Policy:
        """The policy last told."""
        return self._store.policy or self._started_with

    async def follow(self) -> None:
        """Ask what is in force, for ever. A store that is away changes nothing."""
        while True:
            try:
                await self._store.read_policy()
            except StoreUnavailable as trouble:
                log.debug("the policy was not read: %s", trouble)
            await asyncio.sleep(READ_EVERY_S)
