"""The control door under /sandbox: move prices, time and money, arm faults, read the request log."""

from __future__ import annotations

import time
from dataclasses import asdict
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, TypeVar

import msgspec

from sandbox.binance.bans import Bans
from sandbox.binance.dialect import Reply, json_reply
from sandbox.engine.copying import put_position
from sandbox.engine.delisting import NOTICE_MS, announce_delisting
from sandbox.engine.digest import digest
from sandbox.engine.exchange import Exchange
from sandbox.engine.house import open_house
from sandbox.engine.model import MarginMode, PositionSide, Side
from sandbox.engine.money import take_stock
from sandbox.engine.rejection import Rejected
from sandbox.engine.scenario import Scenario
from sandbox.engine.stepping import begin, jump, step
from sandbox.fault_console import ArmFaults, FaultConsole
from sandbox.faults import Faults
from sandbox.late_requests import LateRequests
from sandbox.request_log import RequestLog
from sandbox.stream_faults import StreamFaultDoor

STEPS_MAX = 200_000
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


class _InsuranceFund(msgspec.Struct, forbid_unknown_fields=True):
    balance: Decimal


class _House(msgspec.Struct, forbid_unknown_fields=True):
    symbol: str
    side: Side
    quantity: Decimal
    leverage: int = 20


class _Position(msgspec.Struct, forbid_unknown_fields=True):
    account: str
    symbol: str
    quantity: Decimal
    price: Decimal
    position_side: PositionSide = PositionSide.BOTH
    leverage: Annotated[int, msgspec.Meta(ge=1, le=125)] = 20
    margin_mode: MarginMode = MarginMode.CROSS
    # What is set aside for an isolated one; without it, what it costs at its leverage.
    isolated_margin: Decimal | None = None


class _Transfer(msgspec.Struct, forbid_unknown_fields=True):
    account: str
    amount: Decimal


class _Delist(msgspec.Struct, forbid_unknown_fields=True):
    symbol: str
    after_s: Annotated[int, msgspec.Meta(ge=1, le=30 * 24 * 3600)] = NOTICE_MS // 1000


class ControlDoor:
    """Answers /sandbox requests. `speed` is read by the ticker."""

    def __init__(
        self, exchange: Exchange, log: RequestLog, bans: Bans, speed: float, seed: int, streams: StreamFaultDoor
    ) -> None:
        self._exchange = exchange
        self._log = log
        self._streams = streams
        self._console = FaultConsole(exchange, bans, seed, _wall_ms)
        self.speed = speed

    @property
    def faults(self) -> Faults:
        """What is armed for the next requests."""
        return self._console.faults

    @property
    def late(self) -> LateRequests:
        """What is still to be executed although its sender was told that nobody knows."""
        return self._console.late

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
                return self._console.show()
            case "POST /faults":
                return self._console.arm(_read(body, ArmFaults))
            case "DELETE /faults":
                return self._console.clear()
            case "POST /insurance_fund":
                return self._set_insurance_fund(_read(body, _InsuranceFund))
            case "POST /house":
                return self._open_house(_read(body, _House))
            case "POST /position":
                return self._put_position(_read(body, _Position))
            case "POST /transfer":
                return self._transfer(_read(body, _Transfer))
            case "POST /delist":
                notice = _read(body, _Delist)
                announce_delisting(self._exchange, notice.symbol, notice.after_s * 1000)
                return self._status()
            case "GET /log":
                return {"total": self._log.total, "entries": [asdict(entry) for entry in self._log.entries]}
            case "GET /log/totals":
                return {"total": self._log.total, "orders_taken": self._log.orders_taken}
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
            "halted": "maintenance" if exchange.maintenance else "outage" if exchange.outage else None,
            "insurance_fund": str(exchange.insurance_fund),
            "money": {name: str(amount) for name, amount in asdict(take_stock(exchange)).items()},
            "replay": self._replay(),
            "digest": digest(exchange),
            "prices": {
                symbol: {
                    "index": str(market.index_price),
                    "mark": str(market.mark_price),
                    "last": str(market.last_price),
                    "status": str(market.status),
                    "depth_share": str(market.depth.share),
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

    def _set_insurance_fund(self, asked: _InsuranceFund) -> dict[str, object]:
        if not (asked.balance.is_finite() and 0 <= asked.balance < Decimal(10) ** 12):
            raise msgspec.ValidationError("balance must be a number not below zero")
        self._exchange.set_insurance_fund(asked.balance)
        return self._status()

    def _open_house(self, asked: _House) -> dict[str, object]:
        if not (asked.quantity.is_finite() and 0 < asked.quantity < Decimal(10) ** 12):
            raise msgspec.ValidationError("quantity must be a positive number")
        account = open_house(self._exchange, asked.symbol, asked.side, asked.quantity, asked.leverage)
        return {"account": account.name, "balance": str(account.wallet)}

    def _put_position(self, asked: _Position) -> dict[str, object]:
        if not (asked.quantity.is_finite() and 0 < abs(asked.quantity) < Decimal(10) ** 12):
            raise msgspec.ValidationError("quantity must be a number, negative for a short, and not zero")
        if not (asked.price.is_finite() and 0 < asked.price < Decimal(10) ** 12):
            raise msgspec.ValidationError("price must be a positive number")
        margin = asked.isolated_margin
        if margin is not None and not (margin.is_finite() and 0 < margin < Decimal(10) ** 12):
            raise msgspec.ValidationError("isolated_margin must be a positive number")
        account = self._exchange.accounts.get(asked.account)
        if account is None:
            raise msgspec.ValidationError("no such account")
        put_position(
            self._exchange,
            account,
            asked.symbol,
            asked.position_side,
            asked.quantity,
            asked.price,
            leverage=asked.leverage,
            margin_mode=asked.margin_mode,
            isolated_margin=margin,
        )
        return {"account": account.name, "symbol": asked.symbol, "quantity": str(asked.quantity)}

    def _transfer(self, asked: _Transfer) -> dict[str, object]:
        if not (asked.amount.is_finite() and 0 < abs(asked.amount) < Decimal(10) ** 12):
            raise msgspec.ValidationError("amount must be a number, negative for money taken out, and not zero")
        account = self._exchange.accounts.get(asked.account)
        if account is None:
            raise msgspec.ValidationError("no such account")
        self._exchange.transfer(account, asked.amount)
        return {"account": account.name, "balance": str(account.wallet)}

    def _replay(self) -> dict[str, object] | None:
        """How far the recorded market has been played back; None when there is none."""
        playback = self._exchange.playback
        if playback is None:
            return None
        return {
            "symbols": list(playback.symbols),
            "start_ms": playback.start_ms,
            "end_ms": playback.end_ms,
            "finished": self._exchange.now_ms >= playback.end_ms,
        }


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _read(body: bytes, shape: type[_Body]) -> _Body:
    return msgspec.json.decode(body, type=shape)
