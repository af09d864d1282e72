"""Commands, snapshots and decisions as JSON and back, without loss.

The audit replays decisions from these bytes alone, so decoding must give equal values. Decimals travel as strings,
times as RFC 3339, commands carry their class name under ``type``.
"""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, TypeVar, get_args

import msgspec

from proxy.decoding import build
from rules.account import Attempt, HeldOrder, Hold, HoldStatus
from rules.decision import Breach, Decision, Measure, Verdict
from rules.derived import Derived
from rules.model import Command, Intent
from rules.snapshot import Snapshot

T = TypeVar("T")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ORDER_FIELDS: Final = tuple(field.name for field in fields(HeldOrder))
_COMMANDS: Final[dict[str, type]] = {command.__name__: command for command in get_args(Command)}
_OPTIONAL: Final[dict[type, frozenset[str]]] = {
    command: frozenset(field.name for field in fields(command) if field.default is None)
    for command in _COMMANDS.values()
}
_COMMAND_FIELDS: Final[dict[type, tuple[str, ...]]] = {
    command: tuple(field.name for field in fields(command)) for command in _COMMANDS.values()
}
_DECISION_FIELDS: Final = tuple(field.name for field in fields(Decision))
_SNAPSHOT_FIELDS: Final = tuple(field.name for field in fields(Snapshot))
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def plain(value: object) -> Any:
    """``value`` as plain JSON types: dataclasses to dicts, ``Decimal`` to strings, times to RFC 3339."""
    return msgspec.to_builtins(value)


def dump(value: object) -> bytes:
    """Canonical JSON of plain types: sorted keys, no spaces. The audit hashes these bytes."""
    return _ENCODER.encode(value)


def once_for_all(value: object) -> msgspec.Raw:
    """The bytes of what is written down in several places: ``dump`` copies them and encodes nothing anew."""
    return msgspec.Raw(_ENCODER.encode(value))


def load(raw: bytes | str) -> Any:
    """Plain JSON types of ``raw``. Raises ``msgspec.DecodeError``, and ``RecursionError`` for too deep a one."""
    return msgspec.json.decode(raw)


def plain_command(command: Command) -> dict[str, Any]:
    """A command as a dict with its class name under ``type``; what was not given is left out."""
    optional = _OPTIONAL[type(command)]
    content = {name: value for name, value in plain(command).items() if value is not None or name not in optional}
    return {"type": type(command).__name__, **content}


def written_command(command: Command) -> msgspec.Raw:
    """The bytes of ``plain_command``."""
    optional = _OPTIONAL[type(command)]
    content: dict[str, Any] = {"type": type(command).__name__}
    for name in _COMMAND_FIELDS[type(command)]:
        value = getattr(command, name)
        if value is not None or name not in optional:
            content[name] = value
    return once_for_all(content)


def build_command(value: dict[str, Any]) -> Command:
    """The command ``plain_command`` wrote. Raises ``KeyError`` or ``msgspec.ValidationError``."""
    content = dict(value)
    command: Command = build(content, _COMMANDS[content.pop("type")])
    return command


def plain_decision(decision: Decision) -> dict[str, Any]:
    """A decision as plain JSON types."""
    decided: dict[str, Any] = load(dump(written_decision(decision, written_command(decision.effective))))
    return decided


def written_decision(decision: Decision, effective: msgspec.Raw) -> dict[str, Any]:
    """A decision for ``dump``, whose bytes are those of ``plain_decision``. ``effective`` is ``written_command`` of
    its own, which a request mostly has at hand."""
    written: dict[str, Any] = {name: getattr(decision, name) for name in _DECISION_FIELDS}
    written["effective"] = effective
    written["measures"] = [_written_measure(each) for each in decision.measures]
    return written


@lru_cache(maxsize=1024)
def _written_measure(measure: Measure) -> msgspec.Raw:
    """Four short texts; most of an order's measures are those of the order before."""
    return once_for_all(measure._asdict())


