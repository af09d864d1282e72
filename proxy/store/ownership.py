"""Whose a desk of a store is: a guard claims it, and writes nothing into one that another guard has.

The id of the guard stands in the controls, so that one script compares and writes
(``docs/decisions/0030-one-guard-a-desk.md``). Who is of no guard, as a command on another machine, works for whoever
has the desk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio
from redis.exceptions import RedisError

from proxy.store.client import Script, run_script
from proxy.store.keys import Keys

OWNED_S: Final = 60
"""So long a desk is kept for a guard that has not been heard: longer than a restart takes, and than the accounts of a
guard without a warden count as fresh."""

ELSEWHERE: Final = "another data directory"
"""Where a guard is that is known by its id alone."""


class DeskTaken(RedisError):
    """Another guard has this desk of the store: nothing of ours belongs there. The text says which."""

    @property
    def said(self) -> str:
        """The same in a sentence, for people."""
        return f"this desk of the store is another guard's, at {self}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """``from_another``: another guard had the desk before. ``dropped`` are the accounts of which the store had what is
    of another account."""

    from_another: bool = False
    dropped: tuple[str, ...] = ()


class Ownership:
    """One process's, over its own connections. ``guard`` is the id of its guard, empty for who is of none."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys, guard: str) -> None:
        self.guard = guard
        self._redis = client
        self._keys = keys
        self._claim = Script.named("claim")
        self._owned = Script.named("owned")
        self._take_over = Script.named("take_over")
        self._taken_by = ""

    async def claim(self, where: str) -> None:
        """Take the desk, or keep it; ``where`` the guard runs, in words. Raises ``DeskTaken``, or what the client
        raises."""
        await self._ask_for_it(where, keeps=False)

    async def keep(self, where: str) -> None:
        """Keep the desk that this process has claimed. Raises ``DeskTaken`` also where another guard had it meanwhile
        and has left it: what is there now has to be taken over. Or what the client raises."""
        await self._ask_for_it(where, keeps=True)

    async def _ask_for_it(self, where: str, *, keeps: bool) -> None:
        if not self.guard:
            return
        keys = [self._keys.guard, self._keys.controls, self._keys.whose]
        arguments = [self.guard, where, OWNED_S * 1000, "1" if keeps else ""]
        word, *by = await run_script(self._redis, self._claim, keys, arguments)
        self._taken_by = "" if word == "OK" else str(by[0]) if by else ELSEWHERE
        self.check()

    async def take_over(self, accounts: Mapping[str, str], traders: Iterable[tuple[str, str]] = ()) -> TakenOver:
        """Say that what the store has of these accounts, by name with their digests, is this guard's; what is another
        guard's account of the same name is forgotten first, with the earlier entries of ``traders``, each a bot and its
        account. Leases that are taken over run for one more time to live. Raises ``DeskTaken``, or what the client
        raises."""
        if not self.guard:
            return TakenOver()
        pairs = sorted(set(traders))
        keys, arguments = [self._keys.controls, self._keys.whose, self._keys.leases], [self.guard]
        for name in sorted(accounts):
            tried = [self._keys.attempts(name, bot) for bot, account in pairs if account == name]
            theirs = [*self._keys.of_account(name), *tried]
            keys += theirs
            arguments += [name, accounts[name], str(len(theirs))]
        reply = await self.run(self._take_over, keys, arguments)
        return TakenOver(from_another=bool(reply[0]), dropped=tuple(map(str, reply[1])))

    async def is_claimed(self) -> bool:
        """Whether any guard has the desk."""
        return bool(await self._redis.exists(self._keys.guard))

    async def left_by_another(self) -> bool:
        """Whether another guard had the desk last, and has not been heard for so long that it has it no more."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.exists(self._keys.guard)
        pipeline.hget(self._keys.controls, "guard")
        claimed, owner = await pipeline.execute()
        return not claimed and self.is_anothers(owner)

    def is_anothers(self, owner: str | None) -> bool:
        """Whether ``owner``, as the controls name it, is another guard than ours."""
        return self.guard != "" and owner is not None and owner != self.guard

    def check(self) -> None:
        """Raises ``DeskTaken`` when the last claim was refused."""
        if self._taken_by:
            raise DeskTaken(self._taken_by)

    async def run(self, script: Script, keys: list[str], arguments: list[Any]) -> list[Any]:
        """What a script answers that asks first whose the desk is. Raises ``DeskTaken``, also before any claim, and
        then nothing has run; or what the client raises."""
        self.check()
        reply: list[Any] = await run_script(self._redis, script, keys, arguments)
        if reply[0] == "TAKEN":
            raise DeskTaken(ELSEWHERE)
        return reply[1:]

    async def write(self, key: str, *commands: tuple[str | bytes, ...]) -> Any:
        """Run commands on one key, in one step: each its name, and its arguments after the key. The last reply.

        Raises ``DeskTaken``, also before any claim, and then nothing has run; or what the client raises.
        """
        arguments: list[Any] = [self.guard]
        for name, *given in commands:
            arguments += (name, len(given), *given)
        reply = await self.run(self._owned, [self._keys.controls, key], arguments)
        return reply[0] if reply else None
