"""The audit's stream: what gates and the warden put into it stands there until the archive has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from proxy.store.codec import dump
from proxy.store.desk_store import DeskStore

DRAIN_BATCH_MAX: Final = 500


class AuditStream(DeskStore):
    """The stream of one desk."""

    async def record(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Put audit records of the warden itself into the stream. Not into another guard's: raises ``DeskTaken``."""
        for record in records:
            await self._ownership.write(self._keys.audit, ("XADD", "*", "r", dump(record)))

    async def read_audit(self, *, block_ms: int, after: str = "0-0") -> list[tuple[str, str]]:
        """The oldest audit records still in the stream, as text, waiting up to ``block_ms`` for the first.

        To be archived always from the start: what is archived has been trimmed, and after a failover to a store whose
        clock lags new entries may bear smaller ids than the last one read.
        """
        reply: Any = await self._redis.xread({self._keys.audit: after}, count=DRAIN_BATCH_MAX, block=block_ms)
        return [(stream_id, fields["r"]) for _, found in reply or [] for stream_id, fields in found]

    async def stands(self, stream_id: str) -> bool:
        """Whether this audit record is in the stream still. Then no record came below it since it was read: the store
        numbers none lower than its last, whatever its clock does."""
        return bool(await self._redis.xrange(self._keys.audit, min=stream_id, max=stream_id, count=1))

    async def forget_archived(self, accounts: Iterable[str]) -> None:
        """Of these accounts and their records, the versions that decisions name go to the audit again when they are
        looked at next: it may be kept in another archive now."""
        for account in accounts:
            for document in (self._keys.account(account), self._keys.record(account)):
                await self._redis.hdel(document, "archived")

    async def trim_audit(self, through: str) -> None:
        """Forget audit records up to and including ``through``; they are in the archive."""
        milliseconds, _, sequence = through.partition("-")
        await self._redis.xtrim(self._keys.audit, minid=f"{milliseconds}-{int(sequence) + 1}", approximate=False)
