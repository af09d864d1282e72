"""What a book's keeper says of it: what the venue was read for, and what a stream vouches for."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from proxy.accounts.book import Book
from proxy.accounts.bookkeeper import Bookkeeper
from proxy.store.warden_store import Published, WardenStore
from rules.outside import OutsideAction
from tests.proxy.accounts.stream_builders import a_survey
from tests.proxy.accounts.test_outside_watch import Desk
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
