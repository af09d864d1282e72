"""Connections to the store. Nothing here retries: the caller decides what a lost answer means."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

HOT_TIMEOUT_S: Final = 0.05
"""An entry waits this long for the store, never longer: with the library's own retries it would be seconds."""

CALM_TIMEOUT_S: Final = 5.0
"""The warden's own reads may wait; nothing in the order path uses them."""


def connect(url: str, *, timeout_s: float) -> Redis:
    """A client for ``redis://``, ``rediss://`` or ``unix://`` URLs. Connects on first use, never here."""
    return Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        retry_on_timeout=False,
        decode_responses=True,
        health_check_interval=0,
        max_connections=512,
    )


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua script of this package and the digest the store knows it by."""

    text: str
    sha: str

    @classmethod
    def named(cls, name: str) -> Script:
        """The script in ``scripts/NAME.lua``."""
        text = (Path(__file__).parent / "scripts" / f"{name}.lua").read_text(encoding="utf-8")
        # The store's protocol names scripts by SHA-1; nothing is protected by it.
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


async def run_script(client: Redis, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
    """Run ``script`` by its digest, sending the text only when the store does not know it (then nothing has run)."""
    try:
        return await client.evalsha(script.sha, len(keys), *keys, *arguments)
    except NoScriptError:
        return await client.eval(script.text, len(keys), *keys, *arguments)
