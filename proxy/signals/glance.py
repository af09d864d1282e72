"""One glance at the signals, as the control door shows them: what is stated, and how such statements have held."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from proxy.accounts.record_keeper import RecordKeeper
from proxy.signals.conditions import ConditionsKeeper
from proxy.signals.plane import (
    AnomalyView,
    CarryView,
    ForecastView,
    JumpView,
    SignalsView,
    TemperatureView,
    ToldView,
)
from proxy.signals.scoreboard.board import Scoreboard
from proxy.signals.scoreboard.card import Card
from proxy.signals.scoreboard.stated import Stated
from proxy.signals.signals_state import SignalsState
from proxy.signals.temperature import carry_a_day
from proxy.signals.watch import AnomalyWatch
from proxy.store.codec import plain
from rules.account import Account
from rules.rule import show_exact

JUMPS: Final = (0.2, 0.4, 0.66)
"""Falls within one hour that alternative coins had on 10 October 2025. A rise is asked of a barrier above."""

_TEMPERATURE_SCALE: Final = 100


class SignalsGlance:
    """Looks at the warden's own pieces and changes none of them. ``bots`` names those with a key."""

    def __init__(
        self,
        *,
        board: Scoreboard,
        watch: AnomalyWatch,
        records: Mapping[str, RecordKeeper],
        conditions: Iterable[ConditionsKeeper],
        states: Callable[[], Iterable[SignalsState]],
        accounts: Callable[[], Iterable[Account]],
        bots: Callable[[], Iterable[str]],
        now: Callable[[], datetime],
    ) -> None:
        self._board = board
        self._watch = watch
        self._records = records
        self._conditions = tuple(conditions)
        self._states = states
        self._accounts = accounts
        self._bots = bots
        self._now = now

    async def signals(self) -> SignalsView:
        """Everything the signals publish. Some milliseconds of memory."""
        now = self._now()
        cards = self._board.cards()
        by_subject = {card.subject: card for card in cards}
        return SignalsView(
            at=plain(now),
            forecasts=[_forecast(each, by_subject.get(each.subject), now) for each in self._board.newest()],
            told=list(self._told(now)),
            cards=cards,
            anomalies=list(self._anomalies()),
            temperatures=list(self._temperatures(now)),
            venues=list(self._states()),
        )

    def _told(self, now: datetime) -> Iterable[ToldView]:
        for account, keeper in self._records.items():
            record = keeper.record
            for each in record.forecasts if record is not None else ():
                yield ToldView(
                    account=account,
                    name=each.name,
                    symbol=each.symbol,
                    horizon_s=each.horizon_s,
                    probability=each.probability,
                    age_s=(now - each.as_of).total_seconds(),
                    reliable=each.reliable,
                    side=each.side.value if each.side is not None else None,
                    quantity=show_exact(each.quantity) if each.quantity is not None else None,
                    threshold=show_exact(each.threshold) if each.threshold is not None else None,
                )

    def _anomalies(self) -> Iterable[AnomalyView]:
        for level, score in self._watch.levels().items():
            kind, _, name = level.partition(":")
            yield AnomalyView(level=kind, name=name or kind, value=score.value, why=score.why)
        for bot in sorted(set(self._bots())):
            score = self._watch.score(bot)
            yield AnomalyView(level="bot", name=bot, value=score.value, why=score.why)

    def _temperatures(self, now: datetime) -> Iterable[TemperatureView]:
        for keeper in self._conditions:
            for symbol in keeper.symbols:
                found = keeper.condition(symbol)
                if found is not None:
                    yield TemperatureView(
                        symbol=symbol,
                        value=None if found.temperature is None else float(found.temperature) * _TEMPERATURE_SCALE,
                        age_s=(now - found.as_of).total_seconds(),
                        funding_a_day=None if found.funding_a_day is None else float(found.funding_a_day),
                        carry=tuple(self._carry(symbol, found.funding_a_day)),
                    )

    def _carry(self, symbol: str, funding_a_day: Decimal | None) -> Iterable[CarryView]:
        """Of every position in the symbol, when the rate is known."""
        if funding_a_day is None:
            return
        for account in self._accounts():
            for leg in account.legs(symbol):
                notional = leg.quantity * leg.mark_price
                yield CarryView(
                    account=account.name,
                    position_side=leg.position_side.value,
                    notional=float(notional),
                    a_day=float(carry_a_day(notional, funding_a_day)),
                )


def _forecast(stated: Stated, card: Card | None, now: datetime) -> ForecastView:
    card = card if card is not None else Card(**stated.subject._asdict())
    return ForecastView(
        signal=stated.signal,
        symbol=stated.symbol,
        horizon_h=stated.horizon_h,
        key=stated.key,
        kind=stated.kind,
        value=stated.value,
        reference=stated.reference,
        as_of=plain(datetime.fromtimestamp(stated.as_of, UTC)),
        age_s=now.timestamp() - stated.as_of,
        until=plain(datetime.fromtimestamp(stated.until, UTC)),
        method=stated.method,
        n=card.n,
        skill=_skill(stated, card),
        status=card.status,
        why=card.why,
        stress=_stress(stated.key),
    )


def _skill(stated: Stated, card: Card) -> float | None:
    if stated.kind == "probability":
        return None if card.probabilities is None else card.probabilities.brier_skill
    return next((each.pinball_skill for each in card.quantiles if each.key == stated.key), None)


def _stress(key: str) -> tuple[JumpView, ...]:
    """Whether each jump reaches the barrier that a key such as ``down:0.05`` names."""
    way, _, text = key.rpartition(":")
    side = way.rpartition(":")[2]
    try:
        distance = float(text)
    except ValueError:
        return ()
    if side not in ("down", "up"):
        return ()
    sign = -1 if side == "down" else 1
    return tuple(JumpView(move=sign * jump, reached=jump >= distance) for jump in JUMPS)
