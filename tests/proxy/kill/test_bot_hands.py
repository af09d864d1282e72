"""The hands that are kept to one bot's part of an account: its orders, its position, what earlier jobs closed of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.exchange.troubles import OutcomeUnknown, VenueRefused, VenueThrottled, VenueUnavailable
from proxy.kill import job, runner
from proxy.kill.bot_exits import cancel_exits, exits_of_bots
from proxy.kill.bot_hands import BotHands
from proxy.kill.bot_way_out import BORN_PAGES_MAX, BORN_ROWS_MAX
from proxy.kill.direct import PUBLISHED_AGE_MAX, PublishedShare
from proxy.kill.earlier_closes import since_rearmed
from proxy.kill.fired import AGAIN_AFTER_S
from proxy.kill.hands import AccountHands
from proxy.kill.jobs import job_directory
from proxy.kill.journal import Job, Journal
from proxy.kill.late import kill_followed
from proxy.kill.own_closes import LATE_S, SHOWN_AFTER, OwnShare
from proxy.kill.press import Press
from proxy.kill.rearm import write_down
from proxy.kill.report import KillReport
from proxy.kill.roster import Roster
from proxy.kill.runner import Clock, Runner
from proxy.store.fence import Scope
from proxy.store.warden_store import WardenStore
from proxy.venues.binance import client_ids
from rules.account import Account, HoldStatus, Share
from rules.kill.events import CancelStep, CloseRejected, CloseSent, CloseStep, Engaged, KeysDisabled, Phase, Surveyed
from rules.kill.legs import OpenLeg, OrderKind, RestingOrder
from rules.kill.machine import DEADLINE, replay
from rules.kill.rounds import CALM_READS, CALM_SPAN
from rules.model import PositionSide
from tests.proxy.kill.practice_exchange import practice_exchange
from tests.proxy.kill.simulated_store import SimulatedStore
from tests.proxy.kill.test_blocked import a_hold
from tests.support.kills import kill
from tests.support.scripted_venue import Answer, Venue, an_account, scripted_venue

GRID, MAKER = client_ids.tag("main", "grid"), client_ids.tag("main", "maker")
TAGS = client_ids.tags("main", ("grid", "maker"))
BOT = Scope(bot="grid")
CANCEL_PLAIN = CancelStep(symbol="BTCUSDT", kind=OrderKind.PLAIN, order_ids=("1",))
FLAT: dict[str, Any] = {
    "openAlgoOrders": [],
    "openOrders": [],
    "allAlgoOrders": [],
    "positionRisk": [],
    "bookTicker": [],
    "exchangeInfo": {"symbols": []},
    "time": {"serverTime": 1_700_000_000_000},
    "depth": {"bids": [], "asks": []},
}


@dataclass
class KnownShare:
    """What is known of the bot's share of the one leg there is, and which fills are in it."""

    held: str | None
    fills: dict[str, str] = field(default_factory=dict)
    begun_at: datetime | None = None

    def quantity(self, symbol: str, position_side: PositionSide) -> Decimal | None:
        return None if self.held is None else Decimal(self.held)

    def counted(self, symbol: str, order_id: str) -> Decimal:
        return Decimal(self.fills.get(order_id, "0"))


@dataclass
class Clockwork:
    """A clock that a test moves on."""

    at_s: float = 0.0

    def now(self) -> float:
        return self.at_s


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with scripted_venue() as venue:
        yield venue


@pytest.fixture
def clock() -> Clockwork:
    return Clockwork()


@pytest.fixture
async def hands_of(venue: Venue, clock: Clockwork) -> AsyncIterator[Callable[[KnownShare], BotHands]]:
    made: list[BotHands] = []
    at = clock.now

    def make(share: KnownShare) -> BotHands:
        made.append(BotHands(an_account(venue.base_url, timeout=2), tag=GRID, share=share, tags=lambda: TAGS, clock=at))
        return made[-1]

    yield make
    for hands in made:
        await hands.aclose()


def shows(venue: Venue, *, refusing: dict[str, Answer] | None = None, **contents: Any) -> None:
    """Answers by the last part of the path, or by ``METHOD part``; there are no TWAPs."""
    known = FLAT | contents

    def answers(method: str, path: str) -> Answer:
        if path.startswith("/sapi/"):
            return 200, {}, {"total": 0, "orders": []}
        part = path.rpartition("/")[2]
        return (refusing or {}).get(f"{method} {part}") or (200, {}, known.get(part, {}))

    venue.answers = answers