def build_decision(value: dict[str, Any]) -> Decision:
    """The decision ``plain_decision`` wrote."""
    return Decision(
        verdict=Verdict(value["verdict"]),
        intent=Intent(value["intent"]),
        effective=build_command(value["effective"]),
        policy_version=value["policy_version"],
        snapshot_version=value["snapshot_version"],
        breaches=build(value["breaches"], tuple[Breach, ...]),
        would_deny=build(value["would_deny"], tuple[Breach, ...]),
        advice=build(value["advice"], tuple[str, ...]),
        headroom=_decimal(value["headroom"]),
        # Records written before these were kept have none.
        measures=tuple(Measure(**each) for each in build(value.get("measures", ()), list[dict[str, str]])),
        overridden=build(value.get("overridden", ()), tuple[Breach, ...]),
        overrides=build(value.get("overrides", ()), tuple[str, ...]),
        trimmed_from=_decimal(value.get("trimmed_from")),
        trimmed_by=build(value.get("trimmed_by", ()), tuple[Breach, ...]),
    )


def _decimal(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def plain_snapshot(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as plain JSON types. What a bot tried before and what others have under way is written short: it comes
    again with every order."""
    picture: dict[str, Any] = load(dump(written_snapshot(snapshot)))
    return picture


def written_snapshot(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot for ``dump``, whose bytes are those of ``plain_snapshot``.

    What comes with many orders is written once for all of them: it is kept with the very value that it is written of,
    and goes with it.
    """
    picture: dict[str, Any] = {name: getattr(snapshot, name) for name in _SNAPSHOT_FIELDS}
    picture["attempts"] = [attempt.found(_written_attempt) for attempt in snapshot.attempts]
    picture["holds"] = [hold.found(_written_hold) for hold in snapshot.holds]
    picture["markets"] = {symbol: market.found(once_for_all) for symbol, market in snapshot.markets.items()}
    for name in ("conditions", "usual"):
        value: Derived | None = picture[name]
        picture[name] = value.found(once_for_all) if value is not None else None
    return picture


def build_snapshot(value: dict[str, Any]) -> Snapshot:
    """The snapshot ``plain_snapshot`` wrote."""
    attempts = tuple(_build_attempt(each) for each in value.get("attempts", ()))
    holds = tuple(_build_hold(each) for each in value.get("holds", ()))
    return replace(build({**value, "attempts": (), "holds": ()}, Snapshot), attempts=attempts, holds=holds)


def _written_hold(hold: Hold) -> msgspec.Raw:
    return once_for_all(_plain_hold(hold))


def _plain_hold(hold: Hold) -> list[Any]:
    """Its fields by place, and of each order too, as an attempt's."""
    return [hold.hold_id, hold.bot, hold.sequence, hold.status, [_plain_order(order) for order in hold.orders]]


def _build_hold(value: list[Any] | dict[str, Any]) -> Hold:
    if isinstance(value, dict):  # Decisions of before name the fields.
        return build(value, Hold)
    hold_id, bot, sequence, status, orders = value
    return Hold(
        hold_id=build(hold_id, str),
        bot=build(bot, str),
        sequence=build(sequence, int),
        status=build(status, HoldStatus),
        orders=tuple(map(_build_order, orders)),
    )


def _written_attempt(attempt: Attempt) -> msgspec.Raw:
    return once_for_all(_plain_attempt(attempt))


def _plain_attempt(attempt: Attempt) -> list[Any]:
    """Its fields by place; of each order the fields by place, without what is not given at the end."""
    size = None if attempt.refused_at_size is None else f"{attempt.refused_at_size:f}"
    at_us = (attempt.at - _EPOCH) // _MICROSECOND
    return [at_us, attempt.hold_id, attempt.refused, size, [_plain_order(order) for order in attempt.orders]]


def _plain_order(order: HeldOrder) -> list[Any]:
    values = [plain(getattr(order, name)) for name in _ORDER_FIELDS]
    while values and values[-1] in (None, False):
        values.pop()
    return values


def _build_attempt(value: list[Any]) -> Attempt:
    at_us, hold_id, refused, size, orders = value
    return Attempt(
        at=_EPOCH + at_us * _MICROSECOND,
        hold_id=hold_id,
        refused=refused,
        refused_at_size=_decimal(size),
        orders=tuple(map(_build_order, orders)),
    )


def _build_order(value: list[Any]) -> HeldOrder:
    return build(dict(zip(_ORDER_FIELDS, value, strict=False)), HeldOrder)
