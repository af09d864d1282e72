"""F05: the exchange bans the address that a kill goes out by. With a second one it ends flat, and hammers at no ban."""

from __future__ import annotations

from pathlib import Path

from proxy.kill.hands import VenueHands
from proxy.kill.job import kill
from proxy.store.fence import DESK
from rules.kill.events import Phase
from tests.proxy.kill.practice_exchange import practice_exchange

FIRST, SECOND = "127.0.0.2", "127.0.0.3"


async def test_f05_a_kill_whose_address_is_banned_goes_on_by_the_other(tmp_path: Path) -> None:
    async with practice_exchange() as exchange:
        await exchange.populate()
        await exchange.control("POST", "faults", ban_418=300, ban_address=FIRST)
        hands = VenueHands(exchange.hands(addresses=(FIRST, SECOND)))
        try:
            report = await kill(tmp_path, DESK, [hands], "ann", "banned at one address")
        finally:
            await hands.aclose()
        assert report.phase is Phase.FLAT
        assert await exchange.flat()
