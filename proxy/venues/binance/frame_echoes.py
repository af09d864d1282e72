"""What ccxt says twice: its own word for a thing beside Binance's. Taken only where both say the same.

ccxt.pro does so in every frame, ccxt by REST in an amend alone.

ccxt 4.5.90 builds Binance's parameters and then puts what its user wrote on top, so ``clientOrderId``,
``stopLossPrice`` or ``postOnly`` travel along. An echo is left out; a word that says more, or something else, stays
and is refused as the unknown parameter that it is, because Binance would ignore what the bot relies on.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.values import read_positive
from proxy.venues.binance.wire import Parameters

_SameAs = Callable[[str, str], bool]


def without_echoes(parameters: Parameters) -> Parameters:
    """The parameters without the words that repeat one of Binance's."""
    return parameters.without(
        frozenset(
            word
            for word, (names, same) in _ECHOES.items()
            if (said := parameters.get(word)) is not None
            and any((meant := parameters.get(name)) is not None and same(said, meant) for name in names)
        )
    )


def _same_text(said: str, meant: str) -> bool:
    return said == meant


def _same_number(said: str, meant: str) -> bool:
    """Equal but for the digits that were rounded away to Binance's tick."""
    try:
        number, kept = read_positive(said, "echo"), read_positive(meant, "echo")
    except MalformedRequest:
        return False
    return abs(number - kept) < _last_place(kept)


def _last_place(number: Decimal) -> Decimal:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101 - read_positive lets finite numbers through only
    return Decimal(1).scaleb(min(exponent, 0))


def _is_post_only(said: str, meant: str) -> bool:
    return (said, meant) == ("true", "GTX")


_ECHOES: Final[dict[str, tuple[tuple[str, ...], _SameAs]]] = {
    "clientOrderId": (("newClientOrderId", "clientAlgoId", "origClientOrderId"), _same_text),
    "stopLossPrice": (("triggerPrice",), _same_number),
    "takeProfitPrice": (("triggerPrice",), _same_number),
    "stopPrice": (("triggerPrice",), _same_number),
    "trailingPercent": (("callbackRate",), _same_number),
    "trailingTriggerPrice": (("activatePrice",), _same_number),
    "postOnly": (("timeInForce",), _is_post_only),
}
