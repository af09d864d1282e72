"""What gates say of themselves, by a store whose clock was set or is another's."""

from __future__ import annotations

import redis

from proxy.store.ear import Ear
from proxy.store.embedded import EmbeddedStore
from proxy.store.gates import LEASE_S
from proxy.store.keys import Keys
from proxy.store.warden_store import WardenStore

AHEAD_S = int(300 * LEASE_S)


async def test_a_dead_gates_word_from_before_the_clock_was_set_back_is_no_gates(
    server: EmbeddedStore, desk: str, keys: Keys
) -> None:
    """Every press would wait for it, and no alert would count it as missing, until the clock is there again."""
    warden = WardenStore(server.url, desk)
    ear = Ear(server.url, desk)
    with redis.Redis.from_url(server.url, decode_responses=True) as plain:
        ear.hear("living:1", 1)
        seconds, _ = plain.time()
        plain.hset(keys.gates, "dead:1", f"1|{(seconds + AHEAD_S) * 1_000_000}")
        plain.hset(keys.gates, "skewed:1", f"1|{(seconds + 1) * 1_000_000}")
        words = await warden.gates()
        assert {gate: word.holds_lease for gate, word in words.items()} == {"living:1": True, "skewed:1": True}
        assert sorted(plain.hkeys(keys.gates)) == ["living:1", "skewed:1"]
    ear.close()
    await warden.aclose()
