"""F05: the exchange bans the address that a kill goes out by. With a second one it ends flat, and hammers at no ban."""

from __future__ import annotations

from pathlib import Path

from proxy.decoding import build
from proxy.kill.hands import VenueHands
from proxy.kill.journal import Job
from proxy.kill.report import AccountReport
from proxy.store.fence import DESK
from rules.kill.events import Cause, Phase
from tests.proxy.kill.practice_exchange import practice_exchange
from tests.support.kills import kill

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


async def test_f05_a_ban_of_one_address_keeps_no_later_press_from_another(tmp_path: Path) -> None:
    async with practice_exchange() as exchange:
        await exchange.populate()
        await exchange.control("POST", "faults", ban_418=300, ban_address=FIRST)

        async def press(*addresses: str) -> AccountReport:
            hands = VenueHands(exchange.hands(addresses=addresses))
            try:
                return (await kill(tmp_path, DESK, [hands], "ann", "banned at one address")).accounts[0]
            finally:
                await hands.aclose()

        banned = await press(FIRST)
        assert banned.cause is Cause.BANNED
        again = await press(FIRST)
        assert (again.cause, again.retry_at) == (Cause.BANNED, banned.retry_at), "that address keeps its silence"
        assert (await press(SECOND, FIRST)).phase is Phase.FLAT
        assert await exchange.flat()


def test_f05_a_journal_that_names_no_address_is_of_the_usual_one(tmp_path: Path) -> None:
    head = {"job_id": "20260101T000000000000-00000000", "account": "main", "scope": "desk", "by": "ann", "reason": "r"}
    old = build(head | {"started_at": "2026-01-01T00:00:00Z", "blocked_ms": 1.0}, Job)
    assert old.sources == ("",)
