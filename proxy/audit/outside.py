"""Anchors outside this machine's disk: the newest checkpoint in a second path, and posted to a webhook.

The archive never waits for them. Each has a loop of its own that sends what is newest, at most once a second; one that
hangs or refuses keeps nobody else from anything, is said once when it fails and once when it works again, and is shown.

What lies in the second path is evidence before it is anything else: one that does not belong to the archive shows that
the archive is another, or an older copy, and is never replaced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import httpx
from pydantic import SecretStr
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from proxy.audit.anchor import AnchorDamaged, AnchorUnreadable, read_anchor, write_anchor
from proxy.audit.checkpoint import Sealed
from proxy.audit.place import ArchiveUnavailable
from proxy.record import Record

log = logging.getLogger("perpguard.audit")

EVERY_S: Final = 1.0
"""An anchor outside is at most so old, where it works."""

AGAIN_AFTER_S: Final = 10.0
PATH_TIMEOUT_S: Final = 10.0
WEBHOOK_TIMEOUT_S: Final = 5.0
WEBHOOK_ATTEMPTS_MAX: Final = 3


class AnchorRefused(Exception):
    """The place did not take the anchor. The message says why, without addresses or tokens."""


class AnchorContradicts(AnchorRefused):
    """What is there was read, and is no anchor of this archive as it is: it is left for a person."""


class _Trying(AnchorRefused):
    """It may take it in a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorState:
    """One place: the last record it was told of, and when; ``failing`` says why it is not told now."""

    name: str
    seq: int | None = None
    at: datetime | None = None
    failing: str = ""


class Place(Protocol):
    """Something that keeps anchors."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    async def keep(self, sealed: Sealed) -> None:
        """Keep an anchor, within a bound. Raises ``AnchorRefused``."""
        ...


class AnchorPath:
    """A file, on another disk if it is to be of use.

    ``why_not_ours`` says why an anchor that lies there is not of the archive whose anchors these are, or an empty text
    when it is. It may raise ``ArchiveUnavailable``.
    """

    def __init__(self, path: Path, why_not_ours: Callable[[Sealed], str]) -> None:
        self._path = path
        self._why_not_ours = why_not_ours
        self.name = str(path)
        self._written = b""
        self._writing: asyncio.Future[None] | None = None

    async def keep(self, sealed: Sealed) -> None:
        """Replace the file, if what is there may go. A disk that hangs holds one thread, however long."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(asyncio.to_thread(self._replace, sealed))
        try:
            async with asyncio.timeout(PATH_TIMEOUT_S):
                await asyncio.shield(self._writing)
        except TimeoutError:
            raise AnchorRefused(f"not written within {PATH_TIMEOUT_S:g} s") from None
        except OSError as error:
            raise AnchorRefused(error.strerror or type(error).__name__) from error

    def _replace(self, sealed: Sealed) -> None:
        try:
            there = read_anchor(self._path)
        except AnchorDamaged as damage:
            raise AnchorContradicts(f"{damage}; it is not replaced") from damage
        except AnchorUnreadable as trouble:
            raise AnchorRefused(f"{trouble}; it is not replaced") from trouble
        if there is not None and there.content != self._written:
            try:
                why = self._why_not_ours(there)
            except ArchiveUnavailable as trouble:
                raise AnchorRefused(f"what is there cannot be compared with the archive: {trouble}") from trouble
            if why:
                raise AnchorContradicts(f"what is there contradicts the archive and is not replaced: {why}")
        write_anchor(self._path, sealed)
        self._written = sealed.content


class AnchorWebhook:
    """An address that is posted the anchor as JSON, and answers 2xx when it has it."""

    def __init__(self, url: SecretStr, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url
        self._transport = transport
        self.name = f"webhook at {httpx.URL(url.get_secret_value()).host}"

    async def keep(self, sealed: Sealed) -> None:
        """Post it, three times if need be."""
        attempts = AsyncRetrying(
            stop=stop_after_attempt(WEBHOOK_ATTEMPTS_MAX),
            wait=wait_exponential(multiplier=0.5, max=4),
            retry=retry_if_exception_type(_Trying),
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                await self._post(sealed)

    async def _post(self, sealed: Sealed) -> None:
        # Neither a proxy of the environment nor a redirect decides who is told.
        client = httpx.AsyncClient(transport=self._transport, timeout=WEBHOOK_TIMEOUT_S, trust_env=False)
        try:
            async with asyncio.timeout(2 * WEBHOOK_TIMEOUT_S), client:
                headers = {"Content-Type": "application/json"}
                answer = await client.post(self._url.get_secret_value(), content=sealed.content, headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            raise _Trying(type(error).__name__) from None  # Its text may repeat the address.
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
            raise _Trying(f"answered {answer.status_code}")
        if not answer.is_success:
            raise AnchorRefused(f"answered {answer.status_code}")


class OutsideAnchors:
    """Every place outside, kept up to date with ``newest``."""

    def __init__(self, places: Sequence[Place], now: Callable[[], datetime]) -> None:
        self._places = places
        self._now = now
        self._contradicting: set[str] = set()
        self._states = {place.name: AnchorState(name=place.name) for place in places}

    @property
    def states(self) -> tuple[AnchorState, ...]:
        """Each place as it is."""
        return tuple(self._states.values())

    async def run(self, newest: Callable[[], Sealed | None], event: Record) -> None:
        """For ever: tell every place what is newest."""
        async with asyncio.TaskGroup() as loops:
            for place in self._places:
                loops.create_task(self._follow(place, newest, event))

    async def _follow(self, place: Place, newest: Callable[[], Sealed | None], event: Record) -> None:
        while True:
            sealed = newest()
            known = self._states[place.name]
            if sealed is not None and sealed.checkpoint.seq != known.seq:
                await self._tell(place, sealed, event)
            failing = self._states[place.name].failing
            await asyncio.sleep(AGAIN_AFTER_S if failing else EVERY_S)

    async def _tell(self, place: Place, sealed: Sealed, event: Record) -> None:
        before = self._states[place.name]
        try:
            await place.keep(sealed)
        except AnchorRefused as refusal:
            self._states[place.name] = replace(before, failing=str(refusal))
            if isinstance(refusal, AnchorContradicts):
                if place.name not in self._contradicting:
                    self._contradicting.add(place.name)
                    log.critical("the audit's anchor in %s is left as it is: %s", place.name, refusal)
                    await event("audit.anchor_contradicts", "warden", {"anchor": place.name, "why": str(refusal)})
            elif not before.failing:
                log.error("the audit's anchor in %s is not kept: %s", place.name, refusal)
                await event("audit.anchor_failing", "warden", {"anchor": place.name, "why": str(refusal)})
            return
        self._contradicting.discard(place.name)
        self._states[place.name] = AnchorState(name=place.name, seq=sealed.checkpoint.seq, at=self._now())
        if before.failing:
            log.warning("the audit's anchor in %s is kept again", place.name)
            await event("audit.anchor_kept", "warden", {"anchor": place.name})
