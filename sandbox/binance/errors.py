"""Binance's error codes: what the venue says when the engine, or the door itself, refuses.

Codes and texts follow Binance's USD-M "Error Codes" page as remembered in November 2026; none was checked live.
"""

from __future__ import annotations

from http import HTTPStatus

from sandbox.engine.rejection import Reason, Rejected


class VenueError(Exception):
    """A refusal in the venue's words: `code` is negative, `status` the HTTP status it travels with."""

    def __init__(self, code: int, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status


_REASONS: dict[Reason, tuple[int, str]] = {
    Reason.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    Reason.SYMBOL_NOT_TRADING: (
        -4108,
        "Symbol is on delivering or delivered or settling or closed or pre-trading.",
    ),
    Reason.SYMBOL_CLOSING_ONLY: (-4140, "Invalid symbol status for opening position."),
    Reason.QUANTITY_NOT_POSITIVE: (-4003, "Quantity less than or equal to zero."),
    Reason.QUANTITY_TOO_SMALL: (-4004, "Quantity less than min quantity."),
    Reason.QUANTITY_TOO_LARGE: (-4005, "Quantity greater than max quantity."),
    Reason.QUANTITY_OFF_STEP: (-4023, "Qty not increased by step size."),
    Reason.PRECISION: (-1111, "Precision is over the maximum defined for this asset."),
    Reason.PRICE_NOT_POSITIVE: (-4001, "Price less than 0."),
    Reason.PRICE_TOO_LOW: (-4013, "Price less than min price."),
    Reason.PRICE_TOO_HIGH: (-4002, "Price greater than max price."),
    Reason.PRICE_OFF_TICK: (-4014, "Price not increased by tick size."),
    Reason.PRICE_ABOVE_BAND: (-4016, "Limit price can't be higher than {}."),
    Reason.PRICE_BELOW_BAND: (-4024, "Limit price can't be lower than {}."),
    Reason.MARKET_OUTSIDE_BAND: (
        -4131,
        "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    ),
    Reason.NOTIONAL_TOO_SMALL: (
        -4164,
        "Order's notional must be no smaller than {} (unless you choose reduce only).",
    ),
    Reason.POSITION_SIDE_MISMATCH: (-4061, "Order's position side does not match user's setting."),
    Reason.REDUCE_ONLY_IN_HEDGE_MODE: (-1106, "Parameter 'reduceonly' sent when not required."),
    Reason.REDUCE_ONLY_REJECTED: (-2022, "ReduceOnly Order is rejected."),
    Reason.TOO_MANY_ORDERS: (-2025, "Reach max open order limit."),
    Reason.TOO_MANY_CONDITIONALS: (-4045, "Reach max stop order limit."),
    Reason.TWAP_TOO_SMALL: (-20195, "The total size is too small."),
    Reason.TWAP_TOO_LARGE: (-20196, "The total size is too large."),
    Reason.DUPLICATE_CLIENT_ID: (-4116, "ClientOrderId is duplicated."),
    Reason.POST_ONLY_WOULD_TAKE: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    ),
    Reason.FILL_OR_KILL_UNFILLED: (
        -5021,
        "Due to the order could not be filled immediately, the FOK order has been rejected. "
        "The order will not be recorded in the order history",
    ),
    Reason.MARGIN_INSUFFICIENT: (-2019, "Margin is insufficient."),
    Reason.NOTIONAL_ABOVE_LEVERAGE_CAP: (-2027, "Exceeded the maximum allowable position at current leverage."),
    Reason.WOULD_TRIGGER_AT_ONCE: (-2021, "Order would immediately trigger."),
    Reason.CLOSE_POSITION_EXISTS: (
        -4130,
        "An open stop or take profit order with GTE and closePosition in the direction is existing.",
    ),
    Reason.NO_POSITION_TO_WATCH: (
        -4509,
        "Time in Force (TIF) GTE can only be used with open positions. Please ensure that positions are available.",
    ),
    Reason.CALLBACK_OUT_OF_RANGE: (-2007, "Invalid callBack rate."),
    Reason.GOOD_TILL_INVALID: (-4194, "Good till date is invalid."),
    Reason.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    Reason.AMEND_NOT_LIMIT: (-4135, "Order type does not support modification."),
    Reason.AMEND_NOTHING: (-5027, "No need to modify the order."),
    Reason.AMEND_SIDE_CHANGED: (-1117, "Invalid side."),
    Reason.LEVERAGE_INVALID: (-4028, "Leverage {} is not valid"),
    Reason.LEVERAGE_REDUCED_WITH_ISOLATED_POSITION: (
        -4161,
        "Leverage reduction is not supported in Isolated Margin Mode with open positions.",
    ),
    Reason.LEVERAGE_MARGIN_INSUFFICIENT: (-2028, "Leverage is smaller than permitted: insufficient margin balance."),
    Reason.MARGIN_MODE_UNCHANGED: (-4046, "No need to change margin type."),
    Reason.MARGIN_MODE_HAS_ORDERS: (-4047, "Margin type cannot be changed if there exists open orders."),
    Reason.MARGIN_MODE_HAS_POSITION: (-4048, "Margin type cannot be changed if there exists position."),
    Reason.POSITION_MODE_UNCHANGED: (-4059, "No need to change position side."),
    Reason.POSITION_MODE_HAS_ORDERS: (-4067, "Position side cannot be changed if there exists open orders."),
    Reason.POSITION_MODE_HAS_POSITION: (-4068, "Position side cannot be changed if there exists position."),
    Reason.ISOLATED_MARGIN_NEEDS_ISOLATED: (-4053, "Add margin only support for isolated position."),
    Reason.ISOLATED_MARGIN_NO_POSITION: (-4054, "Cannot add position margin: position is 0."),
    Reason.ISOLATED_MARGIN_UNAVAILABLE: (-4051, "Isolated balance insufficient."),
    Reason.ISOLATED_MARGIN_NOT_REMOVABLE: (-4051, "Isolated balance insufficient."),
}


def unavailable(*, maintenance: bool) -> VenueError:
    """The exchange takes no commands: planned maintenance, or an outage. Nothing was executed."""
    if maintenance:
        return VenueError(-1016, "This service is no longer available.", HTTPStatus.SERVICE_UNAVAILABLE)
    message = "Internal error; unable to process your request. Please try again."
    return VenueError(-1001, message, HTTPStatus.SERVICE_UNAVAILABLE)


def from_rejection(refusal: Rejected) -> VenueError:
    """The engine's refusal in the venue's words."""
    code, message = _REASONS[refusal.reason]
    return VenueError(code, message.format(refusal.detail))


def missing(name: str) -> VenueError:
    """A mandatory parameter that is absent or unreadable."""
    return VenueError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def malformed(name: str) -> VenueError:
    """A parameter that is there but cannot be read."""
    return VenueError(-1130, f"Data sent for parameter '{name}' is not valid.")


def not_required(name: str) -> VenueError:
    """A parameter that must not be there in this combination."""
    return VenueError(-1106, f"Parameter '{name}' sent when not required.")


def no_such_order() -> VenueError:
    """A query for an order that does not exist."""
    return VenueError(-2013, "Order does not exist.")
