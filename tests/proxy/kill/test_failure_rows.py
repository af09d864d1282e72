"""F02 to F13: what may go wrong at the venue while positions are closed, each planted in virtual time.

The rows are those of the failure analysis in docs/threat-model.md. The same, as far as the practice exchange can play
it, over real sockets in ``test_failure_rows_at_the_door``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.exchange.troubles import OutcomeUnknown, VenueRefused, VenueThrottled
from proxy.kill import runner
from proxy.kill.hands import VenueHands
from proxy.kill.report import AccountReport
from proxy.store.fence import DESK
from rules.kill.events import Cause, CloseStep, Phase
from rules.kill.legs import OrderKind
from rules.kill.settings import Flatten
from rules.model import PositionSide
from tests.proxy.kill.simulated_venue import LOT, Conditional, SimulatedVenue
from tests.proxy.kill.virtual_time import in_virtual_time
from tests.support.kills import kill
from tests.support.scripted_venue import Answer, an_account, scripted_venue

BTC, ETH = "BTCUSDT", "ETHUSDT"
BOTH, LONG, SHORT = PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT
Scene = Callable[[Callable[[SimulatedVenue], Coroutine[Any, Any, AccountReport]]], Coroutine[Any, Any, None]]


@pytest.fixture
def play(quick_path: Path) -> Callable[[Scene], None]:
    """Plays a scene in virtual time; it is handed the press."""
    presses = 0

    async def press(venue: SimulatedVenue, **settings: Any) -> AccountReport:
        nonlocal presses
        presses += 1
        flatten = Flatten(**settings)
        return (await kill(quick_path / str(presses), DESK, [venue], "ann", "row", flatten=flatten)).accounts[0]

    def run(scene: Scene) -> None:
        in_virtual_time(scene(press))

    return run


def a_venue(seed: int = 1, **positions: str) -> SimulatedVenue:
    """Without faults; ``BTCUSDT="5"`` is one-way, ``BTCUSDT_LONG="5"`` a leg."""
    venue = SimulatedVenue(seed, fault_share=0, quiet=True, hedged=any("_" in name for name in positions))
    for name, quantity in positions.items():
        symbol, _, side = name.partition("_")
        venue.positions[symbol, PositionSide(side or "BOTH")] = Decimal(quantity)
    return venue


def seconds(report: AccountReport) -> float:
    assert report.flat_ms is not None, report
    return report.flat_ms / 1000


@pytest.mark.parametrize("late", [0.0, 0.5, 1.0, 2.5, 4.0, 5.0])
def test_f02_an_entry_of_unknown_outcome_that_executes_late_is_closed_too(play: Any, late: float):
    async def scene(press: Any) -> None:
        venue = a_venue(ETHUSDT="3")
        venue.later(late, venue.enter, BTC)
        report = await press(venue)
        assert report.flat and venue.flat
        assert {closed.symbol for closed in report.closed} == {BTC, ETH}

    play(scene)


def test_f03_three_lost_answers_in_a_row_end_at_zero_and_never_beyond(play: Any):
    async def scene(press: Any) -> None:
        venue = a_venue(BTCUSDT="9")
        lost = 0

        def lose(step: CloseStep) -> None:
            nonlocal lost
            lost += 1
            if lost <= 3:
                venue.execute(step, step.quantity, f"lost-{lost}") if lost == 2 else None
                raise OutcomeUnknown("timeout")

        venue.on_close = lose
        report = await press(venue)
        assert report.flat and venue.flat and venue.flips == 0
        assert len(venue.client_ids) == len(venue.sent) >= 2

    play(scene)


def test_f04_with_one_answer_in_five_a_429_the_kill_waits_as_told_and_ends_flat(play: Any):
    async def scene(press: Any) -> None:
        for seed in range(20):
            venue = SimulatedVenue(seed, fault_share=0)
            silent_until, too_early = 0.0, 0
            arrive, chance = venue._arrive, venue.chance

            async def throttled(*, reading: bool) -> None:
                nonlocal silent_until, too_early
                asked_at = venue.loop.time()  # noqa: B023 - awaited within this turn of the loop
                too_early += asked_at < silent_until - 0.001
                await arrive(reading=reading)  # noqa: B023
                if chance.random() < 0.2:  # noqa: B023
                    silent_until = max(silent_until, venue.loop.time() + 1.0)  # noqa: B023
                    raise VenueThrottled(429, 1.0)

            venue._arrive = throttled  # type: ignore[method-assign]
            report = await press(venue)
            assert report.flat and venue.flat and seconds(report) < 45, seed
            assert too_early == 0, f"seed {seed}: asked again within the second it was told to wait"

    play(scene)


def test_f06_partial_fills_are_followed_by_wider_bands_until_nothing_is_left(play: Any):
    async def scene(press: Any) -> None:
        for share in ("0.25", "0.5", "0.75"):
            venue = a_venue(BTCUSDT="8", ETHUSDT="-8")
            whole = venue.liquidity
            venue.liquidity = lambda step, whole=whole, share=share: max(whole(step) * Decimal(share), LOT.step)
            report = await press(venue)
            assert report.flat and venue.flat, share
            rungs = [step.rung for step in venue.sent if step.leg.symbol == BTC and step.price is not None]
            assert rungs[:3] == [0, 1, 2], share
            assert sum((closed.filled for closed in report.closed), Decimal(0)) == 16

    play(scene)


def test_f07_dust_is_rounded_up_where_the_venue_trims_it(play: Any):
    async def scene(press: Any) -> None:
        venue = a_venue(BTCUSDT="0.04")
        report = await press(venue)
        assert report.phase is Phase.FLAT and venue.flat
        assert [step.quantity for step in venue.sent] == [Decimal("0.1")]

    play(scene)


def test_f07_dust_that_no_order_takes_is_named_with_its_amount(play: Any):
    async def scene(press: Any) -> None:
        report = await press(a_venue(BTCUSDT_LONG="0.04", ETHUSDT_SHORT="-3"))
        assert report.phase is Phase.FLAT_EXCEPT_DUST and not report.flat
        assert report.left == ("position BTCUSDT/LONG 0.04",)

    play(scene)


def test_f08_orders_of_every_kind_that_could_reopen_are_gone_before_flat_is_said(play: Any):
    async def scene(press: Any) -> None:
        venue = a_venue(BTCUSDT="2")
        venue.plain["p1"] = ETH
        venue.conditionals.append(Conditional(ETH, "c1", Decimal(2)))
        venue.start_twap(BTC)
        venue.later(6.0, venue.trigger, venue.conditionals[0])
        report = await press(venue)
        assert report.flat and venue.flat and report.cancelled == 3
        await asyncio.sleep(60)
        assert venue.flat, "something traded on after FLAT"

    play(scene)


def test_f08_what_reopens_in_the_calm_starts_it_anew(play: Any):
    async def scene(press: Any) -> None:
        venue = a_venue()
        venue.later(5.0, venue.start_twap, BTC)
        report = await press(venue)
        assert report.flat and venue.flat and seconds(report) > 5
        assert report.verified_ms - report.flat_ms >= 6_000

    play(scene)


def test_f09_a_hedged_pair_is_closed_leg_by_leg_and_both_are_zero(play: Any):
    async def scene(press: Any) -> None:
        venue = a_venue(BTCUSDT_LONG="5", BTCUSDT_SHORT="-3")
        report = await press(venue)
        assert report.flat and venue.flat
        assert {(step.leg.position_side, step.side.value, step.quantity) for step in venue.sent} == {
            (LONG, "SELL", Decimal(5)),
            (SHORT, "BUY", Decimal(3)),
        }

    play(scene)


def test_f09_a_large_hedge_never_leans_further_than_the_policy_allows(play: Any):
    async def scene(press: Any) -> None:
        for seed in range(20):
            venue = a_venue(seed, BTCUSDT_LONG="40", BTCUSDT_SHORT="-40", ETHUSDT_LONG="30", SOLUSDT_SHORT="-30")
            venue.fault_share, venue.heals_at = 0.2, venue.loop.time() + 15
            leaned: list[Decimal] = []
            execute = venue.execute

            def watched(step: CloseStep, quantity: Decimal, name: str) -> Decimal:
                filled = execute(step, quantity, name)  # noqa: B023 - called within this turn of the loop
                leaned.append(abs(sum(venue.positions.values(), Decimal(0))) * 100)  # noqa: B023
                pair = venue.positions[BTC, LONG] + venue.positions[BTC, SHORT]  # noqa: B023
                leaned.append(abs(pair) * 100)  # noqa: B023
                return filled

            venue.execute = watched  # type: ignore[method-assign]
            report = await press(venue, naked_notional_max=Decimal(1_000))
            assert report.flat and venue.flat, f"seed {seed}: {report.why}"
            assert max(leaned) <= 1_000, f"seed {seed}: leaned {max(leaned)}"

    play(scene)


def test_f10_reduce_only_refused_because_nothing_is_left_is_done(play: Any):
    async def scene(press: Any) -> None:
        venue = a_venue(BTCUSDT="5")
        venue.on_close = lambda step: venue.positions.clear()
        report = await press(venue)
        assert report.flat and len(venue.sent) == 1

    play(scene)


def test_f10_reduce_only_refused_because_orders_hold_the_quantity_cancels_them_first(play: Any):
    async def scene(press: Any) -> None:
        venue = a_venue(BTCUSDT="5")
        cancelled: list[OrderKind] = []
        cancel = venue.cancel

        async def watched(step: Any) -> None:
            cancelled.append(step.kind)
            await cancel(step)

        def held(step: CloseStep) -> None:
            if not venue.client_ids - {"first"}:
                return
            if len(venue.sent) == 1:
                venue.plain["holder"] = BTC  # It arrived after the reading that the close rests on.
            if BTC in venue.plain.values():
                raise VenueRefused(-2022, "ReduceOnly Order is rejected.")

        venue.on_close, venue.cancel = held, watched  # type: ignore[method-assign]
        report = await press(venue)
        assert report.flat and venue.flat
        assert cancelled == [OrderKind.PLAIN] and len(venue.sent) == 2

    play(scene)


def test_f10_the_wrong_leg_is_put_right_by_the_next_reading(play: Any):
    async def scene(press: Any) -> None:
        venue = a_venue(BTCUSDT="5")

        def switched(step: CloseStep) -> None:
            if step.leg.position_side is BOTH:
                venue.hedged = True
                venue.positions = {(BTC, LONG): Decimal(5)}
                raise VenueRefused(-4061, "Order's position side does not match user's setting.")

        venue.on_close = switched
        report = await press(venue)
        assert report.flat and venue.flat
        assert [step.leg.position_side for step in venue.sent] == [BOTH, LONG]

    play(scene)


@pytest.mark.parametrize("away", ["orders", "conditional orders", "algo orders"])
def test_a_list_of_orders_that_is_away_keeps_no_position_open_and_is_not_called_flat(play: Any, away: str):
    async def scene(press: Any) -> None:
        venue = a_venue(BTCUSDT="5")
        venue.plain["p1"], venue.away = ETH, {away}
        venue.conditionals.append(Conditional(ETH, "c1", Decimal(2)))
        report = await press(venue)
        assert not any(venue.positions.values()) and len(venue.sent) == 1
        assert bool(venue.plain) is (away == "orders") and bool(venue.conditionals) is (away == "conditional orders")
        assert (report.phase, report.cause) == (Phase.DEGRADED, Cause.UNREACHABLE)
        assert report.left == (f"unknown: {away}: down",)
        venue.away = set()
        report = await press(venue)
        assert report.flat and venue.flat

    play(scene)


def test_positions_that_are_away_keep_no_order_from_its_cancel_and_are_closed_as_soon_as_they_are_read(play: Any):
    async def scene(press: Any) -> None:
        venue = a_venue(BTCUSDT="5")
        venue.plain["p1"], venue.away = ETH, {"positions"}
        venue.later(20.0, venue.away.clear)
        venue.later(10.0, lambda: gone.append(not venue.plain and not venue.sent))
        gone: list[bool] = []
        report = await press(venue)
        assert report.flat and venue.flat and report.cancelled == 1
        assert gone == [True] and 20 < seconds(report) < 24

    play(scene)


@pytest.mark.parametrize(("away", "sent"), [("openAlgoOrders", "POST order"), ("positionRisk", "DELETE allOpenOrders")])
async def test_one_of_the_venues_lists_that_is_away_stops_nothing_but_what_it_would_have_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: str, sent: str
):
    monkeypatch.setattr(runner, "DEADLINE", timedelta(seconds=2))
    async with scripted_venue() as venue:
        answers: dict[str, Any] = {
            "openAlgoOrders": [],
            "openOrders": [{"symbol": BTC, "orderId": 7, "clientOrderId": "x"}] if away == "positionRisk" else [],
            "positionRisk": [{"symbol": BTC, "positionSide": "BOTH", "positionAmt": "0.7", "markPrice": "90000"}],
            "exchangeInfo": {"symbols": []},
            "order": {"orderId": 41, "status": "FILLED", "executedQty": "0.7"},
        }

        def answer(method: str, path: str) -> Answer:
            part = path.rpartition("/")[2]
            if path.startswith("/sapi/"):
                return 200, {}, {"total": 0, "orders": []}
            return (503, {}, "") if part == away else (200, {}, answers.get(part, {}))

        venue.answers = answer
        hands = VenueHands(an_account(venue.base_url, timeout=2))
        (report,) = (await kill(tmp_path, DESK, [hands], "ann", "row")).accounts
        await hands.aclose()
        verb, _, part = sent.partition(" ")
        assert any((method, path.rpartition("/")[2]) == (verb, part) for method, path, _ in venue.requests)
        assert report.phase is Phase.DEGRADED and "status 503" in report.left[-1]


def test_f12_a_leg_taken_by_a_liquidation_between_reading_and_close_flips_nothing_and_is_noted(play: Any):
    async def scene(press: Any) -> None:
        venue = a_venue(BTCUSDT_LONG="5", BTCUSDT_SHORT="-5")
        venue.plain["hedge"] = BTC

        def deleveraged(step: CloseStep) -> None:
            venue.positions[BTC, SHORT] = Decimal(0)

        venue.on_close = deleveraged
        report = await press(venue)
        assert report.flat and venue.flat and venue.flips == 0
        gone = {closed.position_side: (closed.quantity, closed.filled) for closed in report.closed}
        assert gone == {"LONG": (5, 5), "SHORT": (-5, 0)}, "the short leg went by no order of ours"

    play(scene)


def test_f13_a_book_that_is_empty_for_thirty_seconds_is_waited_out_within_bounds(play: Any):
    async def scene(press: Any) -> None:
        venue = a_venue(BTCUSDT="5")
        levels, venue.levels = venue.levels, []
        venue.later(30.0, lambda: setattr(venue, "levels", levels))
        report = await press(venue)
        assert report.flat and venue.flat
        assert 30 < seconds(report) < 40
        prices = [step.price for step in venue.sent]
        assert prices[:5] == [Decimal(each) for each in ("99.8", "99.6", "99.2", "98.4", "98")], "band by band"
        assert None in prices[5:], "then at the market"
        assert prices[-1] == 95, "and, as that finds nobody, at the venue's own bound"
        assert len(venue.sent) < 40, "without hammering"
        assert report.cost is not None and report.cost_estimate is not None

    play(scene)


def test_f13_a_book_that_stays_empty_ends_in_time_and_says_so(play: Any):
    async def scene(press: Any) -> None:
        venue = a_venue(BTCUSDT="5")
        venue.levels = []
        report = await press(venue)
        assert (report.phase, report.cause) == (Phase.DEGRADED, Cause.TIME)
        assert report.left == ("position BTCUSDT/BOTH 5.0",) and "-4131" in report.why

    play(scene)
