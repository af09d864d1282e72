"""Frames of the WebSocket trading API, ``/ws-fapi/v1``: one signed request each, and the answer to it. No socket here.

A frame is read as the parameters of the REST request that does the same, so that both doors have one meaning.

Source: Binance USD-M "WebSocket API General Info" and the models of its own SDK (18.1.0), 2026-11; ccxt.pro 4.5.90.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NoReturn, TypeAlias
from urllib.parse import quote_plus

import msgspec

from proxy.venues.binance import rejections
from proxy.venues.binance.malformed import MalformedRequest, illegal, too_many
from proxy.venues.binance.rejections import Rejection
from proxy.venues.binance.routes import Route, find_route
from proxy.venues.binance.signing import verify_payload
from proxy.venues.binance.values import read_bool
from proxy.venues.binance.wire import BYTES_MAX, PARAMETERS_MAX, Parameters

FrameId: TypeAlias = str | int | None

# The account methods answer with the fields of these versions: the SDK's models of both doors are the same.
_TARGETS: Final[dict[str, tuple[str, str]]] = {
    "order.place": ("POST", "/fapi/v1/order"),
    "order.modify": ("PUT", "/fapi/v1/order"),
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "order.status": ("GET", "/fapi/v1/order"),
    "algoOrder.place": ("POST", "/fapi/v1/algoOrder"),
    "algoOrder.cancel": ("DELETE", "/fapi/v1/algoOrder"),
    "account.status": ("GET", "/fapi/v2/account"),
    "account.balance": ("GET", "/fapi/v2/balance"),
    "account.position": ("GET", "/fapi/v2/positionRisk"),
    "v2/account.status": ("GET", "/fapi/v3/account"),
    "v2/account.balance": ("GET", "/fapi/v3/balance"),
    "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
}
