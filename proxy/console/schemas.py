"""JSON Schema of what goes in and what comes out. What goes in is closed; what comes out may grow."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from proxy.console.describing import Body
from proxy.console.texts import Text

_REF: Final = "#/components/schemas/{name}"


def body_schema(body: Body) -> dict[str, Any]:
    """What a body may be. Where a machine and a person send different ones, the machine's stands first."""
    if body.alike:
        return _object(body.needed, body.optional)
    machine = _object((*body.needed, *body.machine), (*body.optional, *body.machine_optional))
    person = _object((*body.needed, *body.person), body.optional)
    return {
        "anyOf": [
            {"title": "from a machine", **machine},
            {"title": "from a signed-in person", **person},
        ]
    }


def schemas_of(shapes: Sequence[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The schemas of these types, in order, and the components that they share."""
    schemas, components = msgspec.json.schema_components(shapes, ref_template=_REF)
    told = {name: _as_answered(schema) for name, schema in sorted(components.items())}
    return [_as_answered(schema) for schema in schemas], told


def problem_schema() -> dict[str, Any]:
    """RFC 9457's object, with our members."""
    text = {"type": "string"}
    error = {"type": "object", "properties": {"detail": text, "pointer": text}, "required": ["detail"]}
    return {
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "properties": {
            "type": {**text, "format": "uri-reference", "description": "names the problem, and leads to what to do"},
            "title": {**text, "description": "the same for every occasion"},
            "status": {"type": "integer", "description": "the HTTP status"},
            "detail": {**text, "description": "this occasion"},
            "code": {**text, "description": "permanent: match on this"},
            "errors": {
                "type": "array",
                "items": error,
                "description": "every reason by itself, with a pointer to the field where it is about one (RFC 6901)",
            },
        },
        "required": ["type", "title", "status", "detail", "code"],
    }


def _object(needed: Sequence[Text], optional: Sequence[Text]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {text.name: text.schema() for text in (*needed, *optional)},
        "required": [text.name for text in needed],
        "additionalProperties": False,
    }


def _as_answered(schema: Any) -> Any:
    """A type's schema as ``answers.Json`` writes it: every name is always there, and NaN is ``null``."""
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return [_as_answered(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    told = {name: _as_answered(each) for name, each in schema.items() if name not in ("title", "default")}
    if told.get("type") == "number":
        told["type"] = ["number", "null"]
    if isinstance(told.get("description"), str):
        told["description"] = inspect.cleandoc(told["description"]).replace("``", "`")
    if isinstance(told.get("properties"), dict):
        told["properties"] = {name: _as_answered(each) for name, each in schema["properties"].items()}
        told["required"] = list(told["properties"])
    return told
