"""Results folded from documents: the balance for the account, the shares for bots, and nothing twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.accounts.performance import FEE_RATE_WORST, Past, folded, transferred
from proxy.accounts.recount import KEPT, SKEW
from proxy.accounts.shares import NOBODY
from proxy.accounts.track import performance
from proxy.decoding import build
from proxy.store.codec import dump, load, plain
from rules.account import Account, Position, Share
from rules.facts import Performance
from rules.model import PositionSide
from rules.snapshot import Market
from tests.properties.strategies import examples
from tests.rules.builders import NOW

BTC, ETH = "BTCUSDT", "ETHUSDT"
MARKS = {BTC: Decimal(100), ETH: Decimal(10)}
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def a_share(bot: str, quantity: str = "0", symbol: str = BTC, **money: Any) -> Share:
    """Bought at 100 by default."""
    fields = {"entry_price": "100" if symbol == BTC else "10"} | money
    return Share(
        bot=bot,
        symbol=symbol,
        position_side=PositionSide.BOTH,
        quantity=Decimal(quantity),
        **{name: Decimal(value) for name, value in fields.items()},
    )


def a_market(symbol: str, mark: str, due: datetime | None = None) -> Market:
    return Market(symbol=symbol, mark_price=Decimal(mark), as_of=NOW, next_funding_at=due)


class Told:
    """Documents one after another, a minute apart; each is told until it is confirmed."""

    def __init__(self, past: Past | None = None) -> None:
        self.past = past or Past()
        self.version = 0
        self.at = NOW

    def document(
        self,
        balance: str,
        *shares: Share,
        marks: dict[str, str] | None = None,
        due: datetime | None = None,
        reading: int | None = None,
        after: timedelta = MINUTE,
        **changes: Any,
    ) -> Told:
        """One new document, of a survey of its own unless said otherwise."""
        self.version += 1
        self.at += after
        priced = {BTC: "100", ETH: "10"} | (marks or {})
        account = Account(
            name="demo",
            version=self.version,
            as_of=self.at,
            margin_balance=Decimal(balance),
            available_balance=Decimal(balance),
            hedged=False,
            shares=shares,
            positions=tuple(_positions(shares, priced)),
        )
        markets = {symbol: a_market(symbol, mark, due) for symbol, mark in priced.items()}
        reading = self.version if reading is None else reading
        self.past = folded(self.past, replace(account, **changes), markets, reading)
        return self

    def transferred(self, amount: str, ago: timedelta | None = None) -> Told:
        """Money moved, so long before the last document; just now by default."""
        self.past = transferred(self.past, Decimal(amount), None if ago is None else self.at - ago)
        return self

    def confirmed(self, balance: str, *shares: Share, **options: Any) -> Told:
        """The same said twice."""
        return self.document(balance, *shares, **options).document(balance, *shares, **options)

    @property
    def account(self) -> Performance:
        assert self.past.track is not None
        return performance(self.past.track)

    def bot(self, name: str) -> Performance:
        found = self.past.bot(name)
        assert found is not None
        return performance(found.track)


def _positions(shares: tuple[Share, ...], marks: dict[str, str]) -> list[Position]:
    legs: dict[str, Decimal] = {}
    for share in shares:
        legs[share.symbol] = legs.get(share.symbol, Decimal(0)) + share.quantity
    return [
        Position(
            symbol=symbol,
            position_side=PositionSide.BOTH,
            quantity=quantity,
            entry_price=MARKS[symbol],
            mark_price=Decimal(marks[symbol]),
        )
        for symbol, quantity in legs.items()
        if quantity
    ]


def test_counting_begins_with_the_first_document() -> None:
    told = Told().confirmed("1000", a_share("ann", "1", realised_pnl="-500", fees="20", funding="-3"))
    for found in (told.account, told.bot("ann")):
        assert (found.day_pnl, found.day_funding, found.equity, found.equity_peak) == (0, 0, 1000, 1000)


def test_the_account_s_result_is_its_balance() -> None:
    found = Told().confirmed("1000").confirmed("940").account
    assert (found.day_pnl, found.rolling_pnl, found.equity, found.equity_peak) == (-60, -60, 940, 1000)


def test_a_balance_that_jumps_and_comes_back_is_no_loss() -> None:
    """A phantom -5.2 % of one document halts nobody."""
    told = Told().confirmed("1000").document("948")
    assert told.account.day_pnl == 0
    assert told.document("1000").document("1000").account.day_pnl == 0


def test_the_same_document_does_not_confirm_itself() -> None:
    told = Told().confirmed("1000").document("948")
    again = Account(
        name="demo",
        version=told.version,
        as_of=told.at,
        margin_balance=Decimal(948),
        available_balance=Decimal(948),
        hedged=False,
    )
    assert folded(told.past, again, {}, 7) is told.past
    assert folded(told.past, replace(again, version=told.version + 1), {}, 7) is not told.past
    assert folded(told.past, replace(again, as_of=told.at + MINUTE), {}, 7) is not told.past


def test_a_survey_that_is_published_again_and_again_does_not_confirm_itself() -> None:
    told = Told().confirmed("1000", a_share("ann", "1"))
    for _ in range(5):
        told.document("948", a_share("ann", "1"), marks={BTC: "48"}, reading=77, after=timedelta(seconds=1))
        assert (told.account.day_pnl, told.bot("ann").day_pnl) == (0, 0)
    told.document("948", a_share("ann", "1"), marks={BTC: "48"}, reading=78)
    assert (told.account.day_pnl, told.bot("ann").day_pnl) == (-52, -52)


def test_a_stale_document_tells_nothing() -> None:
    told = Told().confirmed("1000").confirmed("1", feed_stale=True)
    assert told.account.equity == 1000


def test_a_transfer_is_neither_a_gain_nor_a_loss() -> None:
    told = Told().confirmed("1000", a_share("ann", "1")).confirmed("900", a_share("ann", "1"), marks={BTC: "0"})
    found = told.transferred("-450").confirmed("450", a_share("ann", "1"), marks={BTC: "0"}).account
    assert (found.day_pnl, found.equity, found.equity_peak) == (-100, 450, 500)
    assert (told.bot("ann").day_pnl, told.bot("ann").equity) == (-100, 450)


def test_before_the_first_document_a_transfer_is_in_the_balance() -> None:
    assert transferred(Past(), Decimal(5), None) == Past()


def test_a_withdrawal_listed_late_leaves_no_drawdown_and_no_loss() -> None:
    told = Told().confirmed("1000").confirmed("400").confirmed("380")
    assert (told.account.equity_peak, told.account.day_pnl) == (1000, -620)
    found = told.transferred("-600", ago=3 * MINUTE).account
    assert (found.equity, found.equity_peak, found.day_pnl, found.rolling_pnl) == (380, 400, -20, -20)


def test_a_deposit_listed_late_hides_no_drawdown_and_no_loss() -> None:
    told = Told().confirmed("1000").confirmed("500").confirmed("1500").confirmed("1490")
    assert (told.account.equity_peak, told.account.day_pnl, told.account.day_peak) == (1500, 490, 500)
    found = told.transferred("1000", ago=3 * MINUTE).account
    assert (found.equity, found.equity_peak, found.day_pnl, found.day_peak) == (1490, 3000, -510, 0)


def test_a_transfer_listed_after_midnight_is_not_in_the_new_day() -> None:
    told = Told()
    told.at = NOW.replace(hour=23, minute=55)
    told.confirmed("1000").confirmed("400").confirmed("390")
    found = told.transferred("-600", ago=3 * MINUTE).account
    assert told.at.date() > NOW.date()
    assert (found.equity, found.equity_peak, found.day_pnl, found.rolling_pnl) == (390, 400, -10, -10)


def test_a_transfer_counted_late_is_as_one_that_was_known_at_its_moment() -> None:
    """With results before and after it, and a peak between."""
    late = Told().confirmed("1000").confirmed("1100").confirmed("480").confirmed("530").confirmed("450")
    late.transferred("-600", ago=5 * MINUTE)
    known = Told().confirmed("1000").confirmed("1100").transferred("-600").confirmed("480").confirmed("530")
    assert late.account == known.confirmed("450").account


def test_what_moved_after_the_last_document_is_in_the_next() -> None:
    told = Told().confirmed("1000").transferred("-600", ago=-MINUTE)
    assert (told.account.equity, told.account.equity_peak, told.account.day_pnl) == (400, 400, 0)
    assert told.confirmed("390").account.day_pnl == -10


@pytest.mark.parametrize("skew", [SKEW, -SKEW])
def test_clocks_that_differ_a_little_put_it_where_the_balance_shows_it(skew: timedelta) -> None:
    """The row's time is of one side of the reading, the money of the other."""
    told = Told().confirmed("1000").document("400", after=timedelta(seconds=5)).confirmed("400")
    found = told.transferred("-600", ago=2 * MINUTE + skew).account
    assert (found.equity, found.equity_peak, found.day_pnl) == (400, 400, 0)