def asked(venue: Venue, method: str, part: str) -> list[dict[str, str]]:
    return [params for verb, path, params in venue.requests if (verb, path.rpartition("/")[2]) == (method, part)]


def an_order(order_id: int, client_order_id: str) -> dict[str, Any]:
    return {"symbol": "BTCUSDT", "orderId": order_id, "clientOrderId": client_order_id}


def a_position(quantity: str) -> dict[str, Any]:
    return {"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": quantity, "markPrice": "90000"}


def a_fill(order_id: str, quantity: str, status: str = "FILLED") -> dict[str, Any]:
    return {"orderId": order_id, "status": status, "executedQty": quantity, "avgPrice": "90000", "updateTime": 1}


# Cancels.


@pytest.mark.parametrize(
    ("answer", "trouble"), [((400, {}, {"code": -4000, "msg": "no"}), VenueRefused), ((503, {}, ""), VenueUnavailable)]
)
async def test_all_orders_are_tried_and_the_first_trouble_is_told_as_what_it_is(
    venue: Venue, hands_of: Callable[[KnownShare], BotHands], answer: Answer, trouble: type[Exception]
) -> None:
    names = [*(f"{GRID}{number}" for number in range(7)), f"{MAKER}1"]
    shows(
        venue,
        openOrders=[an_order(number, name) for number, name in enumerate(names)],
        refusing={"DELETE order": answer},
    )
    hands = hands_of(KnownShare("0"))
    reading = await hands.survey()
    with pytest.raises(trouble):
        await hands.cancel(replace(CANCEL_PLAIN, order_ids=tuple(order.order_id for order in reading.plain_orders)))
    tried = {params["orderId"] for params in asked(venue, "DELETE", "order")}
    assert tried == {"0", "1", "2", "3", "4", "5", "6"}, "not every order of the bot's, or one of another's"


