"""A JSON Schema of policies, for editors that complete and check TOML; made from the rules, so it cannot be behind.

It knows shapes, not everything: what two settings mean together is told by ``perpguard check``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from inspect import getdoc
from typing import Any, Final, Literal, get_args, get_origin

from proxy.policy.fields import Field, fields_of, items_of, kinds_of, table_of
from proxy.policy.packaged_rules import packaged_rule_ids
from proxy.policy.side_tables import KILL, OUTSIDE, RESIZE
from rules.ages import SPAN_MAX_S
from rules.catalog import CATALOG, GATES
from rules.custom import CUSTOM, CustomRule
from rules.kill.settings import KillSettings
from rules.loosening import DELAY_MAX_S, DELAY_MIN_S, Needs
from rules.outside import OutsideAction
from rules.resize import ResizeMode
from rules.rule import Rule, Setting

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> dict[str, Any]:
    """The schema."""
    rules = {rule_id: _rule(rule) for rule_id, rule in CATALOG.items()} | {CUSTOM: _custom()}
    packaged = {rule_id: {"type": "object"} for rule_id in packaged_rule_ids()}
    references = {rule_id: {"$ref": f"#/$defs/{rule_id}"} for rule_id in rules} | packaged
    outside = {OUTSIDE: {"$ref": f"#/$defs/{OUTSIDE}"}}
    resize = {RESIZE: {"$ref": f"#/$defs/{RESIZE}"}}
    return {
        "$schema": DIALECT,
        "title": "A perpguard policy",
        "type": "object",
        "required": ["policy"],
        "additionalProperties": False,
        "properties": {
            "policy": _head(),
            "desk": _table("limits of every order of the desk", references | outside),
            "account": _named("limits by account", references | outside),
            "bot": _named("limits by bot", references | resize),
            "symbol": _named("limits by symbol", references),
            KILL: _kill(),
        },
        "$defs": rules | {OUTSIDE: _outside(), RESIZE: _resize()},
    }


def _head() -> dict[str, Any]:
    text = {"type": "string", "pattern": r"\S"}
    about = "seconds a looser policy waits"
    delay = {"type": "integer", "minimum": DELAY_MIN_S, "maximum": DELAY_MAX_S, "description": about}
    return _table(
        "whose policy this is, and what loosening it needs",
        {
            "name": text | {"description": "what people call this policy"},
            "owner": text | {"description": "who answers for it"},
            "loosening": {"enum": [str(each) for each in Needs], "description": "what a looser policy needs"},
            "loosening_delay_s": delay,
        },
        required=["name", "owner"],
    )


def _outside() -> dict[str, Any]:
    action = {"enum": [str(each) for each in OutsideAction]}
    return _table("what follows when an account moves without the guard", {"action": action}, required=["action"])


def _resize() -> dict[str, Any]:
    mode = {"enum": [str(each) for each in ResizeMode]}
    return _table("what becomes of an entry that is too large", {"mode": mode}, required=["mode"])


def _kill() -> dict[str, Any]:
    tables = {}
    for name, field in fields_of(KillSettings).items():
        kind = table_of(field.hint)
        assert kind is not None, name  # noqa: S101 - every field of KillSettings is a table
        properties = {key: _setting(each) for key, each in fields_of(kind).items()}
        tables[name] = _table((getdoc(kind) or "").partition("\n")[0], properties)
    return _table("how the desk is stopped and started again", tables)


def _custom() -> dict[str, Any]:
    fields = fields_of(CustomRule)
    properties = {name: _setting(fields[name]) for name in ("enforcement", "expression", "message")}
    about = "the desk's own rules, one line of CEL each"
    return {
        "type": "object",
        "description": about,
        "additionalProperties": _table("", properties, required=list(properties)),
    }


def _rule(rule: type[Rule]) -> dict[str, Any]:
    fields = fields_of(rule)
    properties = {name: _setting(field) for name, field in fields.items()}
    if rule in GATES:
        properties["enforcement"] = {"const": "enforce", "description": "a gate cannot be switched off"}
    required = ["enforcement", *(name for name, field in fields.items() if field.required)]
    return _table((getdoc(rule) or "").partition("\n")[0], properties, required=required)


def _setting(field: Field) -> dict[str, Any]:
    described = {"description": field.setting.about} if field.setting.about else {}
    return _type(field.hint, field.setting) | described


def _type(hint: Any, setting: Setting) -> dict[str, Any]:
    kinds = [_kind(kind, setting) for kind in kinds_of(hint)]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


def _kind(kind: Any, setting: Setting) -> dict[str, Any]:
    if (table := table_of(kind)) is not None:
        fields = fields_of(table)
        inner = {name: _setting(field) for name, field in fields.items()}
        return _table("", inner, required=[name for name, field in fields.items() if field.required])
    origin = get_origin(kind) or kind
    if origin is Literal:
        return {"enum": list(get_args(kind))}
    if not isinstance(origin, type):
        return {}
    if issubclass(origin, StrEnum):
        return {"enum": [str(each) for each in origin]}
    if origin is bool:
        return {"type": "boolean"}
    if origin in (int, Decimal, float):
        least = {} if setting.zero_or_less else {"exclusiveMinimum": 0}
        most = {"maximum": 1} if setting.fraction else {"maximum": SPAN_MAX_S} if origin is int else {}
        return {"type": "integer" if origin is int else "number"} | least | most
    if origin is str:
        return {"type": "string"}
    if origin is datetime:
        return {"type": "string", "format": "date-time"}
    items = _type(items_of(kind), setting)
    if issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": items}
    if issubclass(origin, Sequence | Collection):
        return {"type": "array", "items": items}
    return {}


def _named(about: str, tables: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "description": about, "additionalProperties": _table("", tables)}


def _table(about: str, properties: Mapping[str, Any], *, required: Sequence[str] = ()) -> dict[str, Any]:
    table: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    if required:
        table["required"] = list(required)
    return table | ({"description": about} if about else {})
