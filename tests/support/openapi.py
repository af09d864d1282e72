"""The control API's description as tests use it: validators, examples, and a document for one kind of caller."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from proxy.console.bodies import FILE_LENGTH_MAX
from proxy.console.texts import LINE


@dataclass(frozen=True)
class Described:
    """One operation."""

    path: str
    method: str
    operation: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def role(self) -> str:
        return str(self.operation["x-perpguard-role"])

    @property
    def changes(self) -> bool:
        return self.method != "get"

    def url(self) -> str:
        """Its path with the examples of its parameters."""
        path = self.path
        for each in self.operation.get("parameters", ()):
            if each["in"] == "path":
                path = path.replace(f"{{{each['name']}}}", each["schema"]["examples"][0])
        return path

    def body(self, sender: str) -> dict[str, str] | None:
        """The example of what ``machine`` or ``person`` sends."""
        if "requestBody" not in self.operation:
            return None
        examples = self.operation["requestBody"]["content"]["application/json"]["examples"]
        found: dict[str, str] = examples.get(sender, examples.get("anybody"))["value"]
        return found


def operations_of(document: Mapping[str, Any]) -> Iterator[Described]:
    """Every operation of a document."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield Described(path, method, operation)


def validator(document: Mapping[str, Any], schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    """Judges against one schema of a document."""
    return jsonschema_rs.validator_for({**schema, "components": document["components"]}, validate_formats=True)


def closed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with every answer's object closed: what is not described is then an error."""
    found: dict[str, Any] = copy.deepcopy(dict(document))
    for schema in found["components"]["schemas"].values():
        _close(schema)
    return found


def _close(schema: Any) -> None:
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            schema["additionalProperties"] = False
        for each in schema.values():
            _close(each)
    elif isinstance(schema, list):
        for each in schema:
            _close(each)


def for_sender(document: Mapping[str, Any], sender: str, *, readable: bool) -> dict[str, Any]:
    """What ``machine`` or ``person`` may send, without the credentials: those are the caller's matter.

    ``readable``: with patterns that a generator of valid texts understands, which takes ``\\p{C}`` for the control
    characters alone.
    """
    found: dict[str, Any] = copy.deepcopy(dict(document))
    for each in operations_of(found):
        each.operation.pop("security")  # type: ignore[attr-defined]
        if "requestBody" in each.operation:
            content = each.operation["requestBody"]["content"]["application/json"]
            content.pop("examples")
            if "anyOf" in content["schema"]:
                content["schema"] = content["schema"]["anyOf"][0 if sender == "machine" else 1]
    return _readable(_small(found)) if readable else _small(found)


_GENERATED = "[!-~\\u00a1-\\u00ac\\u0391-\\u03a1\\u0430-\\u0435\\u4e00-\\u4e2f\\uff21-\\uff3a]"
"""Of the printable characters some of each width and script."""
_ANY = LINE["pattern"].split("|")[1].removesuffix(")*$")  # type: ignore[attr-defined]


def _small(value: Any) -> Any:
    """Without the bound on whole files: a generator would make every other text one of a quarter of a million."""
    if isinstance(value, dict):
        return {name: _small(each) for name, each in value.items() if (name, each) != ("maxLength", FILE_LENGTH_MAX)}
    return [_small(each) for each in value] if isinstance(value, list) else value


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _readable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_readable(each) for each in value]
    return value.replace(_ANY, _GENERATED) if isinstance(value, str) else value
