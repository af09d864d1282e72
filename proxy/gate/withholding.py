"""What is kept back of a ruling after it was made: by the rest of the venue's budget, or by a fence at the last moment.

Nothing has left then. What adds risk stays here; exits and cancels go as they would have alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from proxy.gate.ruling import Ruling
from proxy.gate.upstream import FenceClosed, FenceLapsed, NotSent, VenueSilent
from proxy.gate.window import WindowClosed
from proxy.venues.binance.rejections import Rejection, cannot_judge, exchange_not_reached, for_breach
from rules.decision import Breach


def risky_places(ruling: Ruling) -> list[int]:
    """The places of what may go and adds risk."""
    return [place for place in ruling.cleared if ruling.decisions[place].intent.adds_risk]


def spending_places(ruling: Ruling) -> list[int]:
    """The places that may not spend what is kept for the kill: what adds risk. While a kill runs, all: that is when it
    needs it, and it cancels and closes the same itself."""
    return list(ruling.cleared) if ruling.kill_running else risky_places(ruling)


def withholding(ruling: Ruling, risky: Sequence[int], breach: Breach) -> Ruling:
    """The ruling with these kept back after all: what is left adds no risk, and asks no fence."""
    return structs.replace(
        ruling,
        cleared={place: each for place, each in ruling.cleared.items() if place not in risky},
        withheld=ruling.withheld | dict.fromkeys(risky, breach),
        held={place: each for place, each in ruling.held.items() if place not in risky},
        fence=None,
    )


def withheld_note(ruling: Ruling) -> str:
    """For the audit: the decision on these was written down before they were withheld."""
    return "withheld: " + ", ".join(f"{place} {breach.code}" for place, breach in sorted(ruling.withheld.items()))


def is_of_the_order(trouble: NotSent) -> bool:
    """Whether what kept a request here is told as a breach of what was asked; else the guard itself is in trouble."""
    return isinstance(trouble, FenceClosed | VenueSilent | WindowClosed)


def not_sent(trouble: NotSent) -> Rejection:
    """Nothing left the guard: a refusal that is safe to believe."""
    if is_of_the_order(trouble):
        return for_breach(stopped(trouble))
    return cannot_judge() if isinstance(trouble, FenceLapsed) else exchange_not_reached()


def come_again(trouble: NotSent) -> dict[str, str]:
    """The header that says when, where the venue has said it."""
    return {"Retry-After": str(trouble.silence.left_s)} if isinstance(trouble, VenueSilent) else {}


def stopped(trouble: NotSent) -> Breach:
    """What is said of an entry that a fence does not let out, or that does not come out, while exits beside it go."""
    if isinstance(trouble, FenceClosed):
        return Breach(rule_id="kill", code="TRADING_HALTED", message="the kill switch was pressed")
    if isinstance(trouble, WindowClosed):
        return Breach(rule_id="window", code="STALE_TIMESTAMP", message="its recvWindow was over before it was sent")
    if isinstance(trouble, FenceLapsed):
        return Breach(
            rule_id="data_freshness",
            code="STORE_UNAVAILABLE",
            message="the guard has not heard its store for too long, so nothing that adds risk is sent",
            advice="reduce-only orders and cancels pass",
        )
    if isinstance(trouble, VenueSilent):
        silence = trouble.silence
        of_what = f" on {silence.group}" if silence.group else ""
        return Breach(
            rule_id="venue",
            code="VENUE_SILENCE",
            message=f"the exchange demands silence of the guard's address{of_what} ({silence.status}), "
            "so nothing was sent",
            advice=f"try again in {silence.left_s} s",
        )
    return Breach(rule_id="venue", code="CANNOT_JUDGE", message="it was not sent: the exchange could not be reached")
