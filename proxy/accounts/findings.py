"""What can be found on an account that the guard did not forward: the nouns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Activity(StrEnum):
    """What was found. FORCED is the venue's own doing: reported, never acted on. OVERLOOKED is what nobody looked at:
    more happened at once than is kept."""

    ORDER = "order"
    AMEND = "amend"
    FILL = "fill"
    POSITION = "position"
    LEVERAGE = "leverage"
    MARGIN_MODE = "margin_mode"
    MARGIN = "margin"
    POSITION_MODE = "position_mode"
    ASSET_MODE = "asset_mode"
    WITHDRAWAL = "withdrawal"
    FORCED = "forced"
    OVERLOOKED = "overlooked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something the guard did not forward. ``subject`` is the symbol, or empty for the account as a whole.

    ``client_order_id`` names the order, of which this is the first that was seen; else it is empty.
    """

    activity: Activity
    subject: str
    detail: str
    client_order_id: str = ""

    @property
    def is_outside(self) -> bool:
        """Whether somebody other than guard and venue did it."""
        return self.activity is not Activity.FORCED
