"""Why the engine refuses a command, in words no venue owns; a dialect turns each reason into its own code."""

from enum import Enum, auto


class Reason(Enum):
    """Every refusal the engine can give."""

    UNKNOWN_SYMBOL = auto()
    SYMBOL_NOT_TRADING = auto()
    SYMBOL_CLOSING_ONLY = auto()
    QUANTITY_NOT_POSITIVE = auto()
    QUANTITY_TOO_SMALL = auto()
    QUANTITY_TOO_LARGE = auto()
    QUANTITY_OFF_STEP = auto()
    PRECISION = auto()
    PRICE_NOT_POSITIVE = auto()
    PRICE_TOO_LOW = auto()
    PRICE_TOO_HIGH = auto()
    PRICE_OFF_TICK = auto()
    PRICE_ABOVE_BAND = auto()
    PRICE_BELOW_BAND = auto()
    MARKET_OUTSIDE_BAND = auto()
    NOTIONAL_TOO_SMALL = auto()
    POSITION_SIDE_MISMATCH = auto()
    REDUCE_ONLY_IN_HEDGE_MODE = auto()
    REDUCE_ONLY_REJECTED = auto()
    TOO_MANY_ORDERS = auto()
    TOO_MANY_CONDITIONALS = auto()
    TWAP_TOO_SMALL = auto()
    TWAP_TOO_LARGE = auto()
    DUPLICATE_CLIENT_ID = auto()
    POST_ONLY_WOULD_TAKE = auto()
    FILL_OR_KILL_UNFILLED = auto()
    MARGIN_INSUFFICIENT = auto()
    NOTIONAL_ABOVE_LEVERAGE_CAP = auto()
    WOULD_TRIGGER_AT_ONCE = auto()
    CLOSE_POSITION_EXISTS = auto()
    NO_POSITION_TO_WATCH = auto()
    CALLBACK_OUT_OF_RANGE = auto()
    GOOD_TILL_INVALID = auto()
    UNKNOWN_ORDER = auto()
    AMEND_NOT_LIMIT = auto()
    AMEND_NOTHING = auto()
    AMEND_SIDE_CHANGED = auto()
    LEVERAGE_INVALID = auto()
    LEVERAGE_REDUCED_WITH_ISOLATED_POSITION = auto()
    LEVERAGE_MARGIN_INSUFFICIENT = auto()
    MARGIN_MODE_UNCHANGED = auto()
    MARGIN_MODE_HAS_ORDERS = auto()
    MARGIN_MODE_HAS_POSITION = auto()
    POSITION_MODE_UNCHANGED = auto()
    POSITION_MODE_HAS_ORDERS = auto()
    POSITION_MODE_HAS_POSITION = auto()
    ISOLATED_MARGIN_NEEDS_ISOLATED = auto()
    ISOLATED_MARGIN_NO_POSITION = auto()
    ISOLATED_MARGIN_UNAVAILABLE = auto()
    ISOLATED_MARGIN_NOT_REMOVABLE = auto()


class Rejected(Exception):
    """A command the engine refused and did not execute. `detail` carries the limit the venue would quote."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.name} {detail}".strip())
        self.reason = reason
        self.detail = detail
