"""A key that became dangerous makes its account reduce-only, once, and says so; one nobody can judge is unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from redis.exceptions import ConnectionError as StoreGone

from proxy.accounts.key_watch import SOUND, UNKNOWN, KeyWatch
from proxy.exchange.troubles import VenueRefused, VenueTrouble, VenueUnavailable
from proxy.vault.permissions import KeyPermissions, Risk

SAFE = KeyPermissions(reading=True, futures=True, withdrawals=False, transfers=False, ip_restricted=True)
RICH = replace(SAFE, withdrawals=True)


class Desk:
    """Answers what the venue would, and writes down what was done."""

    def __init__(self, *, alerts_only: bool = False) -> None:
        self.alerts_only = alerts_only
        self.answer: KeyPermissions | VenueTrouble = SAFE
        self.accepted: tuple[Risk, ...] = ()
        self.reduced: list[str] = []
        self.records: list[dict[str, Any]] = []
        self.store_gone = False
        self.watch = KeyWatch(
            account="main",
            ask=self._ask,
            accepted=lambda: self.accepted,
            reduce=self._reduce,
            only_alerts=lambda: self.alerts_only,
            record=self._record,
        )

    async def _ask(self) -> KeyPermissions:
        if isinstance(self.answer, VenueTrouble):
            raise self.answer
        return self.answer

    async def _reduce(self, account: str, by: str, reason: str) -> bool:
        if self.store_gone:
            raise StoreGone
        self.reduced.append(reason)
        return True

    async def _record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.records.append({"what": what, **detail})


async def test_a_sound_key_is_shown_and_nothing_is_done() -> None:
    desk = Desk()
    assert await desk.watch.check()
    assert (desk.watch.verdict, desk.records, desk.reduced) == (SOUND, [], [])


async def test_a_key_that_became_dangerous_reduces_once_and_again_when_it_gets_worse() -> None:
    desk = Desk()
    desk.answer = RICH
    await desk.watch.check()
    await desk.watch.check()
    assert desk.watch.verdict == "withdrawals"
    assert desk.reduced == ["the exchange key: withdrawals"]
    assert [each["what"] for each in desk.records] == ["key.permissions"]
    desk.answer = replace(RICH, ip_restricted=False)
    await desk.watch.check()
    assert desk.reduced[1:] == ["the exchange key: withdrawals, no-ip-restriction"]


async def test_an_accepted_risk_is_sound() -> None:
    desk = Desk()
    desk.answer, desk.accepted = RICH, (Risk.WITHDRAWALS,)
    await desk.watch.check()
    assert (desk.watch.verdict, desk.reduced) == (SOUND, [])


async def test_a_desk_that_only_alerts_records_and_goes_on() -> None:
    desk = Desk(alerts_only=True)
    desk.answer = RICH
    await desk.watch.check()
    assert (desk.records[0]["action"], desk.reduced) == ("alert", [])


async def test_a_key_that_can_do_too_little_is_said_and_not_acted_on() -> None:
    desk = Desk()
    desk.answer = replace(SAFE, futures=False)
    await desk.watch.check()
    assert (desk.watch.verdict, desk.reduced, len(desk.records)) == ("no futures trading", [], 1)


@pytest.mark.parametrize("refusal", [VenueRefused(-404, "status 404"), VenueRefused(-5000, "Path is invalid")])
async def test_a_venue_without_the_question_is_unknown_and_not_fatal(
    refusal: VenueRefused, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    desk.answer = refusal
    assert await desk.watch.check()
    assert (desk.watch.verdict, desk.reduced) == (UNKNOWN, []) and "unknown" in caplog.text


async def test_a_venue_that_is_away_keeps_the_last_verdict_and_is_asked_again_soon() -> None:
    desk = Desk()
    await desk.watch.check()
    desk.answer = VenueUnavailable("status 503")
    assert not await desk.watch.check()
    assert desk.watch.verdict == SOUND


async def test_a_store_that_is_away_leaves_it_to_be_done() -> None:
    desk = Desk()
    desk.answer, desk.store_gone = RICH, True
    with pytest.raises(StoreGone):
        await desk.watch.check()
    desk.store_gone = False
    await desk.watch.check()
    assert desk.reduced == ["the exchange key: withdrawals"]
