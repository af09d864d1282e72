"""Funding row by row: each counted once, to the last digit, by the shares of its moment."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from proxy.accounts.funding import COUNTED_MAX, MOMENT_MS, MOMENTS_MAX, OVERLAP_MS, Fundings
from proxy.accounts.shares import NOBODY, Shares
from proxy.decoding import build
from proxy.exchange.payloads import FundingRow
from proxy.store.codec import plain
from rules.account import Account
from rules.model import Side
from tests.properties.strategies import examples
from tests.proxy.accounts.builders import a_fill, a_funding, a_survey, an_account_event

BUY, SELL = Side
HOUR_MS = 3_600_000


def shares() -> Shares:
    """Ann has 3 BTC and Ben 1; Ben has 2 ETH."""
    folded = Shares(lambda name: name.partition("/")[0] if "/" in name else NOBODY)
    for bot, quantity, symbol in (("ann", "3", "BTCUSDT"), ("ben", "1", "BTCUSDT"), ("ben", "2", "ETHUSDT")):
        folded.apply(a_fill(f"{bot}/{symbol}", BUY, quantity, symbol=symbol))
    return folded


def begun(of: Shares) -> Fundings:
    fundings = Fundings(of)
    fundings.take([])
    return fundings


def received(of: Shares) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for share in of.all():
        found[share.bot] = found.get(share.bot, Decimal(0)) + share.funding
    return {bot: amount for bot, amount in found.items() if amount}


def test_rows_of_several_symbols_go_to_whoever_holds_them_and_are_counted_once() -> None:
    folded = shares()
    fundings = begun(folded)
    rows = [a_funding("1", "-4"), a_funding("2", "1", "ETHUSDT")]
    fundings.take(rows)
    fundings.take([*rows, *rows])
    assert received(folded) == {"ann": -3}
    assert {(each.bot, each.symbol): each.funding for each in folded.all()} == {
        ("ann", "BTCUSDT"): -3,
        ("ben", "BTCUSDT"): -1,
        ("ben", "ETHUSDT"): 1,
    }


def test_what_was_before_the_guard_began_is_not_counted_and_what_it_heard_of_is() -> None:
    folded = shares()
    fundings = Fundings(folded)
    assert fundings.mark is None
    fundings.hear(an_account_event("FUNDING_FEE", change="-4"))
    fundings.take([a_funding("1", "9", at_ms=-MOMENT_MS), a_funding("2", "-4")])
    assert received(folded) == {"ann": -3, "ben": -1}


def test_the_shares_of_the_moment_count_even_if_they_were_sold_before_the_row_came() -> None:
    folded = shares()
    fundings = begun(folded)
    fundings.hear(an_account_event("FUNDING_FEE", change="-4"))
    for bot, side in (("ann", SELL), ("cid", BUY)):
        folded.apply(a_fill(f"{bot}/later", side, "3"))
    assert fundings.owed
    fundings.take([a_funding("1", "-4", at_ms=2)])
    assert received(folded) == {"ann": -3, "ben": -1}
    assert not fundings.owed


def test_a_row_is_no_part_of_a_moment_hours_later() -> None:
    folded = shares()
    fundings = begun(folded)
    fundings.hear(an_account_event("FUNDING_FEE", change="-4"))
    folded.apply(a_fill("ann/later", SELL, "3"))
    fundings.take([a_funding("1", "-4", at_ms=8 * HOUR_MS)])
    assert received(folded) == {"ben": -4}
    assert fundings.owed


def test_the_row_of_an_amount_belongs_to_the_event_of_that_amount() -> None:
    folded = shares()
    fundings = begun(folded)
    fundings.hear(an_account_event("FUNDING_FEE", change="-7"))
    folded.apply(a_fill("ann/later", SELL, "3"))
    fundings.hear(an_account_event("FUNDING_FEE", change="-4"))
    fundings.take([a_funding("1", "-4")])
    assert received(folded) == {"ben": -4}
    fundings.give_up()
    fundings.take([a_funding("2", "-7")])
    assert received(folded) == {"ben": Decimal("-5.75"), "ann": Decimal("-5.25")}


def test_an_event_told_twice_is_owed_one_row_and_one_of_nothing_none() -> None:
    fundings = begun(shares())
    fundings.hear(an_account_event("FUNDING_FEE", change="0"))
    assert not fundings.owed
    for _ in range(2):
        fundings.hear(an_account_event("FUNDING_FEE", change="-4"))
    fundings.take([a_funding("1", "-4")])
    assert not fundings.owed


def test_a_late_row_is_counted_within_the_overlap_and_what_is_remembered_has_a_bound() -> None:
    folded = shares()
    fundings = begun(folded)
    fundings.take([a_funding("new", "-1", "ETHUSDT", at_ms=HOUR_MS)])
    late = HOUR_MS - OVERLAP_MS
    fundings.take([a_funding("late", "-1", "ETHUSDT", at_ms=late), a_funding("old", "-1", "ETHUSDT", at_ms=late - 1)])
    assert received(folded) == {"ben": -2}
    many = [a_funding(f"{number}", "-1", "ETHUSDT", at_ms=HOUR_MS + number) for number in range(COUNTED_MAX + 5)]
    fundings.take(many)
    fundings.take(many)
    assert received(folded) == {"ben": -2 - len(many)}
    assert fundings.mark is not None and len(fundings.mark.rows) == COUNTED_MAX
    for number in range(MOMENTS_MAX + 5):
        fundings.hear(an_account_event("FUNDING_FEE", change=f"{number + 1}"))
    assert len(fundings._moments) == MOMENTS_MAX


def test_an_account_document_without_a_mark_is_still_read_and_begins_anew() -> None:
    document = plain(a_survey(shares=shares().all()))
    del document["funding_mark"]
    account = build(document, Account)
    assert account.funding_mark is None
    folded = shares()
    fundings = Fundings(folded)
    fundings.restore(account.funding_mark)
    fundings.take([a_funding("1", "-4")])
    assert received(folded) == {}


AMOUNTS = st.integers(-(10**12), 10**12).map(lambda units: Decimal(units).scaleb(-8))
SYMBOLS = st.sampled_from(["BTCUSDT", "ETHUSDT", "XRPUSDT"])
STEPS = st.lists(st.sampled_from(["book", "book and tell", "trade", "read", "publish", "crash"]), max_size=30)


@examples(150)
@given(steps=STEPS, draw=st.data())
def test_the_parts_add_up_to_the_rows_whatever_was_heard_traded_read_twice_or_lost(
    steps: list[str], draw: st.DataObject
) -> None:
    folded = shares()
    fundings = begun(folded)
    published = a_survey(shares=folded.all(), funding_mark=fundings.mark)
    listed: list[FundingRow] = []
    for number, step in enumerate([*steps, "read"]):
        if step.startswith("book"):
            at_ms = HOUR_MS * (1 + len(listed) // 3)
            amount = draw.draw(AMOUNTS)
            listed.append(a_funding(str(number), f"{amount:f}", draw.draw(SYMBOLS), at_ms=at_ms))
            if step == "book and tell":
                fundings.hear(replace(an_account_event("FUNDING_FEE", change=f"{amount:f}"), at_ms=at_ms + 7))
        elif step == "trade":
            bot, side = draw.draw(st.sampled_from(["ann", "ben", "cid"])), draw.draw(st.sampled_from(Side))
            folded.apply(a_fill(f"{bot}/{number}", side, "0.7", symbol=draw.draw(SYMBOLS)))
        elif step == "read":
            fundings.take([row for row in listed if row.at_ms >= fundings.since_ms])
            assert sum(received(folded).values()) == sum(row.amount for row in listed)
        elif step == "publish":
            published = build(plain(a_survey(shares=folded.all(), funding_mark=fundings.mark)), Account)
        else:
            folded = Shares(lambda name: name.partition("/")[0])
            folded.restore(published)
            fundings = Fundings(folded)
            fundings.restore(published.funding_mark)