def test_an_event_that_comes_after_the_survey_that_shows_it_is_no_loss() -> None:
    told = Told().confirmed("1000").document("400").transferred("-600").document("400")
    assert (told.account.equity, told.account.equity_peak, told.account.day_pnl) == (400, 400, 0)


def test_a_loss_beside_a_transfer_is_not_taken_for_it() -> None:
    told = Told().confirmed("1000").document("970").transferred("-600").confirmed("370")
    assert (told.account.equity, told.account.day_pnl) == (370, -30)


def test_what_moved_before_counting_began_is_in_the_balance_it_began_with() -> None:
    told = Told().confirmed("1000").confirmed("1000")
    assert told.transferred("-600", ago=9 * MINUTE).account == Told().confirmed("1000").confirmed("1000").account


def test_a_bot_that_began_with_the_money_has_it_once() -> None:
    told = Told().confirmed("1000", a_share("ann")).confirmed("400", a_share("ann"))
    told.document("400", a_share("ann"), a_share("ben")).transferred("-600", ago=2 * MINUTE)
    assert (told.bot("ann").equity, told.bot("ben").equity) == (400, 400)


def test_what_is_kept_to_be_counted_again_is_bounded() -> None:
    told = Told()
    for number in range(60):
        told.document("1000", reading=number // 2, after=timedelta(seconds=59))
    assert told.past.recount is not None
    readings = told.past.recount.readings
    assert told.at - readings[0].at <= KEPT
    assert len(readings) == 13


def test_funding_is_apart_in_both() -> None:
    told = Told().confirmed("1000", a_share("ann", "1"))
    told.confirmed("992", a_share("ann", "1", funding="-8"))
    for found in (told.account, told.bot("ann")):
        assert (found.day_pnl, found.day_funding, found.equity) == (0, -8, 992)


@pytest.mark.parametrize(
    ("symbol", "multi_assets", "pnl", "funding"),
    [
        ("BTCUSDC", False, 0, 0),
        ("BTCUSDC", True, 8, -8),
        ("BTCUSDC", None, 8, -8),
        ("BTCUSDT", False, 8, -8),
        ("BTCUSDT_270326", False, 8, -8),
    ],
)
def test_funding_of_another_wallet_than_the_balance_is_of_is_not_the_account_s(
    symbol: str, multi_assets: bool | None, pnl: int, funding: int
) -> None:
    told = Told(Past()).confirmed("1000", a_share("ann", "0", symbol), multi_assets=multi_assets)
    told.confirmed("1000", a_share("ann", "0", symbol, funding="-8"), multi_assets=multi_assets)
    assert (told.account.day_pnl, told.account.day_funding) == (pnl, funding)


def test_a_change_of_the_asset_mode_brings_no_funding_of_before() -> None:
    paid = a_share("ann", "0", "BTCUSDC", funding="-8")
    told = Told().confirmed("1000", a_share("ann", "0", "BTCUSDC"), multi_assets=False)
    told.confirmed("1000", paid, multi_assets=False).confirmed("1000", paid, multi_assets=True)
    assert (told.account.day_pnl, told.account.day_funding) == (0, 0)
    told.confirmed("997", replace(paid, funding=Decimal(-11)), multi_assets=True)
    assert (told.account.day_pnl, told.account.day_funding) == (0, -3)


def test_a_bot_s_result_is_that_of_its_shares_after_fees() -> None:
    told = Told().confirmed("1000")
    told.confirmed("990", a_share("ann", "1", realised_pnl="-5", fees="2"), a_share("ben", fees="1"), marks={BTC: "96"})
    assert (told.bot("ann").day_pnl, told.bot("ann").equity) == (-11, 989)
    assert told.bot("ben").day_pnl == -1
    assert told.past.bot("cid") is None


def test_a_share_without_a_position_counts_at_the_market_s_mark() -> None:
    """Two bots on both sides: the exchange shows no position."""
    told = Told().confirmed("1000")
    told.confirmed("1000", a_share("ann", "1", fees="1"), a_share("ben", "-1", fees="1"), marks={BTC: "90"})
    assert (told.bot("ann").day_pnl, told.bot("ben").day_pnl) == (-11, 9)


def test_nobody_is_no_bot() -> None:
    assert Told().confirmed("1000", a_share(NOBODY, "1")).past.bots == ()


def test_an_unknown_fee_is_the_worst_there_is() -> None:
    told = Told().confirmed("1000", a_share("ann", fees="1", unpriced="700"))
    told.confirmed("1000", a_share("ann", "3", fees="1", unpriced="1000"))
    assert told.bot("ann").day_pnl == -300 * FEE_RATE_WORST
    told.confirmed("1000", a_share("ann", "1", fees="1", unpriced="1200"))
    assert told.bot("ann").day_pnl == -500 * FEE_RATE_WORST
    told.confirmed("1000", a_share("ann", "2", fees="1.25", unpriced="1200"))
    assert told.bot("ann").day_pnl == -500 * FEE_RATE_WORST - Decimal("0.25")


def test_trading_that_is_known_to_cost_nothing_costs_nothing() -> None:
    told = Told().confirmed("1000", a_share("ann"))
    for quantity in ("100", "-100", "0"):
        told.confirmed("1000", a_share("ann", quantity))
    assert told.bot("ann").day_pnl == 0


def test_what_an_earlier_version_wrote_says_of_no_fee_that_it_is_unknown() -> None:
    told = Told().confirmed("1000", a_share("ann", "1", unpriced="0"))
    saved = plain(told.past)
    for share in saved["shares"]:
        del share["unpriced"]
    assert build(saved, Past) == told.past


def test_a_bot_that_came_later_began_with_nothing_on_the_equity_of_then() -> None:
    told = Told().confirmed("1000").confirmed("900").confirmed("897", a_share("ann", "1", fees="3"))
    assert (told.bot("ann").day_pnl, told.bot("ann").equity, told.bot("ann").equity_peak) == (-3, 897, 900)


def test_reductions_at_a_loss_are_counted_after_their_fees() -> None:
    told = Told().confirmed("1000", a_share("ann", "3", fees="1"), a_share(NOBODY, "1"))
    told.document("1000", a_share("ann", "2", realised_pnl="0.5", fees="2"), a_share(NOBODY, "1"))
    lost_at = told.at
    assert (told.bot("ann").losses, told.bot("ann").loss_streak) == ((lost_at,), 1)
    assert (told.account.losses, told.account.loss_streak) == ((lost_at,), 1)
    told.document("1000", a_share("ann", "2", realised_pnl="0.5", fees="2"), a_share(NOBODY, realised_pnl="-9"))
    assert (told.bot("ann").loss_streak, told.account.loss_streak) == (1, 2)
    told.document("1000", a_share("ann", "1", realised_pnl="7", fees="2"), a_share(NOBODY, realised_pnl="-9"))
    assert (told.bot("ann").loss_streak, told.account.loss_streak) == (0, 0)


def test_what_was_opened_and_closed_between_two_documents_counts_too() -> None:
    told = Told().confirmed("1000").document("990", a_share("ann", realised_pnl="-9", fees="1"))
    assert told.bot("ann").loss_streak == told.account.loss_streak == 1


def test_shares_that_are_counted_anew_make_no_result() -> None:
    """The store and this process were lost at once: the shares begin anew, the results do not."""
    told = Told().confirmed("1000").confirmed("1050", a_share("ann", "1", realised_pnl="60", fees="10", funding="-4"))
    before = told.account, told.bot("ann")
    told.confirmed("1050", a_share(NOBODY, "1"))
    assert (told.account, told.bot("ann")) == before
    told.confirmed("1045", a_share("ann", realised_pnl="-4", fees="1"), a_share(NOBODY, "1"))
    assert told.bot("ann").day_pnl == before[1].day_pnl - 5


@pytest.mark.parametrize("gone", [False, True], ids=["a fill came first", "nothing came first"])
def test_shares_that_are_counted_anew_are_known_by_when_that_began(gone: bool) -> None:
    first, second = NOW - HOUR, NOW + HOUR
    paid = a_share("ann", "1", realised_pnl="-480", fees="20", funding="-30")
    told = Told().confirmed("10000", shares_since=first).confirmed("9500", paid, shares_since=first)
    before = told.account, told.bot("ann")
    told.past = build(load(dump(plain(told.past))), Past)
    shares = [a_share(NOBODY, "1")] if gone else [a_share("ann", "-1", fees="1"), a_share(NOBODY, "1")]
    told.confirmed("9500", *shares, shares_since=second)
    assert (told.account, told.bot("ann")) == before
    told.confirmed("9490", a_share("ann", "-1", fees="11"), a_share(NOBODY, "1"), shares_since=second)
    assert told.account.day_pnl == before[0].day_pnl - 10


def test_a_version_that_did_not_tell_when_counting_began_counted_nothing_anew() -> None:
    told = Told().confirmed("10000").confirmed("9500", a_share("ann", "1", realised_pnl="-500"))
    told.confirmed("9500", a_share("ann", "1", realised_pnl="-500"), shares_since=NOW)
    assert told.bot("ann").day_pnl == -500
    told.confirmed("9500", a_share("ann", "1", realised_pnl="-500"))
    assert (told.bot("ann").day_pnl, told.past.shares_since) == (-500, None)


def test_a_position_is_held_from_its_opening_to_its_end() -> None:
    told = Told().confirmed("1000", a_share("ann", "1"))
    (held,) = told.past.bots[0].held
    assert (held.symbol, held.holding.held_since) == (BTC, NOW + MINUTE)
    told.confirmed("1000", a_share("ann", "-1", fees="1"))
    assert told.past.bots[0].held[0].since == NOW + MINUTE
    assert told.document("1000", a_share("ann", fees="2")).past.bots[0].held[0].since is None
    assert told.document("1000", a_share("ann", "1", fees="3")).past.bots[0].held[0].since == told.at


def test_a_funding_time_counts_when_it_was_held_through() -> None:
    due = NOW + timedelta(minutes=3)
    told = Told().confirmed("1000", a_share("ann", "1"), due=due)
    told.document("1000", a_share("ann", "1"), due=due + timedelta(hours=8))
    (held,) = told.past.bots[0].held
    assert (held.holding.funding_stamps, held.awaits) == (1, due + timedelta(hours=8))
    told.document("1000", a_share("ann", "1", funding="-2"), due=due + timedelta(hours=8))
    assert (told.past.bots[0].held[0].holding.funding_stamps, told.past.bots[0].held[0].holding.carry) == (1, -2)


def test_a_funding_time_that_was_not_held_through_does_not_count() -> None:
    due = NOW + timedelta(minutes=2)
    told = Told().document("1000", a_share("ann", "1"), due=due).document("1000", a_share("ann", fees="1"), due=due)
    told.document("1000", a_share("ann", "1", fees="2"), due=due)
    (held,) = told.past.bots[0].held
    assert (held.stamps, held.awaits) == (0, None)


def test_both_bots_and_symbols_have_their_own_experience() -> None:
    told = Told().confirmed("1000", a_share("ann", "1", ETH), a_share("ann", "1"), a_share("ben", "1"))
    assert [[each.symbol for each in bot.held] for bot in told.past.bots] == [[BTC, ETH], [BTC]]


def test_a_clock_that_was_ahead_and_is_set_back_is_believed_at_once() -> None:
    """And what moves money or opens a position from then on is put in its place."""
    told = Told().confirmed("1000", a_share("ann", "1"))
    told.at += 8 * HOUR
    told.confirmed("990", a_share("ann", "1", fees="10"), a_share("ben", "1"))
    told.at -= 8 * HOUR
    told.confirmed("990", a_share("ann", "1", fees="10"), a_share("ben", "1"))
    assert told.past.track is not None and told.past.track.at == told.at
    assert (told.account.day_pnl, told.bot("ann").day_pnl, told.account.rolling_pnl) == (-10, -10, -10)
    ben = told.past.bot("ben")
    assert ben is not None and ben.began <= told.at and ben.held[0].since is not None and ben.held[0].since <= told.at
    told.confirmed("390", a_share("ann", "1", fees="10"), a_share("ben", "1")).transferred("-600", ago=MINUTE)
    assert (told.account.day_pnl, told.account.equity, told.bot("ben").equity) == (-10, 390, 400)


def test_counting_that_began_while_the_clock_was_ahead_has_what_moved_since() -> None:
    told = Told()
    told.at += 8 * HOUR
    told.confirmed("1000")
    told.at -= 8 * HOUR
    told.confirmed("400").transferred("-600", ago=MINUTE)
    assert (told.account.day_pnl, told.account.equity, told.account.equity_peak) == (0, 400, 400)


# What holds for every past

_money = st.integers(-50, 50).map(str)
_moves = st.lists(
    st.tuples(st.sampled_from(["ann", "ben"]), st.sampled_from([BTC, ETH]), st.integers(-3, 3), _money, _money),
    min_size=1,
    max_size=12,
)


def _documents(moves: list[tuple[str, str, int, str, str]]) -> list[tuple[Decimal, tuple[Share, ...], dict[str, str]]]:
    """Books in which everything belongs to bots: the balance is what their shares have made."""
    shares: dict[tuple[str, str], Share] = {}
    found = []
    for number, (bot, symbol, quantity, gain, funding) in enumerate(moves):
        was = shares.get((bot, symbol), a_share(bot, symbol=symbol))
        shares[bot, symbol] = replace(
            was,
            quantity=Decimal(quantity),
            realised_pnl=was.realised_pnl + Decimal(gain),
            fees=was.fees + 1,
            funding=was.funding + Decimal(funding),
        )
        marks = {BTC: str(100 + number), ETH: str(10 - number % 3)}
        made = sum(
            each.realised_pnl
            - each.fees
            + each.funding
            + each.quantity * (Decimal(marks[each.symbol]) - each.entry_price)
            for each in shares.values()
        )
        found.append((Decimal(10_000) + made, tuple(shares.values()), marks))
    return found


def _run(documents: list[tuple[Decimal, tuple[Share, ...], dict[str, str]]], told: Told) -> Told:
    for balance, shares, marks in documents:
        told.confirmed(str(balance), *shares, marks=marks)
    return told


@given(_moves)
@examples(100)
def test_what_bots_make_adds_up_to_what_the_account_makes(moves: list[tuple[str, str, int, str, str]]) -> None:
    told = _run(_documents(moves), Told().confirmed("10000"))
    bots = [performance(each.track) for each in told.past.bots]
    for name in ("day_pnl", "day_funding", "rolling_pnl", "rolling_funding"):
        assert sum(getattr(each, name) for each in bots) == getattr(told.account, name)


@given(_moves, st.integers(0, 12))
@examples(100)
def test_a_restart_in_the_middle_changes_nothing(moves: list[tuple[str, str, int, str, str]], cut: int) -> None:
    documents = _documents(moves)
    whole = _run(documents, Told().confirmed("10000"))
    first = _run(documents[:cut], Told().confirmed("10000"))
    first.past = build(load(dump(plain(first.past))), Past)
    assert _run(documents[cut:], first).past == whole.past


@given(_moves, st.randoms())
@examples(100)
def test_no_order_of_shares_or_positions_matters(moves: list[tuple[str, str, int, str, str]], random: Any) -> None:
    documents = _documents(moves)
    shuffled = [
        (balance, tuple(random.sample(shares, len(shares))), dict(random.sample(sorted(marks.items()), len(marks))))
        for balance, shares, marks in documents
    ]
    assert _run(shuffled, Told().confirmed("10000")).past == _run(documents, Told().confirmed("10000")).past
