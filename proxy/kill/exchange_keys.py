"""The last step of a kill, where the policy asks for it: the account's own key loses its right to trade at the venue.

Never before FLAT is proven: the key is what cancels and closes. It is done once for each job, and what became of it
stands in ``JOB.key`` beside the job's journal, in the audit and in the report. A person gives the right back, at the
venue; the guard cannot.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

from proxy.exchange.troubles import VenueRefused, VenueTrouble
from proxy.kill.jobs import NewestJob
from proxy.record import Record
from proxy.store.fence import Scope
from proxy.vault.keys import ExchangeKey

log = logging.getLogger("perpguard.kill")

KEY_OFF: Final = -2015
"""Binance: "Invalid API-key, IP, or permissions for action"."""

OFF: Final = "the account's key is off at the venue"
NO_MASTER: Final = "not done: the vault holds no master key for this account, and a key cannot switch itself off"
STILL_ON: Final = "not done: the venue said yes, but the key still answers"
AGAIN_S: Final = 30.0


class Master(Protocol):
    """Who may switch a sub-account's keys off."""

    async def switch_off(self, api_key: str) -> None:
        """Take a key its right to trade. Raises ``VenueTrouble``."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class ExchangeKeys:
    """``wanted`` is the policy's word; ``ask`` uses the account's own key and raises what the venue answers."""

    def __init__(
        self,
        *,
        wanted: Callable[[], bool],
        key_of: Callable[[str], ExchangeKey],
        master_of: Callable[[ExchangeKey], Master | None],
        ask: Callable[[str], Awaitable[object]],
        record: Record,
    ) -> None:
        self._wanted = wanted
        self._key_of = key_of
        self._master_of = master_of
        self._ask = ask
        self._record = record
        self._next_at: dict[str, float] = {}

    async def after_flat(self, scope: Scope, job: NewestJob) -> bool:
        """Switch the key of a flat account off, once; whether it is off. A kill of one bot leaves it to the others."""
        journal = job.journal.path
        done = key_outcome(journal)
        if done is not None:
            return done == OFF
        now = asyncio.get_running_loop().time()
        if job.bot is not None or not self._wanted() or now < self._next_at.get(job.account, now):
            return False
        outcome = await self._switched_off(job.account)
        if outcome is None:
            self._next_at[job.account] = now + AGAIN_S
            return False
        _keep(journal, outcome)
        log.warning("the exchange key of %s: %s", job.account, outcome)
        await self._record("kill.exchange_key", "warden", {"account": job.account, "scope": str(scope), "key": outcome})
        return outcome == OFF

    async def _switched_off(self, account: str) -> str | None:
        """What became of it; ``None`` when the venue could not be asked and will be again."""
        key = self._key_of(account)
        master = self._master_of(key)
        if master is None:
            return NO_MASTER
        try:
            await master.switch_off(key.api_key)
            await self._ask(account)
        except VenueRefused as refusal:
            return OFF if refusal.code == KEY_OFF and await self._is_off(account) else f"not done: {refusal}"
        except VenueTrouble as trouble:
            log.warning("the exchange key of %s cannot be switched off yet: %s", account, trouble)
            return None
        finally:
            await master.aclose()
        return STILL_ON

    async def _is_off(self, account: str) -> bool:
        """Whether it is the account's key that is refused, and not the master's."""
        try:
            await self._ask(account)
        except VenueRefused as refusal:
            return refusal.code == KEY_OFF
        except VenueTrouble:
            return False
        return False


def key_outcome(journal: Path) -> str | None:
    """What became of the account's key after a job, ``None`` while nothing has been done."""
    try:
        return _path(journal).read_text(encoding="utf-8")
    except OSError:
        return None


def _keep(journal: Path, outcome: str) -> None:
    try:
        descriptor = os.open(_path(journal), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, outcome.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as trouble:
        # To switch it off once more does no harm.
        log.warning("what became of the exchange key is not written down: %s", trouble.strerror)


def _path(journal: Path) -> Path:
    return journal.with_suffix(".key")