async def test_a_cancel_that_meets_a_demand_of_silence_keeps_it(
    venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    throttled: Answer = (429, {"Retry-After": "7"}, {"code": -1003, "msg": "slowly"})
    shows(venue, openOrders=[an_order(1, f"{GRID}1")], refusing={"DELETE order": throttled})
    hands = hands_of(KnownShare("0"))
    await hands.survey()
    with pytest.raises(VenueThrottled):
        await hands.cancel(CANCEL_PLAIN)
    asked_so_far = len(venue.requests)
    with pytest.raises(VenueThrottled) as again:
        await hands.cancel(CANCEL_PLAIN)
    with pytest.raises(VenueThrottled):
        await hands.survey()
    assert len(venue.requests) == asked_so_far, "a request left before the silence was over"
    assert 6 < again.value.retry_after <= 7


async def test_a_reading_of_one_bots_part_names_no_exit_of_anothers(
    venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    closes = {"reduceOnly": True}
    shows(venue, openOrders=[an_order(1, f"{GRID}1") | closes, an_order(2, f"{MAKER}2") | closes, an_order(3, GRID)])
    reading = await hands_of(KnownShare("0")).survey()
    assert {order.order_id for order in reading.exits} == {"1"}
    assert list(exits_of_bots(reading, TAGS).values()) == ["grid"]


async def test_of_a_bots_exits_those_that_went_are_told_as_gone_though_the_exchange_refuses_another(
    venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    stops = [an_order(number, f"{GRID}{number}") | {"reduceOnly": True} for number in (1, 2, 3)]
    shows(venue, openOrders=stops)
    rest = venue.answers

    def answers(method: str, path: str) -> Answer:
        refused = method == "DELETE" and venue.requests[-1][2]["orderId"] == "2"
        return (400, {}, {"code": -4108, "msg": "Symbol is on delivering."}) if refused else rest(method, path)

    venue.answers = answers
    hands = hands_of(KnownShare("0"))
    reading = await hands.survey()
    done = await cancel_exits(hands, reading, exits_of_bots(reading, TAGS), lambda: True)
    assert [order.order_id for order in done.gone] == ["1", "3"]
    assert [order.order_id for order in done.refused] == ["2"]
    assert [params["orderId"] for params in asked(venue, "DELETE", "order")] == ["1", "2", "3"]


# Orders that conditional ones became.


async def test_what_a_conditional_order_of_the_bots_became_is_the_bots_whatever_it_is_called(
    venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    shows(
        venue,
        openOrders=[an_order(7, "auto-7"), an_order(8, "auto-8"), an_order(9, f"{MAKER}9")],
        allAlgoOrders=[
            {"clientAlgoId": f"{GRID}stop", "actualOrderId": "7"},
            {"clientAlgoId": f"{MAKER}stop", "actualOrderId": "8"},
            {"clientAlgoId": f"{GRID}waiting", "actualOrderId": ""},
        ],
    )
    hands = hands_of(KnownShare("0"))
    reading = await hands.survey()
    assert [order.order_id for order in reading.plain_orders] == ["7"]
    await hands.cancel(replace(CANCEL_PLAIN, order_ids=("7",)))
    assert [params["orderId"] for params in asked(venue, "DELETE", "order")] == ["7"]
    assert [order.order_id for order in (await hands.survey()).plain_orders] == ["7"]
    assert len(asked(venue, "GET", "allAlgoOrders")) == 1, "what is known of these orders was asked again"


async def test_an_order_whose_birth_the_venue_lists_late_is_found_by_the_next_calm_reading(
    venue: Venue, hands_of: Callable[[KnownShare], BotHands], clock: Clockwork
) -> None:
    born = {"clientAlgoId": f"{GRID}stop", "actualOrderId": "7"}
    shows(venue, openOrders=[an_order(7, "auto-7")], allAlgoOrders=[born | {"actualOrderId": ""}])
    hands = hands_of(KnownShare("0"))
    for _ in range(2):
        assert (await hands.survey()).plain_orders == ()
    assert len(asked(venue, "GET", "allAlgoOrders")) == 1, "asked again by the very next round"
    clock.at_s += AGAIN_AFTER_S
    shows(venue, openOrders=[an_order(7, "auto-7")], allAlgoOrders=[born])
    assert [order.order_id for order in (await hands.survey()).plain_orders] == ["7"]
    assert CALM_SPAN.total_seconds() / (CALM_READS - 1) > AGAIN_AFTER_S


def conditionals(count: int, newest_ms: int, name: str = f"{MAKER}s") -> list[dict[str, Any]]:
    """Conditional orders that became nothing, one a millisecond, oldest first."""
    return [
        {"algoId": at, "clientAlgoId": f"{name}{at}", "actualOrderId": "", "createTime": at}
        for at in range(newest_ms - count + 1, newest_ms + 1)
    ]


def lists_back(venue: Venue, rows: list[dict[str, Any]], **contents: Any) -> None:
    """Answers as the venue lists conditional orders: the newest of what lies within the times that are asked for."""
    shows(venue, **contents)
    others = venue.answers

    def answers(method: str, path: str) -> Answer | None:
        if not path.endswith("/allAlgoOrders"):
            return others(method, path)
        until = int(asked(venue, "GET", "allAlgoOrders")[-1].get("endTime", 10**15))
        return 200, {}, [row for row in rows if row["createTime"] <= until][-BORN_ROWS_MAX:]

    venue.answers = answers


async def test_an_order_born_of_a_conditional_one_behind_a_thousand_newer_ones_is_the_bots(
    venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    rows = conditionals(2_500, 1_790_000_000_000)
    rows[100] |= {"clientAlgoId": f"{GRID}stop", "actualOrderId": "7"}
    lists_back(venue, rows, openOrders=[an_order(7, "auto-7")])
    reading = await hands_of(KnownShare("0")).survey()
    assert ([order.order_id for order in reading.plain_orders], reading.unread) == (["7"], ())
    pages = asked(venue, "GET", "allAlgoOrders")
    assert len(pages) == 3
    assert all(int(each["endTime"]) - int(each["startTime"]) < 7 * 86_400_000 for each in pages[1:])


async def test_what_lies_further_back_than_is_read_is_not_called_flat_and_what_was_found_goes(
    venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    rows = conditionals(BORN_PAGES_MAX * BORN_ROWS_MAX + 1, 1_790_000_000_000)
    rows[-1] |= {"clientAlgoId": f"{GRID}stop", "actualOrderId": "7"}
    lists_back(venue, rows, openOrders=[an_order(7, "auto-7"), an_order(8, "by hand")])
    hands = hands_of(KnownShare("0"))
    for _ in range(2):
        reading = await hands.survey()
        assert [order.order_id for order in reading.plain_orders] == ["7"]
        (unread,) = reading.unread
        assert unread.startswith("triggered orders of BTCUSDT: ")
    # Whoever answers with others than the ones before has left some out.
    shows(venue, openOrders=[an_order(8, "by hand")], allAlgoOrders=rows[:BORN_ROWS_MAX])
    assert (await hands.survey()).unread == (unread,)


async def test_orders_that_bear_another_bots_tag_are_not_asked_about_and_the_rest_side_by_side(
    venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    quoted = [an_order(number, f"{MAKER}{number}") | {"symbol": f"C{number}USDT"} for number in range(100)]
    strange = [an_order(number, f"web_{number}") | {"symbol": f"S{number}USDT"} for number in range(20)]
    shows(venue, openOrders=[*quoted, *strange])
    await hands_of(KnownShare("0")).survey()
    symbols = {params["symbol"] for params in asked(venue, "GET", "allAlgoOrders")}
    assert symbols == {f"S{number}USDT" for number in range(20)}


async def test_flat_is_not_said_while_nobody_knows_what_an_order_was_born_of(
    venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    hands = hands_of(KnownShare("0"))
    answers: list[Answer] = [(503, {}, ""), (200, {}, {}), (401, {}, {"code": -2015, "msg": "no such right"})]
    for answer in answers:
        shows(venue, openOrders=[an_order(7, "auto-7")], refusing={"GET allAlgoOrders": answer})
        reading = await hands.survey()
        assert len(reading.unread) == 1 and reading.unread[0].startswith("triggered orders of BTCUSDT: ")
    unlisted: Answer = (404, {}, {"code": -5000, "msg": "no such path"})
    shows(venue, openOrders=[an_order(7, "auto-7")], refusing={"GET allAlgoOrders": unlisted})
    reading = await hands.survey()
    assert reading.unread == () and reading.unlisted[0].startswith("triggered orders of BTCUSDT: ")


# What earlier jobs closed.


class Past:
    """The journal of an earlier job of the bot's kill, written event by event; it is of a leg of ``held``."""

    def __init__(self, data_dir: Path, held: str, *, at: datetime | None = None, stamp: str = "1") -> None:
        self.at = at or datetime.now(UTC) - timedelta(minutes=1)
        job = Job(
            job_id=f"{stamp}-0000000{stamp}",
            account="main",
            scope=str(BOT),
            by="ann",
            reason="test",
            started_at=self.at,
            blocked_ms=1.0,
        )
        self.journal = Journal.create(job_directory(data_dir, "main", "grid") / f"{job.job_id}.jsonl", job)
        self.journal.record(Engaged(at=self.at, by="ann", reason="test", deadline=self.at + DEADLINE))
        self.journal.record(KeysDisabled(at=self.at, latched=True))
        self.read(held)

    def read(self, held: str, *orders: RestingOrder) -> None:
        legs = (OpenLeg(symbol="BTCUSDT", position_side=PositionSide.BOTH, quantity=Decimal(held)),)
        self.journal.record(Surveyed(at=self.at, plain_orders=orders, conditional_orders=(), positions=legs))

    @property
    def step(self) -> CloseStep:
        state = replay(self.journal.events)
        assert state is not None
        return state.closes[0]

    def sent(self, order_id: str, filled: str) -> None:
        step, name = self.step, self.journal.job.client_order_id(self.step.sequence)
        self.journal.record(
            CloseSent(at=self.at, step=step, client_order_id=name, order_id=order_id, filled_quantity=Decimal(filled))
        )

    def rejected(self) -> None:
        self.journal.record(CloseRejected(at=self.at, step=self.step, error="no"))


async def left(hands: BotHands, journal: Journal) -> list[Decimal]:
    """What a job that goes on with this journal finds of the bot's."""
    hands.recall(since_rearmed(journal), datetime.now(UTC))
    return [leg.quantity for leg in (await hands.survey()).positions]


async def test_what_a_process_that_died_had_closed_is_not_closed_again(
    tmp_path: Path, venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    """The share still shows 0.3 of a position of 0.7 that is all another bot's."""
    shows(venue, positionRisk=[a_position("0.7")])
    past = Past(tmp_path, "0.3")
    past.sent("41", "0.3")
    share = KnownShare("0.3")
    hands = hands_of(share)
    assert await left(hands, past.journal) == []
    assert asked(venue, "GET", "order") == [], "what is known to be filled was asked for"
    share.held, share.fills = "0.1", {"41": "0.3"}  # The fill is booked now, and a late one has come besides.
    assert [leg.quantity for leg in (await hands.survey()).positions] == [Decimal("0.1")]


@pytest.mark.parametrize(("filled", "expected"), [("0.3", []), ("0.2", ["0.1"]), ("0", ["0.3"])])
async def test_a_close_whose_answer_was_never_written_is_asked_for(
    tmp_path: Path, venue: Venue, hands_of: Callable[[KnownShare], BotHands], filled: str, expected: list[str]
) -> None:
    past = Past(tmp_path, "0.3")
    name = past.journal.job.client_order_id(past.step.sequence)
    shows(venue, positionRisk=[a_position("1.0")], order=a_fill("41", filled, "EXPIRED"))
    assert await left(hands_of(KnownShare("0.3")), past.journal) == [Decimal(each) for each in expected]
    assert [params["origClientOrderId"] for params in asked(venue, "GET", "order")] == [f"{GRID}{name}"]


async def test_while_a_close_may_still_turn_up_nobody_knows_whose_the_position_is(
    tmp_path: Path, venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    unknown: Answer = (400, {}, {"code": -2013, "msg": "Order does not exist."})
    shows(venue, positionRisk=[a_position("1.0")], refusing={"GET order": unknown})
    young = Past(tmp_path, "0.3", at=datetime.now(UTC))
    hands = hands_of(KnownShare("0.3"))
    assert await left(hands, young.journal) == []
    assert (await hands.survey()).unread == ("positions: whose is whose is not known yet",)
    old = Past(tmp_path / "old", "0.3", at=datetime.now(UTC) - timedelta(seconds=LATE_S + 1))
    assert await left(hands_of(KnownShare("0.3")), old.journal) == [Decimal("0.3")]


@pytest.mark.parametrize(
    "answer", [(400, {}, {"code": -1121, "msg": "Invalid symbol."}), (503, {}, "")], ids=["delisted", "unavailable"]
)
async def test_a_close_that_cannot_be_looked_up_keeps_no_order_of_the_bots_from_its_cancel(
    tmp_path: Path, venue: Venue, hands_of: Callable[[KnownShare], BotHands], answer: Answer
) -> None:
    past = Past(tmp_path, "0.3")
    past.sent("41", "0.2")
    orders = [an_order(7, f"{GRID}7")]
    shows(venue, openOrders=orders, refusing={"GET order": answer})
    hands = hands_of(KnownShare("0.3"))
    hands.recall(since_rearmed(past.journal), datetime.now(UTC))
    reading = await hands.survey()
    assert ([order.order_id for order in reading.plain_orders], reading.unread) == (["7"], ())
    shows(venue, positionRisk=[a_position("1.0")], openOrders=orders, refusing={"GET order": answer})
    reading = await hands.survey()
    assert len(reading.plain_orders) == 1
    assert (reading.positions, reading.unread) == ((), ("positions: whose is whose is not known yet",))


async def test_what_comes_onto_a_share_that_was_taken_up_after_a_close_is_no_part_of_that_close(
    tmp_path: Path, venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    """Closed whole five hours ago; since then the warden has been started anew, and 0.4 has come late."""
    shows(venue, positionRisk=[a_position("1.1")])
    began = datetime.now(UTC) - timedelta(hours=1)
    old = Past(tmp_path / "old", "0.5", at=began - timedelta(hours=5))
    old.sent("41", "0.5")
    assert await left(hands_of(KnownShare("0.4", begun_at=began)), old.journal) == [Decimal("0.4")]
    assert await left(hands_of(KnownShare("0.4")), old.journal) == [], "nobody says when the share began"
    young = Past(tmp_path / "young", "0.5", at=began - SHOWN_AFTER / 2)
    young.sent("41", "0.5")
    assert await left(hands_of(KnownShare("0.4", begun_at=began)), young.journal) == [], "it may not be shown yet"


async def test_what_the_share_shows_already_is_not_taken_off_twice_though_a_new_warden_has_forgotten_the_fill(
    tmp_path: Path, venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    shows(venue, positionRisk=[a_position("1.0")])
    past = Past(tmp_path, "0.3")
    past.rejected()
    past.read("0.3")
    past.sent("41", "0.2")
    shows(venue, positionRisk=[a_position("1.0")], order=a_fill("41", "0.2", "EXPIRED"))
    assert await left(hands_of(KnownShare("0.1")), past.journal) == [Decimal("0.1")], "a part was left and called flat"
    assert await left(hands_of(KnownShare("0.3")), past.journal) == [Decimal("0.1")], "a fill was closed again"
    assert await left(hands_of(KnownShare("0.5")), past.journal) == [Decimal("0.3")], "what came late was left"
    # More was read after the close than it can have left: something came late, and an order came first.
    past.read("0.2", RestingOrder(symbol="BTCUSDT", order_id="1"))
    assert await left(hands_of(KnownShare("0.2")), past.journal) == [Decimal("0.2")]


async def test_earlier_jobs_count_until_the_bot_is_armed_again(
    tmp_path: Path, venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    shows(venue, positionRisk=[a_position("1.0")], order=a_fill("41", "0.3"))
    past = Past(tmp_path, "0.3")
    past.sent("41", "0.3")
    past.journal.record(Surveyed(at=past.at, plain_orders=(), conditional_orders=(), positions=()))
    pursuing = Past(tmp_path, "0.3", at=past.at + timedelta(seconds=10), stamp="2")
    pursuing.rejected()
    assert [each.job.job_id for each in since_rearmed(pursuing.journal)] == ["1-00000001", "2-00000002"]
    write_down(tmp_path, str(BOT), "bob", "checked at the venue")
    after = Past(tmp_path, "0.5", at=datetime.now(UTC), stamp="3")
    after.rejected()
    assert [each.job.job_id for each in since_rearmed(after.journal)] == ["3-00000003"]
    assert await left(hands_of(KnownShare("0.5")), after.journal) == [Decimal("0.5")]


async def test_a_job_recalls_before_it_reads(
    tmp_path: Path, venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    shows(venue, positionRisk=[a_position("0.7")])
    past = Past(tmp_path, "0.3")
    past.sent("41", "0.3")
    hands = hands_of(KnownShare("0.3"))

    async def disable_keys() -> bool:
        return True

    Runner(past.journal, hands, disable_keys, Clock())
    assert (await hands.survey()).positions == ()


async def test_a_twap_that_a_process_that_died_was_shown_is_unread_and_not_unlisted(
    tmp_path: Path, venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    past = Past(tmp_path, "0.3")
    twap = RestingOrder(symbol="BTCUSDT", order_id="9")
    past.journal.record(Surveyed(at=past.at, plain_orders=(), conditional_orders=(), algo_orders=(twap,), positions=()))
    hands = hands_of(KnownShare("0"))

    async def disable_keys() -> bool:
        return True

    Runner(past.journal, hands, disable_keys, Clock())
    shows(venue)
    whole = venue.answers
    venue.answers = lambda method, path: (404, {}, "") if path.startswith("/sapi/") else whole(method, path)
    reading = await hands.survey()
    assert (reading.unread, reading.unlisted) == (("algo orders: refused (-404): status 404",), ())


async def test_a_roster_keeps_the_hands_that_remember(venue: Venue, hands_of: Callable[[KnownShare], BotHands]) -> None:
    share = KnownShare("0.3")
    roster = Roster(
        hands={"main": hands_of(share)},
        venues={"main": "binanceusdm"},
        traders=lambda: [("grid", "main")],
        bot_hands=lambda bot, account: hands_of(share),
    )
    assert roster.hand(BOT, "main") is roster.hand(BOT, "main")
    assert roster.hand(Scope(bot="maker"), "main") is not roster.hand(BOT, "main")


# Without a warden.


def published(**changed: Any) -> Account:
    parts = (("grid", "0.3"), ("maker", "0.7"))
    content: dict[str, Any] = {
        "name": "main",
        "version": 1,
        "as_of": datetime.now(UTC),
        "margin_balance": Decimal(1_000),
        "available_balance": Decimal(1_000),
        "hedged": False,
        "shares": tuple(
            Share(
                bot=bot,
                symbol="BTCUSDT",
                position_side=PositionSide.BOTH,
                quantity=Decimal(quantity),
                entry_price=Decimal(90_000),
            )
            for bot, quantity in parts
        ),
    }
    return Account(**content | changed)


def test_published_shares_tell_up_to_when_fills_are_in_them() -> None:
    account = published(shares_ms=1_700_000_000_500)
    assert PublishedShare("grid", published()).begun_at is None, "nobody says"
    assert PublishedShare("grid", None).begun_at is None
    assert PublishedShare("grid", replace(account, as_of=datetime.now(UTC))).begun_at == datetime.fromtimestamp(
        1_700_000_000.5, UTC
    )


async def test_a_close_that_published_shares_do_not_show_yet_is_not_sent_again(
    tmp_path: Path, venue: Venue, hands_of: Callable[[OwnShare], BotHands]
) -> None:
    """The account was read a moment ago; up to when fills were counted then is another matter."""
    now = datetime.now(UTC)
    shows(venue, positionRisk=[a_position("0.7")])
    past = Past(tmp_path, "0.3", at=now - timedelta(minutes=2))
    past.sent("41", "0.3")

    async def found(**changed: Any) -> list[Decimal]:
        return await left(hands_of(PublishedShare("grid", published(**changed))), past.journal)

    assert await found(shares_ms=int((now - timedelta(minutes=10)).timestamp() * 1000)) == []
    assert await found(shares_ms=None) == []
    assert await found(shares_ms=int(now.timestamp() * 1000)) == [Decimal("0.3")], "these have it, and more came"


def test_shares_that_are_old_or_of_a_feed_with_a_gap_are_not_believed() -> None:
    def known(account: Account | None) -> Decimal | None:
        return PublishedShare("grid", account).quantity("BTCUSDT", PositionSide.BOTH)

    assert known(published()) == Decimal("0.3")
    assert known(published(as_of=datetime.now(UTC) - PUBLISHED_AGE_MAX - timedelta(seconds=1))) is None
    assert known(published(feed_stale=True)) is None
    assert known(None) is None


async def test_what_arrives_of_a_bot_that_published_shares_do_not_show_is_not_called_flat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "DEADLINE", timedelta(seconds=9))
    store = SimulatedStore(random.Random(1))
    store.under_way["main"] = (a_hold("h1", HoldStatus.UNKNOWN),)
    async with practice_exchange() as exchange:
        trader = exchange.hands()

        async def buy(name: str, quantity: str) -> None:
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": quantity}
            await trader.calls.client.fapiPrivatePostOrder({**order, "newClientOrderId": name})

        async def arrives() -> None:
            await asyncio.sleep(2)
            await buy(f"{GRID}b", "0.2")
            store.under_way.clear()

        async def once(press: Press, hands: Sequence[AccountHands], latch: job.Latch) -> KillReport:
            return await job.kill(tmp_path, press, hands, latch=latch)

        async def latch(scope: Scope, generation: int | None) -> None:
            await store.controls()

        for name, quantity in ((f"{GRID}a", "0.3"), (f"{MAKER}a", "0.7")):
            await buy(name, quantity)
        hands = BotHands(exchange.hands(), tag=GRID, share=PublishedShare("grid", published()), tags=lambda: TAGS)
        arriving, said = asyncio.create_task(arrives()), list[str]()
        press = Press(scope=BOT, by="ann", reason="stop", whole=True)
        report = await kill_followed(
            once, press, [hands], latch=latch, store=cast("WardenStore", store), say=said.append
        )
        await arriving
        (position,) = await trader.calls.client.fapiPrivateV3GetPositionRisk()
        assert position["positionAmt"] == "0.900", "what it was known to have stayed open"
        assert report.phase is Phase.DEGRADED
        assert report.accounts[0].left == ("unknown: positions: whose is whose is not known yet",)
        assert said == [
            "main is made flat once more: what was in flight is over; what of it is the bot's nobody knows now"
        ]
        await hands.aclose()
        await trader.aclose()


async def test_pressing_again_on_what_nobody_publishes_any_more_closes_nothing_of_another_bots(tmp_path: Path) -> None:
    account = published()
    async with practice_exchange() as exchange:
        trader = exchange.hands()
        for tag, quantity in ((GRID, "0.3"), (MAKER, "0.7")):
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": quantity}
            await trader.calls.client.fapiPrivatePostOrder({**order, "newClientOrderId": f"{tag}a"})
        for closed in (["0.3"], []):
            hands = BotHands(exchange.hands(), tag=GRID, share=PublishedShare("grid", account))
            report = await kill(tmp_path, BOT, [hands], "ann", "test")
            await hands.aclose()
            assert report.phase is Phase.FLAT
            assert [str(each.quantity) for each in report.accounts[0].closed] == closed
        (position,) = await trader.calls.client.fapiPrivateV3GetPositionRisk()
        assert position["positionAmt"] == "0.700"
        await trader.aclose()


async def test_without_shares_the_orders_go_and_the_report_says_so_and_that_nothing_is_known_of_positions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "DEADLINE", timedelta(seconds=7))
    async with practice_exchange() as exchange:
        trader = exchange.hands()
        client = trader.calls.client
        order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.1", "newClientOrderId": f"{GRID}a"}
        await client.fapiPrivatePostOrder(order | {"type": "MARKET"})
        resting = {"type": "LIMIT", "timeInForce": "GTC", "price": "80000", "newClientOrderId": f"{GRID}b"}
        await client.fapiPrivatePostOrder(order | resting)
        hands = BotHands(exchange.hands(), tag=GRID, share=PublishedShare("grid", None))
        (report,) = (await kill(tmp_path, BOT, [hands], "ann", "test")).accounts
        assert await client.fapiPrivateGetOpenOrders() == []
        assert (report.phase, report.cancelled, report.closed) == (Phase.DEGRADED, 1, ())
        assert report.left == ("unknown: positions: whose is whose is not known yet",)
        await hands.aclose()
        await trader.aclose()


async def test_dust_of_a_part_is_left_where_rounding_up_would_take_from_another_bot(
    venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    shows(venue, positionRisk=[a_position("0.704")])
    for share, whole in (("0.004", False), ("0.704", True), ("0.9", True)):
        (leg,) = (await hands_of(KnownShare(share)).survey()).positions
        assert leg.whole is whole


async def test_a_close_that_was_given_up_waiting_for_may_have_filled(
    tmp_path: Path, venue: Venue, hands_of: Callable[[KnownShare], BotHands]
) -> None:
    """The venue took it and what stands before the venue said 408: the rest of the position is another bot's."""
    shows(venue, positionRisk=[a_position("1.0")], refusing={"POST order": (408, {}, "")}, order=a_fill("41", "0.3"))
    past = Past(tmp_path, "0.3")
    hands = hands_of(KnownShare("0.3"))
    with pytest.raises(OutcomeUnknown):
        await hands.close(past.step, "pgk-1")
    assert (await hands.survey()).positions == ()


async def test_a_kill_of_a_bot_goes_on_where_one_cancel_fails(tmp_path: Path) -> None:
    async with practice_exchange() as exchange:
        hands = BotHands(exchange.hands(), tag=GRID, share=KnownShare("0"))
        client = hands._venue.calls.client
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "80000"}
        for number in range(2):
            await client.fapiPrivatePostOrder({**order, "quantity": "0.01", "newClientOrderId": f"{GRID}{number}"})
        real, throttled = client.fapiPrivateDeleteOrder, [VenueThrottled(429, 1.0)]

        async def cancel(params: dict[str, str]) -> Any:
            if throttled:
                raise throttled.pop()
            return await real(params)

        client.fapiPrivateDeleteOrder = cancel
        report = await kill(tmp_path, BOT, [hands], "ann", "test")
        await hands.aclose()
        assert (report.phase, report.accounts[0].trouble, report.accounts[0].cancelled) == (Phase.FLAT, "", 2)
