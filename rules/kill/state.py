"""Where one kill stands: all that the events so far amount to, and what can be said of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from rules.kill.events import CancelStep, Cause, CloseStep, Phase, Surveyed
from rules.kill.flatten import FRESH, LegMemory, UnderWay
from rules.kill.legs import OpenLeg
from rules.kill.settings import FLATTEN_DEFAULT, Flatten

_ADVICE: Final = {
    Cause.BANNED: "the venue will not hear us before {until}; log in at the venue itself and close what is listed, "
    "or wait: then press again",
    Cause.CLOSED: "{symbols} does not trade now, and what hedges it is kept; press again when it trades, or ask the "
    "venue what becomes of it",
    Cause.REFUSED: "the venue calls our closes wrong, or shows nothing to our key; log in at the venue itself, cancel "
    "and close what is listed, then press again to have it verified",
    Cause.UNREACHABLE: "log in at the venue itself, by another way than this machine's, cancel and close what is "
    "listed, then press again to have it verified",
    Cause.TIME: "log in at the venue itself, cancel and close what is listed, then press again to have it verified",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KillState:
    """All that the events so far amount to.

    ``sure`` says that the last reading of everything showed no order and that nothing has gone wrong since, so that
    positions alone may be read. ``denials`` counts the readings in a row that the venue refused whole, ``gaps`` those
    that showed nothing and lacked something; until ``lists_at`` positions alone are read then. ``traded`` are the
    symbols that closes were sent for, ``unsettled`` the last closes whose outcome the venue has never told. ``cause``,
    ``retry_at`` and ``cause_symbols`` say why it ended DEGRADED and when to start again.
    """

    phase: Phase
    deadline: datetime
    flatten: Flatten = FLATTEN_DEFAULT
    survey: Surveyed | None = None
    cancels: tuple[CancelStep, ...] = ()
    closes: tuple[CloseStep, ...] = ()
    traded: tuple[str, ...] = ()
    unsettled: tuple[CloseStep, ...] = ()
    under_way: tuple[UnderWay, ...] = ()
    memory: tuple[tuple[str, LegMemory], ...] = ()
    sent_at: tuple[datetime, ...] = ()
    sure: bool = False
    partial_reads: int = 0
    denials: int = 0
    gaps: int = 0
    lists_at: datetime | None = None
    reachable: bool = False
    tally_due: bool = False
    tallied: bool = False
    wait_until: datetime | None = None
    calm_since: datetime | None = None
    calm_reads: int = 0
    rounds: int = 0
    pauses: int = 0
    cancel_rounds: int = 0
    close_sequence: int = 0
    error: str = ""
    why: str = ""
    cause: Cause | None = None
    retry_at: datetime | None = None
    cause_symbols: tuple[str, ...] = ()

    def remembered(self, leg: OpenLeg) -> LegMemory:
        """What earlier closes of the leg have taught."""
        return dict(self.memory).get(leg.key, FRESH)

    def learnt(self, lessons: Iterable[tuple[str, LegMemory]]) -> KillState:
        """The state with these lessons, one a leg's key, in place of earlier ones."""
        return replace(
            self, memory=tuple(sorted((dict(self.memory) | dict(lessons)).items(), key=lambda each: each[0]))
        )


def left(state: KillState) -> tuple[str, ...]:
    """What the last survey still showed, in words."""
    survey = state.survey
    if survey is None:
        return () if state.phase is Phase.FLAT else ("unknown: the venue could not be read",)
    kinds = (
        ("order", survey.plain_orders),
        ("conditional order", survey.conditional_orders),
        ("algo order", survey.algo_orders),
    )
    orders = [f"{kind} {order.order_id} {order.symbol}" for kind, listed in kinds for order in listed]
    legs = [f"position {leg.key} {leg.quantity}" for leg in survey.positions]
    unread = [f"unknown: {what}" for what in survey.unread] if state.phase is Phase.DEGRADED else []
    return (*orders, *legs, *unread)


def advice(state: KillState) -> str:
    """What a person can do about what is left; empty where nothing needs doing."""
    if state.phase is Phase.FLAT_EXCEPT_DUST:
        return "what is left is below the venue's minimum order; close it in the venue's own app if it matters"
    if state.phase is not Phase.DEGRADED or state.cause is None:
        return ""
    until = f"{state.retry_at:%Y-%m-%d %H:%M:%S} UTC" if state.retry_at is not None else "a time it does not say"
    return _ADVICE[state.cause].format(until=until, symbols=", ".join(state.cause_symbols))
