"""What a book's keeper says of it: what the venue was read for, and what a stream vouches for."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.accounts import bookkeeper
from proxy.accounts.book import Book
from proxy.accounts.bookkeeper import Bookkeeper
from proxy.store.conversion import Conversion
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.warden_store import Published, WardenStore
from rules.account import Account, OpenOrder
from rules.model import Side
from rules.outside import OutsideAction
from tests.proxy.accounts.builders import (
    a_fill,
    a_position_change,
    a_resting_order,
    an_account_event,
    an_order_event,
)
from tests.proxy.accounts.stream_builders import a_survey
from tests.proxy.accounts.test_outside_watch import Desk, looking
from tests.proxy.store.builders import a_held_order, a_request
from tests.rules.builders import NOW


class Store:
    """A store that takes every document."""

    async def publish_account(self, *_: Any, **__: Any) -> Published:
        return Published(accepted=True)

    async def publish_events(self, *_: Any, **__: Any) -> Published:
        return Published(accepted=True)


async def test_a_document_says_since_when_its_shares_are_counted(tmp_path: Path) -> None:
    desk = Desk(tmp_path, OutsideAction.ALERT)
    desk.shares.began = NOW
    books = Bookkeeper(book=Book("demo"), desk="demo", store=cast(WardenStore, Store()), shares=desk.watch)
    await books.survey(a_survey(), began_us=1, since=time.monotonic())
    assert books.account is not None and books.account.shares_since == NOW


async def test_a_stream_vouches_for_an_account_and_reads_nothing() -> None:
    """While surveys fail it is known as late as the stream lived, and read no later than before."""
    books = Bookkeeper(book=Book("demo"), desk="demo", store=cast(WardenStore, Store()))
    survey = a_survey()
    read_at, later = survey.account.as_of, survey.account.as_of + timedelta(minutes=20)
    await books.survey(survey, began_us=1, since=time.monotonic())
    await books.publish(alive_at=later)
    assert books.account is not None
    assert (books.account.as_of, books.surveyed_at) == (later, read_at)
    await books.survey(replace(survey, symbols=frozenset({"BTCUSDT"})), began_us=2, since=time.monotonic())
    assert books.surveyed_at == read_at, "one symbol is not the account"
    again = replace(survey, account=replace(survey.account, as_of=NOW + timedelta(hours=1)))
    await books.survey(again, began_us=3, since=time.monotonic())
    assert books.surveyed_at == again.account.as_of


async def test_what_happened_to_holds_while_nothing_can_be_published_is_bounded_and_a_survey_is_wanted_beyond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bookkeeper, "UNSAID_MAX", 10)
    told: list[Conversion] = []

    class Listening(Store):
        async def publish_account(self, *_: Any, **terms: Any) -> Published:
            told.append(terms["conversion"])
            return Published(accepted=True, matched=(False,) * len(terms["conversion"].taken))

    books = Bookkeeper(book=Book("demo"), desk="demo", store=cast(WardenStore, Listening()))
    doubts = [
        doubt
        for number in range(50)
        for doubt in books.hear([an_order_event(f"n{number}", Side.BUY, "1", order_id=str(number))], 1.0)
    ]
    assert doubts == ["more happened than is kept until the store takes it"], "said once"
    await books.survey(a_survey(), began_us=1, since=time.monotonic())
    assert 10 <= told[0].size < 15
    assert [each.client_order_id for each in told[0].taken][:3] == ["n0", "n1", "n2"]
    (doubt,) = books.hear(
        [an_order_event(f"m{number}", Side.BUY, "1", order_id=f"1{number}") for number in range(99)], 2.0
    )
    assert doubt == doubts[0], "it is full anew"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started


@pytest.mark.parametrize("event_first", [False, True], ids=["before its event", "after its event, not published yet"])
async def test_an_order_that_a_survey_shows_is_no_strangers_where_a_hold_waits_for_it_whatever_is_heard_late(
    server: EmbeddedStore, request: pytest.FixtureRequest, tmp_path: Path, event_first: bool
) -> None:
    gate, warden = GateStore(server.url, request.node.name, timeout_s=2.0), WardenStore(server.url, request.node.name)
    await warden.begin_epoch()
    watch = Desk(tmp_path, OutsideAction.REDUCE).watch
    books = Bookkeeper(book=Book("demo"), desk="desk", store=warden, shares=watch, outside=watch)
    await books.survey(a_survey(), began_us=1, since=time.monotonic())
    await gate.hold(a_request("h1"))
    ours, strangers = (a_resting_order(name, Side.BUY, "1") for name in (a_held_order().client_order_id, "stranger"))
    if event_first:
        books.hear([an_order_event(ours.client_order_id, Side.BUY, "1", order_id=ours.order_id)], time.monotonic())
    await books.survey(a_survey(ours, strangers), began_us=2, since=time.monotonic() + 1)
    suspected = [each.finding.client_order_id for each in watch._detector.suspicions]
    assert suspected == ["stranger"], "nothing of what gates wrote ahead was heard"
    await gate.aclose()
    await warden.aclose()


@pytest.fixture
async def stores(server: EmbeddedStore, request: pytest.FixtureRequest) -> AsyncIterator[tuple[GateStore, WardenStore]]:
    """Of a desk of the test's own."""
    gate, warden = GateStore(server.url, request.node.name, timeout_s=2.0), WardenStore(server.url, request.node.name)
    await warden.begin_epoch()
    yield gate, warden
    await gate.aclose()
    await warden.aclose()


