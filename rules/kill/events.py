"""What can happen to a kill and what it can ask for: the nouns of its state machine. No behaviour.

Events carry all that a certificate of the kill says, so that it can be made from the journal alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from rules.kill.cost import Cost, CostEstimate
from rules.kill.legs import OpenLeg, OrderKind, RestingOrder
from rules.kill.settings import FLATTEN_DEFAULT, Flatten
from rules.model import Side


class Phase(StrEnum):
    """Where a kill stands. The last three are ends."""

    ENGAGED = "ENGAGED"
    KEYS_DISABLED = "KEYS_DISABLED"
    CANCELLING = "CANCELLING"
    FLATTENING = "FLATTENING"
    VERIFYING = "VERIFYING"
    FLAT = "FLAT"
    FLAT_EXCEPT_DUST = "FLAT_EXCEPT_DUST"
    DEGRADED = "DEGRADED"

    @property
    def final(self) -> bool:
        """Whether the machine has stopped for good."""
        return self in (Phase.FLAT, Phase.FLAT_EXCEPT_DUST, Phase.DEGRADED)


class Cause(StrEnum):
    """Why a kill ended DEGRADED, for a machine that may start it again at the right moment.

    BANNED: the venue demands silence beyond the deadline; it says until when. CLOSED: what is left does not trade.
    REFUSED: the venue takes our orders for what is left to be wrong, or shows nothing to our key. UNREACHABLE: it gave
    no usable answer. TIME: it answered, but not fast enough.
    """

    BANNED = "BANNED"
    CLOSED = "CLOSED"
    REFUSED = "REFUSED"
    TIME = "TIME"
    UNREACHABLE = "UNREACHABLE"


class Refusal(StrEnum):
    """Why the venue refused a close, as far as it matters for the next one.

    REDUCE_ONLY: nothing to reduce, or resting orders hold the quantity, or it was the wrong leg. MARKET_PRICE: no
    price for a market order. LIMIT_PRICE: the limit lies outside the venue's bounds. HALTED: the symbol does not
    trade. CLOCK: the request was stamped with a wrong time.
    """

    REDUCE_ONLY = "REDUCE_ONLY"
    MARKET_PRICE = "MARKET_PRICE"
    LIMIT_PRICE = "LIMIT_PRICE"
    HALTED = "HALTED"
    CLOCK = "CLOCK"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelStep:
    """Cancel what was read of one kind of a symbol's orders; plain and conditional ones of a whole account go all at
    once, unnamed."""

    symbol: str
    kind: OrderKind
    order_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseStep:
    """One reduce-only order: at the market, or with a ``price`` IOC, then on that ``rung`` of the ladder.

    ``sequence`` is never used twice in a job, so neither is the client order id. The leg is as last read, less its
    book.
    """

    leg: OpenLeg
    side: Side
    quantity: Decimal
    sequence: int
    price: Decimal | None = None
    rung: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """What one close came to, as the venue says. ``order_id`` is ``None`` where it knows no such order."""

    symbol: str
    client_order_id: str
    order_id: str | None
    quantity: Decimal
    average_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """What the venue charged for one of our orders, all its executions together."""

    order_id: str
    amount: Decimal
    asset: str


# What happened. Every event carries its time: the machine has no clock of its own.


@dataclass(frozen=True, slots=True, kw_only=True)
class Engaged:
    """Somebody, or a rule, pressed. ``deadline`` is when the machine stops trying.

    ``silent_until``: the venue's ban, known from an earlier job. Nothing is asked of the venue before its end.
    """

    at: datetime
    by: str
    reason: str
    deadline: datetime
    flatten: Flatten = FLATTEN_DEFAULT
    silent_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysDisabled:
    """No bot can enter any more; ``latched`` says whether the shared store heard of it too."""

    at: datetime
    latched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """The venue's own word, orders read before positions; ``at`` is when the reading ended.

    ``complete`` is false where positions alone were read: between closes, when the last reading showed no order, and
    between two askings for a list that could not be read. Then the orders here are none because none were asked for.

    ``unread`` names what could not be read this time, the positions or kinds of orders, ``unlisted`` the kinds that the
    venue does not list at all at its address, each with the venue's answer. ``venue_time`` is the venue's clock, read
    after the orders and beside the positions. ``digest``: SHA-256, in hex, of the canonical JSON of all that was read.
    """

    at: datetime
    plain_orders: tuple[RestingOrder, ...]
    conditional_orders: tuple[RestingOrder, ...]
    positions: tuple[OpenLeg, ...]
    algo_orders: tuple[RestingOrder, ...] = ()
    complete: bool = True
    unread: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    venue_time: datetime | None = None
    digest: str = ""

    @property
    def orders(self) -> int:
        """How many orders of any kind rest."""
        return len(self.plain_orders) + len(self.conditional_orders) + len(self.algo_orders)

    @property
    def positions_read(self) -> bool:
        """Whether the positions are what the venue shows, all of them; where they were not read there are none here."""
        return not self.misses("positions: ")

    def misses(self, *words: str) -> bool:
        """Whether something that ``unread`` names with one of these words, at its beginning, was not read."""
        return any(what.startswith(words) for what in self.unread)


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyFailed:
    """The venue could not be read; ``retry_after`` is its demand to stay away, in seconds.

    ``refused``: it said no, with a code of its own, to everything that was asked for.
    """

    at: datetime
    error: str
    retry_after: float | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSent:
    """The venue said OK to a cancel. It proves nothing yet."""

    at: datetime
    step: CancelStep


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelFailed:
    """A cancel was refused or its outcome is not known."""

    at: datetime
    step: CancelStep
    error: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseSent:
    """The venue took a close and said what came of it. It proves nothing yet."""

    at: datetime
    step: CloseStep
    client_order_id: str = ""
    order_id: str = ""
    filled_quantity: Decimal = Decimal(0)
    average_price: Decimal | None = None
    venue_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseFailed:
    """Nobody knows whether the close was executed, or it never left; only a new survey tells."""

    at: datetime
    step: CloseStep
    error: str
    client_order_id: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRejected:
    """The venue refused the close for a stated reason: it has had no effect."""

    at: datetime
    step: CloseStep
    error: str
    client_order_id: str = ""
    refusal: Refusal = Refusal.OTHER


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimated:
    """What closing was expected to cost before the first close. It moves nothing."""

    at: datetime
    estimate: CostEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallied:
    """Once the account was calm: what became of the closes whose outcome nobody knew, and what all were charged.

    ``error`` says why it could not be learnt.
    """

    at: datetime
    fills: tuple[Fill, ...] = ()
    fees: tuple[Fee, ...] = ()
    error: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Costed:
    """What closing has cost. It moves nothing."""

    at: datetime
    cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """A wait that the machine asked for is over."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """Another process took over after a crash. What was under way is unknown, and nobody was watching the calm."""

    at: datetime
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePassed:
    """The time is up."""

    at: datetime


Event = (
    Engaged
    | KeysDisabled
    | Surveyed
    | SurveyFailed
    | CancelSent
    | CancelFailed
    | CloseSent
    | CloseFailed
    | CloseRejected
    | CostEstimated
    | Tallied
    | Costed
    | Waited
    | Resumed
    | DeadlinePassed
)


# What to do.


@dataclass(frozen=True, slots=True)
class DisableKeys:
    """Stop every bot of the account."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Read all orders of every kind and then all positions; without ``orders`` the positions alone."""

    orders: bool = True


@dataclass(frozen=True, slots=True)
class Cancel:
    """Send these cancels at once; every one answers with its own event."""

    steps: tuple[CancelStep, ...]


@dataclass(frozen=True, slots=True)
class Close:
    """Send these closes at once, one a leg; every one answers with its own event."""

    steps: tuple[CloseStep, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """Ask what became of these closes, and for the fees of these symbols. Nothing rests on it but the report."""

    steps: tuple[CloseStep, ...]
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing until then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to do, or nothing more can be done."""


Action = DisableKeys | Survey | Cancel | Close | Tally | Wait | Finish
