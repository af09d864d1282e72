"""What ccxt.pro says twice is read once; what only looks like an echo is refused."""

from types import MappingProxyType

import pytest

from proxy.venues.binance.frame_echoes import without_echoes
from proxy.venues.binance.wire import Parameters


def left(**parameters):
    return dict(without_echoes(Parameters(MappingProxyType(parameters))).values)


@pytest.mark.parametrize(
    ("meant", "echo"),
    [
        ({"newClientOrderId": "x"}, {"clientOrderId": "x"}),
        ({"clientAlgoId": "x"}, {"clientOrderId": "x"}),
        ({"origClientOrderId": "x", "orderId": "1"}, {"clientOrderId": "x"}),
        ({"triggerPrice": "80000.1"}, {"stopLossPrice": "80000.123"}),
        ({"triggerPrice": "80000"}, {"takeProfitPrice": "80000.0"}),
        ({"triggerPrice": "80000"}, {"stopPrice": "80000"}),
        ({"callbackRate": "1", "activatePrice": "5.0"}, {"trailingPercent": "1", "trailingTriggerPrice": "5"}),
        ({"timeInForce": "GTX"}, {"postOnly": "true"}),
    ],
)
def test_an_echo_is_left_out(meant, echo):
    assert left(**meant, **echo) == meant


@pytest.mark.parametrize(
    "parameters",
    [
        {"newClientOrderId": "x", "clientOrderId": "y"},
        {"clientOrderId": "x"},
        {"stopLossPrice": "80000"},
        {"triggerPrice": "80000", "stopLossPrice": "79000"},
        {"triggerPrice": "80000.1", "stopLossPrice": "80000.2"},
        {"triggerPrice": "80000", "stopLossPrice": "nan"},
        {"triggerPrice": "80000", "trailingPercent": "80000"},
        {"timeInForce": "GTC", "postOnly": "true"},
        {"timeInForce": "GTX", "postOnly": "false"},
    ],
)
def test_what_says_something_else_stays_to_be_refused(parameters):
    assert left(**parameters) == parameters