async def surveyed(desk: Desk, warden: WardenStore, *orders: OpenOrder, last: Account | None = None) -> Bookkeeper:
    """The books of a warden that has read this, and took up what was published ``last``."""
    books = Bookkeeper(book=Book("demo"), desk="desk", store=warden, shares=desk.watch, outside=desk.watch)
    if last is not None:
        books.restore(last)
    await books.survey(a_survey(*orders), began_us=1, since=time.monotonic())
    return books


def an_intent(request_id: str, client_order_id: str) -> dict[str, Any]:
    return {
        "kind": "intent",
        "id": request_id,
        "commands": [{"type": "PlaceOrder", "symbol": "BTCUSDT", "client_order_id": client_order_id}],
    }


@pytest.mark.parametrize("shown_by", ["its event", "a survey"])
async def test_the_name_of_an_order_that_its_hold_proved_hides_no_strangers_order_once_it_is_heard_of(
    stores: tuple[GateStore, WardenStore], tmp_path: Path, shown_by: str
) -> None:
    gate, warden = stores
    desk = Desk(tmp_path, OutsideAction.REDUCE)
    books = await surveyed(desk, warden)
    await gate.hold(a_request("h1"))
    name = a_held_order().client_order_id
    if shown_by == "a survey":
        resting = a_resting_order(name, Side.BUY, "1", order_id="1")
        await books.survey(a_survey(resting), began_us=2, since=time.monotonic() + 1)
    else:
        books.hear([an_order_event(name, Side.BUY, "1", order_id="1")], time.monotonic())
        await books.publish()
    desk.watch.hear(an_intent("h1", name))
    assert desk.watch.unexplained() == ()
    books.hear([an_order_event(name, Side.BUY, "9", order_id="2")], time.monotonic())
    await books.publish()
    assert [each.order_id for each in desk.watch.unexplained()] == ["2"]


@pytest.mark.parametrize("still_there", [True, False])
async def test_an_order_that_is_a_suspicion_when_a_warden_ends_is_found_by_the_next(
    stores: tuple[GateStore, WardenStore], tmp_path: Path, still_there: bool
) -> None:
    _, warden = stores
    desk, ours = Desk(tmp_path, OutsideAction.REDUCE), a_resting_order("a", Side.BUY, "1")
    books = await surveyed(desk, warden, ours)
    asked = asyncio.Event()
    desk.watch.changed = asked.set
    books.hear([an_order_event("x", Side.BUY, "1", order_id="2")], time.monotonic())
    await books.publish()
    async with looking(desk):
        await asyncio.wait_for(asked.wait(), 20)
        await books.publish()
    last = await warden.last_account("demo")
    assert last is not None and desk.records == []
    after, strangers = Desk(tmp_path, OutsideAction.REDUCE), a_resting_order("x", Side.BUY, "1", order_id="2")
    await surveyed(after, warden, ours, *([strangers] if still_there else []), last=last)
    async with looking(after):
        await after.until("reduce main")
    assert [each.finding.client_order_id for each in after.watch.found] == ["x"]


