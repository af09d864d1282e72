"""What the feed shows of a killed bot is what its kill makes flat: its own part, or all where it has all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import cast

import pytest

from proxy.accounts.keeper import AccountKeeper
from proxy.kill.readings import FeedShows
from proxy.policy.reading import parse_policy
from proxy.warden.pieces.desk import feed_shows
from proxy.warden.pieces.ground import Ground
from rules.model import Side
from tests.rules.builders import World, an_account, an_open_order
from tests.support.policies import a_policy

ALONE = (("grid", "main"),)
TWO = (*ALONE, ("trend", "main"))
OWN_SHARE = '[account.main.own_share]\nenforcement = "enforce"\n'
ALL = {"BTCUSDT/BOTH": Decimal(3), "ETHUSDT/BOTH": Decimal(-1)}
ALL_ORDERS = frozenset({"BTCUSDT 1", "BTCUSDT 2", "ETHUSDT 3"})


def shared() -> World:
    """Two bots and nobody have a part of BTCUSDT; nobody alone has ETHUSDT."""
    orders = (
        replace(an_open_order(Side.SELL, symbol, "1", "60000", order_id=order_id), bot=bot)
        for symbol, order_id, bot in (("BTCUSDT", "1", "grid"), ("BTCUSDT", "2", "trend"), ("ETHUSDT", "3", ""))
    )
    world = an_account().marked("BTCUSDT", "50000").marked("ETHUSDT", "2500").resting(*orders)
    return (
        world.sharing("grid", "BTCUSDT", "2")
        .sharing("trend", "BTCUSDT", "0.9")
        .sharing("", "BTCUSDT", "0.1")
        .sharing("", "ETHUSDT", "-1")
    )


def shown(world: World, bot: str | None, traders: tuple[tuple[str, str], ...] = TWO, *tables: str) -> FeedShows:
    policy = parse_policy(a_policy(*tables))
    ground = SimpleNamespace(traders=lambda: list(traders), policy=lambda: policy)
    keepers = {"main": SimpleNamespace(account=world.account)}
    return feed_shows(cast(Ground, ground), cast(Mapping[str, AccountKeeper], keepers), "main", bot)


def test_of_a_bot_that_others_trade_beside_its_own_part_is_shown() -> None:
    assert shown(shared(), "grid") == FeedShows(frozenset({"BTCUSDT 1"}), {"BTCUSDT/BOTH": Decimal(2)})
    assert shown(shared(), "idle") == FeedShows()


@pytest.mark.parametrize(
    ("bot", "traders", "tables"), [(None, TWO, ()), (None, ALONE, (OWN_SHARE,)), ("grid", ALONE, ())]
)
def test_of_no_bots_kill_and_of_a_bot_that_has_all_everything_is_shown(
    bot: str | None, traders: tuple[tuple[str, str], ...], tables: tuple[str, ...]
) -> None:
    assert shown(shared(), bot, traders, *tables) == FeedShows(ALL_ORDERS, ALL)


def test_of_a_bot_that_is_alone_but_kept_to_its_own_share_its_own_part_is_shown() -> None:
    assert shown(shared(), "grid", ALONE, OWN_SHARE).legs == {"BTCUSDT/BOTH": Decimal(2)}


def test_no_more_of_a_share_is_shown_than_there_is_to_be_closed() -> None:
    netted = an_account().marked("BTCUSDT", "50000").sharing("grid", "BTCUSDT", "3").sharing("trend", "BTCUSDT", "-1")
    assert shown(netted, "grid").legs == {"BTCUSDT/BOTH": Decimal(2)}
    assert shown(netted, "trend").legs == {}, "a share against the position cannot be closed"
    assert shown(netted.sharing("trend", "BTCUSDT", "-2"), "grid").legs == {}


def test_of_an_account_that_is_not_known_nothing_is_shown() -> None:
    assert shown(an_account().unsurveyed(), None) == shown(an_account().unsurveyed(), "grid") == FeedShows()
