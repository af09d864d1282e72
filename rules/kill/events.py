"""The nouns of the kill: where it stands, what it sees, what can happen to it, what it can ask for. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from rules.model import PositionSide, Side


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingOrder:
    """An open order by the venue's id. ``client_order_id`` says whose it is."""

    symbol: str
    order_id: str
    client_order_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLeg:
    """A position as read, with the venue's limits for market orders; a limit that is not known is ``None``."""

    symbol: str
    position_side: PositionSide
    quantity: Decimal
    step_size: Decimal | None = None
    quantity_min: Decimal | None = None
    quantity_max: Decimal | None = None

    @property
    def key(self) -> str:
        """Names the leg: a hedged symbol has two."""
        return f"{self.symbol}/{self.position_side.value}"

    @property
    def closable(self) -> Decimal:
        """What one market order may close: at most the position and the venue's maximum; zero is dust."""
        size = abs(self.quantity)
        slice_ = size if self.quantity_max is None else min(size, self.quantity_max)
        if self.step_size:
            slice_ = (slice_ / self.step_size).to_integral_value(ROUND_DOWN) * self.step_size
        return Decimal(0) if self.quantity_min is not None and slice_ < self.quantity_min else slice_


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelStep:
    """Cancel every plain, or every conditional, order of a symbol."""

    symbol: str
    conditional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseStep:
    """One reduce-only market order. ``sequence`` is never used twice in a job, so neither is the client order id."""

    leg: OpenLeg
    side: Side
    quantity: Decimal
    sequence: int


# What happened. Every event carries its time: the machine has no clock of its own.


@dataclass(frozen=True, slots=True, kw_only=True)
class Engaged:
    """Somebody, or a rule, pressed. ``deadline`` is when the machine stops trying."""

    at: datetime
    by: str
    reason: str
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysDisabled:
    """No bot can enter any more; ``latched`` says whether the shared store heard of it too."""

    at: datetime
    latched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """The venue's own word, orders read before positions; ``at`` is when the reading ended."""

    at: datetime
    plain_orders: tuple[RestingOrder, ...]
    conditional_orders: tuple[RestingOrder, ...]
    positions: tuple[OpenLeg, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyFailed:
    """The venue could not be read; ``retry_after`` is its demand to stay away, in seconds."""

    at: datetime
    error: str
    retry_after: float | None = None


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
    """The venue took a close. It proves nothing yet."""

    at: datetime
    step: CloseStep


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseFailed:
    """Nobody knows whether the close was executed, or it never left; only a new survey tells."""

    at: datetime
    step: CloseStep
    error: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRejected:
    """The venue refused the close for a stated reason."""

    at: datetime
    step: CloseStep
    error: str


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
    """Read all plain orders, all conditional orders and then all positions."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Send these cancels at once; every one answers with its own event."""

    steps: tuple[CancelStep, ...]


@dataclass(frozen=True, slots=True)
class Close:
    """Send these closes at once, one a leg; every one answers with its own event."""

    steps: tuple[CloseStep, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing until then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to do, or nothing more can be done."""


Action = DisableKeys | Survey | Cancel | Close | Wait | Finish
