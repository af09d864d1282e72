"""The ways a watchdog hears the guard: its control port, and the store. Silence is silence on all of them."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable
from typing import Any, Final, Protocol

import httpx

from proxy.host_id import host_id
from proxy.store.client import STORE_TROUBLE
from proxy.vault.keys import Secret
from proxy.watchdog.acts import Acts
from proxy.watchdog.beat import SEALED_MAX, Answer, Beat, Call, Duty, SealBroken, seal, unseal

log = logging.getLogger("perpguard.watchdog")

ASK_TIMEOUT_S: Final = 1.0
_ANSWER_BYTES_MAX: Final = 2 * SEALED_MAX


class Way(Protocol):
    """One way. ``name`` is for people."""

    @property
    def name(self) -> str:
        """What this way is called."""
        ...

    async def look(self, duty: Duty) -> Beat | None:
        """The guard's sign of life, fresh for certain; ``None`` without one. Raises nothing for trouble outside."""
        ...


class PortWay:
    """Asks at the guard's control port, and tells what this watchdog did. ``answered`` is told of every beat that came
    in answer."""

    def __init__(
        self, url: str, secret: Secret, name: str, acts: Acts, *, answered: Callable[[Beat], None] = lambda beat: None
    ) -> None:
        self.name = f"the control port {url}"
        self._acts = acts
        self._answered = answered
        self._url = url.rstrip("/") + "/watchdog"
        self._secret = secret
        self._watchdog = name
        self._challenge = ""
        self._client = httpx.AsyncClient(timeout=ASK_TIMEOUT_S, trust_env=False, follow_redirects=False)

    async def look(self, duty: Duty) -> Beat | None:
        """Ask once."""
        nonce = secrets.token_hex(16)
        call = Call(
            name=self._watchdog,
            host=host_id(),
            nonce=nonce,
            challenge=self._challenge,
            duty=duty,
            acted=self._acts.untold,
            acted_ago_s=self._acts.ago_s,
        )
        try:
            answer = unseal(self._secret, Answer, await self._ask(seal(self._secret, call)))
        except (httpx.HTTPError, SealBroken):
            return None
        if not secrets.compare_digest(answer.nonce.encode(), nonce.encode()):
            return None  # Recorded earlier.
        self._challenge = answer.challenge
        self._acts.forget(answer.obeyed)
        self._answered(answer.beat)
        return answer.beat

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _ask(self, sealed: str) -> str:
        """The sealed answer. Raises ``httpx.HTTPError``, or ``SealBroken`` for what is none."""
        async with self._client.stream("POST", self._url, json={"call": sealed}) as reply:
            body = b""
            async for part in reply.aiter_bytes():
                body += part
                if len(body) > _ANSWER_BYTES_MAX:
                    raise SealBroken
        if reply.status_code != httpx.codes.OK:
            raise SealBroken
        try:
            answer: Any = json.loads(body)
        except (ValueError, RecursionError):
            raise SealBroken from None
        if not isinstance(answer, dict) or not isinstance(answer.get("answer"), str):
            raise SealBroken
        return str(answer["answer"])


class Mailbox(Protocol):
    """Where the guard leaves its beats."""

    async def read(self) -> str | None:
        """The last one. Raises what the store client raises."""
        ...

    async def forget_connections(self) -> None:
        """Have the next call connect anew."""


class StoreWay:
    """Looks at what the guard left in the store. Nobody asked for it, so only a later beat than any before counts.

    Whoever can write there may have kept beats of an earlier boot: no number of theirs proves anything. So a guard that
    started again with its clock behind, and beats under a smaller ``boot_us`` than before, is heard here only once it
    has ``answered`` a call elsewhere.
    """

    def __init__(self, mailbox: Mailbox, secret: Secret) -> None:
        self.name = "the store"
        self._mailbox = mailbox
        self._secret = secret
        self._last: tuple[int, int] | None = None
        self._bygone: set[int] = set()

    async def look(self, duty: Duty) -> Beat | None:
        """Read once. The first beat ever read proves nothing: it may have lain there for days.

        In silence each look connects anew: the server that was read may be the store no more.
        """
        beat = await self._later()
        if beat is None:
            await self._mailbox.forget_connections()
        return beat

    def answered(self, beat: Beat) -> None:
        """The guard said this in answer to a call of ours, so it is no recording: what is not later than it is old."""
        self._bygone.discard(beat.boot_us)
        if self._last is None or self._last[0] != beat.boot_us or self._last < beat.order:
            self._goes_on_from(beat)

    async def _later(self) -> Beat | None:
        try:
            sealed = await self._mailbox.read()
            beat = unseal(self._secret, Beat, sealed) if sealed is not None else None
        except (*STORE_TROUBLE, SealBroken):
            return None
        if beat is None or beat.boot_us in self._bygone or (self._last is not None and beat.order <= self._last):
            return None
        before = self._last
        self._goes_on_from(beat)
        return None if before is None else beat

    def _goes_on_from(self, beat: Beat) -> None:
        if self._last is not None and self._last[0] != beat.boot_us:
            self._bygone.add(self._last[0])  # Its beats, kept by somebody, must not count once more.
        self._last = beat.order
