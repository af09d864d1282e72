"""A policy that lets nothing through is found, and one that lets anything through is not accused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proxy.doctor.allowance import refuses_everything
from proxy.policy.reading import parse_policy
from tests.rules.builders import World, an_account
from tests.support.policies import a_policy, a_rule

PRESETS = sorted((Path(__file__).parents[3] / "configs" / "policies").glob("*.toml"))


def refused(text: str, world: World) -> str | None:
    """The rule that refuses everything of a bot, if any does."""
    assert world.account is not None
    found = refuses_everything(
        parse_policy(text), world.account, "demo-bot", world.instruments, world.markets, world.snapshot.now
    )
    return found.breaches[0].rule_id if found is not None else None


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
@pytest.mark.parametrize("hedged", [False, True])
def test_no_preset_refuses_everything(path: Path, hedged: bool) -> None:
    world = an_account()
    assert world.account is not None
    assert refused(path.read_text(), replace(world, account=replace(world.account, hedged=hedged))) is None


@pytest.mark.parametrize(
    ("place", "settings", "rule"),
    [
        ("desk.max_order_value", {"limit": "4.9"}, "max_order_value"),
        ("bot.demo-bot.max_order_value", {"limit": "4.9"}, "max_order_value"),
        ("desk.position_limit", {"limit_notional": "4.9"}, "position_limit"),
        ("desk.max_leverage", {"limit": "0.000001"}, "max_leverage"),
    ],
    ids=["order value", "one bot's order value", "position", "leverage"],
)
def test_a_limit_below_the_smallest_order_is_named(place: str, settings: dict[str, str], rule: str) -> None:
    assert (
        refused(a_policy(a_rule(place, **{name: float(text) for name, text in settings.items()})), an_account()) == rule
    )


def test_one_symbol_that_passes_is_enough() -> None:
    text = a_policy(*(a_rule(f"symbol.{each}.max_order_value", limit=0.01) for each in ("BTCUSDT", "ETHUSDT")))
    assert refused(text, an_account()) is None


def test_what_the_account_holds_is_not_held_against_the_policy() -> None:
    text = a_policy(a_rule("desk.position_limit", limit_notional=10_000))
    assert refused(text, an_account().long("BTCUSDT", "1").long("ETHUSDT", "10").long("DOGEUSDT", "200000")) is None


def test_another_bots_limit_is_not_this_ones() -> None:
    assert refused(a_policy(a_rule("bot.other.max_order_value", limit=0.01)), an_account()) is None


def test_where_nothing_trades_no_limit_is_blamed() -> None:
    world = an_account()
    assert world.account is not None
    closed = {name: replace(each, trading=False) for name, each in world.instruments.items()}
    found = refuses_everything(
        parse_policy(a_policy()), world.account, "demo-bot", closed, world.markets, world.snapshot.now
    )
    assert found is not None and (found.tried, found.breaches) == (0, ())
