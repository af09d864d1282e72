"""``control-api.md`` out of the control API's own description: what an operator's scripts can rely on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import SecretStr

from proxy.console.app import create_console
from proxy.console.openapi import document
from proxy.console.problems import PROBLEMS
from proxy.console.texts import LINE, POLICY_TEXT
from proxy.watchdog.door import watchdog_routes

_PRINTABLE: Final = {LINE["pattern"]: "a line", POLICY_TEXT.accepts["pattern"]: "lines"}
_KINDS: Final = {"string": "text", "object": "object", "boolean": "true or false", "null": "null"}
_EVERYWHERE: Final = ("INTERNAL", "WRONG_HOST")


def description() -> dict[str, Any]:
    """The description of a warden's whole control API. Nothing is behind it: nobody asks anything."""
    nothing: Any = _Nobody()
    app = create_console(nothing, nothing, token=SecretStr("0" * 64), commands=nothing)
    app.include_router(watchdog_routes(nothing))
    return document(app, cookie="perpguard_session")


class _Nobody:
    """Has whatever part of a warden is asked of it."""

    def __getattr__(self, name: str) -> _Nobody:
        return self


def control_api_part() -> str:
    """The generated part of the page."""
    told = description()
    parts = [told["info"]["description"], "## Operations\n"]
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            parts += _operation(f"{method.upper()} {path}", operation)
    parts += ["## Problems\n", "| code | HTTP | title | what to do |", "|---|---|---|---|"]
    parts += [f"| `{each.code}` | {each.status} | {each.title} | {each.advice} |" for each in PROBLEMS.values()]
    parts += ["", "## Shapes\n", "Of the answers; every name is always there.\n"]
    for name, schema in told["components"]["schemas"].items():
        parts += _shape(name, schema)
    return "\n".join(parts)


def _operation(name: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"### `{name}`\n"
    yield f"{operation['summary']}. {operation.get('description', '')}".strip() + "\n"
    yield f"Role: {operation['x-perpguard-role']}.\n"
    yield from _takes(operation)
    for status, answer in operation["responses"].items():
        if "application/json" in answer["content"]:
            content = answer["content"]["application/json"]
            yield f"Answers {status} {_of(content['schema'])}: {answer['description']}\n"
    codes = sorted(set(_codes(operation)) - set(_EVERYWHERE))
    if codes:
        yield f"Problems: {', '.join(f'`{code}`' for code in codes)}.\n"
    if "requestBody" in operation:
        examples = operation["requestBody"]["content"]["application/json"]["examples"]
        yield f"```json\n{json.dumps(next(iter(examples.values()))['value'], ensure_ascii=False)}\n```\n"


def _takes(operation: Mapping[str, Any]) -> Iterator[str]:
    rows = [(each["name"], each["in"], each["description"], each["schema"]) for each in operation.get("parameters", ())]
    if "requestBody" in operation:
        rows += _fields(operation["requestBody"]["content"]["application/json"]["schema"])
    if rows:
        yield "| name | where | what | accepted |\n|---|---|---|---|"
        yield from (f"| `{name}` | {where} | {says} | {_accepted(schema)} |" for name, where, says, schema in rows)
        yield ""


def _fields(schema: Mapping[str, Any]) -> list[tuple[str, str, str, Mapping[str, Any]]]:
    """The body's texts, with whose they are."""
    variants = schema.get("anyOf", [schema])
    fields: dict[str, Mapping[str, Any]] = {}
    for each in variants:
        fields |= each["properties"]
    rows = []
    for name, field in fields.items():
        senders = [each.get("title", "").removeprefix("from ") for each in variants if name in each["properties"]]
        optional = not any(name in each["required"] for each in variants)
        whose = f"body of {senders[0]}" if len(senders) < len(variants) else "body"
        rows.append((name, f"{whose}, optional" if optional else whose, field["description"], field))
    return rows


def _accepted(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    if "minimum" in schema:
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    if "anyOf" in schema:
        return " or ".join(_accepted(each) for each in schema["anyOf"])
    if schema.get("maxLength") == 0:
        return "nothing"
    pattern = schema["pattern"]
    if pattern in _PRINTABLE:
        return f"{_PRINTABLE[pattern]} of at most {schema['maxLength']} printable characters"
    return "`" + pattern.replace("|", "\\|") + "`"


def _codes(operation: Mapping[str, Any]) -> Iterator[str]:
    for answer in operation["responses"].values():
        if "application/problem+json" in answer["content"]:
            yield from answer["content"]["application/problem+json"]["examples"]


def _shape(name: str, schema: Mapping[str, Any]) -> Sequence[str]:
    words = " ".join(schema.get("description", "").split())
    if "enum" in schema:
        return [f"### {name}\n", f"{words}\n", ", ".join(f"`{each}`" for each in schema["enum"]) + "\n"]
    fields = [f"- `{field}`: {_of(each)}" for field, each in schema.get("properties", {}).items()]
    return [f"### {name}\n", f"{words}\n", *fields, ""]


def _of(schema: Mapping[str, Any]) -> str:
    """A type in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        # What may be null may be so in two ways: a number that is none is null in JSON too.
        return " or ".join(dict.fromkeys(word for each in schema["anyOf"] for word in _of(each).split(" or ")))
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    kind = schema.get("type", "object")
    if "prefixItems" in schema:
        return f"[{', '.join(_of(each) for each in schema['prefixItems'])}]"
    if kind == "array":
        return f"list of {_of(schema.get('items', {}))}"
    if isinstance(kind, list):
        return "number or null"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_of(schema['additionalProperties'])}"
    return {"string": "decimal text"}.get(kind, "") if schema.get("format") == "decimal" else _KINDS.get(kind, kind)
