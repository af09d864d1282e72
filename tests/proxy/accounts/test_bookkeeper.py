"""What a book's keeper says of it: what the venue was read for, and what a stream vouches for."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.accounts.book import Book
from proxy.accounts.bookkeeper import Bookkeeper
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.warden_store import Published, WardenStore
from rules.model import Side
from rules.outside import OutsideAction
from tests.proxy.accounts.builders import a_resting_order, an_order_event
from tests.proxy.accounts.stream_builders import a_survey
from tests.proxy.accounts.test_outside_watch import Desk
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
