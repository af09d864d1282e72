"""The API's description as OpenAPI 3.1, put together from what the application's own routes say of themselves.

A route without a description is a page, or a part of one, and is left out.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from proxy.console.describing import OPERATION_KEY, Answer, Body, Operation
from proxy.console.problems import PROBLEMS, Problem
from proxy.console.routing import PUBLIC, ROLE_KEY
from proxy.console.schemas import body_schema, problem_schema, schemas_of
from proxy.console.texts import NAME, SCOPE, Text

_SAFE: Final = ("get", "head")
_EVERYWHERE: Final = ("WRONG_HOST", "INTERNAL")
_OF_A_BODY: Final = ("MALFORMED", "MEDIA_TYPE", "CONTENT_ENCODING", "TOO_LARGE", "TOO_SLOW")
_WORDS: Final = """\
What the console's port answers to machines and to signed-in people's scripts.

**Who may.** Each operation says as `x-perpguard-role` which role it takes: `public`, or one of `viewer`, `trader`,
`risk` and `admin`, each of which may do everything the one before it may. A machine sends the control token as bearer
token and counts as `admin`; where somebody must stand for what is asked, it names the person. A signed-in person's
request carries the session's cookie and, where it changes something, the session's token as `X-CSRF-Token`, and comes
from the console's own page.

**What goes in** is strict: a flat JSON object of texts, under exactly these names, in UTF-8, without a name twice.
Queries likewise.

**What comes out** is JSON. Money and sizes are texts, exact to the last digit. A number that is none (NaN) is `null`.
Further names may be added to an answer at any time; none is taken away.

**Errors** are problems (RFC 9457, `application/problem+json`): `code` is permanent, `type` leads to its explanation,
`detail` is about this occasion, and `errors`, where there are several reasons, has each by itself. They repeat nothing
of what was sent. What is not described here is answered with 404 `NOT_FOUND` or 405 `METHOD_NOT_ALLOWED`.
"""


@dataclass(frozen=True, slots=True)
class _Route:
    """One route that describes itself."""

    path: str
    method: str
    role: str
    words: str
    operation: Operation

    @property
    def changes(self) -> bool:
        return self.method not in _SAFE


def document(app: FastAPI, *, cookie: str) -> dict[str, Any]:
    """The description of every route of ``app`` that has one. ``cookie`` is what the session's is called."""
    routes = list(_routes(app))
    shapes = [shape for route in routes for answer in route.operation.answers for shape in answer.shapes]
    schemas, components = schemas_of(shapes)
    said = iter(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        answers = {str(each.status): _answer(each, said) for each in route.operation.answers}
        paths.setdefault(route.path, {})[route.method] = _described(route, answers)
    codes = sorted({code for route in routes for code in _codes(route)})
    return {
        "openapi": "3.1.0",
        "info": {"title": "perpguard control API", "version": version("perpguard"), "description": _WORDS},
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": problem_schema()},
            "examples": {code: {"value": example_of(PROBLEMS[code])} for code in codes},
            "securitySchemes": _schemes(cookie),
        },
    }


def example_of(problem: Problem) -> dict[str, Any]:
    """A problem as it may be answered."""
    said = {"type": problem.type, "title": problem.title, "status": problem.status, "detail": problem.title}
    return {**said, "code": problem.code}


def _routes(app: FastAPI) -> Iterable[_Route]:
    for route in iter_route_contexts(app.routes):
        extra = getattr(route, "openapi_extra", None) or {}
        if OPERATION_KEY not in extra:
            continue
        method = next(iter(route.methods or ()))  # `routing.add` takes one.
        words = inspect.getdoc(route.endpoint) or ""
        yield _Route(str(route.path_format), method.lower(), extra[ROLE_KEY], words, extra[OPERATION_KEY])


def _described(route: _Route, answers: Mapping[str, Any]) -> dict[str, Any]:
    operation, (summary, _, more) = route.operation, route.words.partition(". ")
    said: dict[str, Any] = {
        "operationId": f"{route.method}{re.sub(r'[^a-z0-9]+', '_', route.path)}".rstrip("_"),
        "summary": summary.replace("``", "`").rstrip("."),
        ROLE_KEY: route.role,
        "security": _security(route),
    }
    if more:
        said["description"] = " ".join(more.replace("``", "`").split())
    parameters = [_parameter(text, "path") for text in operation.path]
    parameters += [_parameter(text, "query") for text in operation.query or ()]
    if parameters:
        said["parameters"] = parameters
    if operation.body is not None:
        content = {"application/json": {"schema": body_schema(operation.body), "examples": _examples(operation.body)}}
        said["requestBody"] = {"required": True, "content": content}
    said["responses"] = {**answers, **_problems(_codes(route))}
    return said


def _parameter(text: Text, place: str) -> dict[str, Any]:
    schema = text.schema()
    says = schema.pop("description")
    return {"name": text.name, "in": place, "required": place == "path", "description": says, "schema": schema}


def _examples(body: Body) -> dict[str, Any]:
    alike = {text.name: text.example for text in (*body.needed, *body.optional)}
    if body.alike:
        return {"anybody": {"value": alike}}
    machine = {text.name: text.example for text in (*body.machine, *body.machine_optional)}
    person = {text.name: text.example for text in body.person}
    return {"machine": {"value": alike | machine}, "person": {"value": alike | person}}


def _answer(answer: Answer, said: Iterator[dict[str, Any]]) -> dict[str, Any]:
    schemas = [next(said) for _ in answer.shapes]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    content = {"schema": schema, "examples": {"one": {"value": msgspec.to_builtins(answer.example)}}}
    media_types = {"application/json": content} | ({"application/octet-stream": {}} if answer.raw else {})
    return {"description": answer.says, "content": media_types}


def _security(route: _Route) -> list[dict[str, list[str]]]:
    if route.role == PUBLIC:
        return []
    person: dict[str, list[str]] = {"session": [], "csrf": []} if route.changes else {"session": []}
    return [{"controlToken": []}, person]


def _codes(route: _Route) -> list[str]:
    """Every problem a route may meet."""
    operation, codes = route.operation, [*route.operation.problems, *_EVERYWHERE]
    if route.role != PUBLIC:
        codes += ["UNAUTHENTICATED", "ROLE", *(("CSRF", "CROSS_ORIGIN") if route.changes else ())]
    if operation.query is not None and operation.body is None:
        codes.append("MALFORMED")
    if operation.body is not None:
        codes += [*_OF_A_BODY, *_codes_of(operation.body)]
    return sorted(set(codes))


def _codes_of(body: Body) -> Iterable[str]:
    if SCOPE in body.needed:
        yield "UNKNOWN_SCOPE"
    if body.machine or body.machine_optional:
        yield "NAME"
    if NAME in body.machine:
        yield from ("UNKNOWN_PERSON", "ROLE")
    if body.person:
        yield from ("PROOF", "TOO_MANY_ATTEMPTS", "BUSY", "PEOPLE_UNREADABLE")


def _problems(codes: Sequence[str]) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {str(status): _problem(status, each) for status, each in sorted(by_status.items())}


def _problem(status: int, codes: Sequence[str]) -> dict[str, Any]:
    narrowed = {"properties": {"status": {"const": status}, "code": {"enum": codes}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}
    examples = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
    content = {"application/problem+json": {"schema": schema, "examples": examples}}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _schemes(cookie: str) -> dict[str, Any]:
    return {
        "controlToken": {"type": "http", "scheme": "bearer", "description": "the control token; for machines"},
        "session": {"type": "apiKey", "in": "cookie", "name": cookie, "description": "a signed-in person"},
        "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token", "description": "the session's own token"},
    }