async def test_one_that_the_next_warden_hears_the_record_of_is_the_guards(
    stores: tuple[GateStore, WardenStore], tmp_path: Path
) -> None:
    _, warden = stores
    desk, ours = Desk(tmp_path, OutsideAction.REDUCE), a_resting_order("a", Side.BUY, "1")
    books = await surveyed(desk, warden)
    await books.survey(a_survey(ours), began_us=2, since=time.monotonic())
    last = await warden.last_account("demo")
    assert last is not None and [each.client_order_id for each in last.unexplained] == ["a"]
    after = Desk(tmp_path, OutsideAction.REDUCE)
    await surveyed(after, warden, ours, last=last)
    after.watch.hear(an_intent("r1", "a"))
    assert after.watch.unexplained() == ()


@pytest.mark.parametrize("ending", ["filled", "cancelled"])
async def test_an_order_of_before_the_guard_that_ends_before_the_first_survey_is_no_strangers(
    stores: tuple[GateStore, WardenStore], tmp_path: Path, ending: str
) -> None:
    """The stream is open first. Of its owner, at a guard that knows nothing of the account yet."""
    _, warden = stores
    desk = Desk(tmp_path, OutsideAction.REDUCE)
    books = Bookkeeper(book=Book("demo"), desk="desk", store=warden, shares=desk.watch, outside=desk.watch)
    filled = [an_account_event("ORDER", a_position_change("1")), a_fill("old", Side.BUY, "1")]
    cancelled = [an_order_event("old", Side.BUY, "1", execution="CANCELED", status="CANCELED")]
    books.hear(filled if ending == "filled" else cancelled, time.monotonic())
    assert not await books.publish()
    await books.survey(
        a_survey(quantity=1 if ending == "filled" else 0, at_ms=1), began_us=1, since=time.monotonic() - 0.25
    )
    assert desk.watch._detector.suspicions == ()
    books.hear([an_order_event("x", Side.BUY, "1")], time.monotonic())
    await books.publish()
    assert [each.client_order_id for each in desk.watch.unexplained()] == ["x"]


async def test_at_a_restart_such_an_order_of_a_stranger_is_found(
    stores: tuple[GateStore, WardenStore], tmp_path: Path
) -> None:
    _, warden = stores
    await surveyed(Desk(tmp_path, OutsideAction.REDUCE), warden)
    last = await warden.last_account("demo")
    assert last is not None
    desk = Desk(tmp_path, OutsideAction.REDUCE)
    books = Bookkeeper(book=Book("demo"), desk="desk", store=warden, shares=desk.watch, outside=desk.watch)
    books.restore(last)
    books.hear([a_fill("x", Side.BUY, "1")], time.monotonic())
    await books.survey(a_survey(quantity=1), began_us=1, since=time.monotonic() - 0.25)
    assert [each.finding.activity.value for each in desk.watch._detector.suspicions] == ["order", "fill"]


async def test_more_events_than_are_kept_for_it_are_a_finding_of_whoever_watches_the_outside(
    stores: tuple[GateStore, WardenStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they filled is counted, and no survey shows it as a stranger's."""
    monkeypatch.setattr(bookkeeper, "UNSAID_MAX", 3)
    _, warden = stores
    desk = Desk(tmp_path, OutsideAction.REDUCE)
    books = await surveyed(desk, warden)
    for number in range(3):
        desk.watch.hear(an_intent(f"r{number}", f"a{number}"))
        books.hear([a_fill(f"a{number}", Side.SELL, "1")], time.monotonic())
    assert desk.watch._detector.suspicions == ()
    books.hear([a_fill("thief", Side.BUY, "3")], time.monotonic())
    await books.publish()
    async with looking(desk):
        await desk.until("reduce main")
    assert [each.finding.activity.value for each in desk.watch.found] == ["overlooked"]
