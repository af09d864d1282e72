"""The control door under /sandbox: move prices and time, arm faults, read the request log. For tests and demos."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, TypeVar

import msgspec

from sandbox.binance.dialect import Reply, json_reply
from sandbox.engine.digest import digest
from sandbox.engine.exchange import Exchange
from sandbox.engine.rejection import Rejected
from sandbox.engine.scenario import Scenario
from sandbox.engine.stepping import begin, jump, step
from sandbox.faults import Faults, LateExecution
from sandbox.request_log import RequestLog
from sandbox.stream_faults import StreamFaultDoor

STEPS_MAX = 200_000
_Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
_Body = TypeVar("_Body", bound=msgspec.Struct)


class _Price(msgspec.Struct, forbid_unknown_fields=True):
    symbol: str
    price: Decimal
    mark_price: Decimal | None = None


class _Step(msgspec.Struct, forbid_unknown_fields=True):
    n: Annotated[int, msgspec.Meta(ge=1, le=STEPS_MAX)] = 1


class _Scenario(msgspec.Struct, forbid_unknown_fields=True):
    scenario: Scenario


class _Speed(msgspec.Struct, forbid_unknown_fields=True):
    speed: Annotated[float, msgspec.Meta(ge=0, le=1_000)]


class _Faults(msgspec.Struct, forbid_unknown_fields=True):
    latency_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] | None = None
    drop_reply: _Count | None = None
    unknown_503: _Count | None = None
    unknown_503_execution: LateExecution | None = None
    late_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] | None = None
    reject_429: _Count | None = None
    retry_after_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] | None = None


class ControlDoor:
    """Answers /sandbox requests. `speed` is read by the ticker."""

    def __init__(self, exchange: Exchange, log: RequestLog, speed: float, streams: StreamFaultDoor) -> None:
        self._exchange = exchange
        self._log = log
        self._streams = streams
        self.faults = Faults()
        self.speed = speed

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        """Answer one request; 404 for unknown doors, 400 with a reason for bodies that cannot be used."""
        try:
            content = self._dispatch(f"{method} {path.removeprefix('/sandbox')}", body or b"{}")
        except msgspec.DecodeError as trouble:
            return json_reply(HTTPStatus.BAD_REQUEST, {"error": str(trouble)})
        except Rejected as refusal:
            return json_reply(HTTPStatus.BAD_REQUEST, {"error": refusal.reason.name})
        if content is None:
            return json_reply(HTTPStatus.NOT_FOUND, {"error": f"no such door: {method} {path}"})
        return json_reply(HTTPStatus.OK, content)

    def _dispatch(self, door: str, body: bytes) -> object:
        match door:
            case "GET /status":
                return self._status()
            case "POST /price":
                return self._set_price(_read(body, _Price))
            case "POST /step":
                for _ in range(_read(body, _Step).n):
                    step(self._exchange)
                return self._status()
            case "POST /scenario":
                begin(self._exchange, _read(body, _Scenario).scenario)
                return self._status()
            case "POST /speed":
                self.speed = _read(body, _Speed).speed
                return self._status()
            case "GET /faults":
                return asdict(self.faults)
            case "POST /faults":
                return self._arm(_read(body, _Faults))
            case "DELETE /faults":
                self.faults = Faults()
                return asdict(self.faults)
            case "GET /log":
                return {"total": self._log.total, "entries": [asdict(entry) for entry in self._log.entries]}
            case "DELETE /log":
                self._log.clear()
                return {"total": 0, "entries": []}
            case "GET /streams" | "POST /streams" | "DELETE /streams":
                return self._streams.answer(door.partition(" ")[0], body)
            case _:
                return None

    def _status(self) -> dict[str, object]:
        exchange = self._exchange
        return {
            "time_ms": exchange.now_ms,
            "steps": exchange.steps,
            "scenario": str(exchange.scenario),
            "speed": self.speed,
            "insurance_fund": str(exchange.insurance_fund),
            "digest": digest(exchange),
            "prices": {
                symbol: {
                    "index": str(market.index_price),
                    "mark": str(market.mark_price),
                    "last": str(market.last_price),
                }
                for symbol, market in exchange.markets.items()
            },
        }

    def _set_price(self, asked: _Price) -> dict[str, object]:
        for price in (asked.price, asked.mark_price):
            if price is not None and not (price.is_finite() and 0 < price < Decimal(10) ** 12):
                raise msgspec.ValidationError("prices must be positive numbers")
        jump(self._exchange, asked.symbol, asked.price, asked.mark_price)
        return self._status()

    def _arm(self, asked: _Faults) -> dict[str, object]:
        for name in asked.__struct_fields__:
            value = getattr(asked, name)
            if value is not None:
                setattr(self.faults, name, value)
        return asdict(self.faults)


def _read(body: bytes, shape: type[_Body]) -> _Body:
    return msgspec.json.decode(body, type=shape)
