"""The description says what there is: it is OpenAPI, its examples hold, and every answer has the shape it promises."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from proxy.console.answers import Json
from proxy.console.openapi import document
from proxy.console.problems import PROBLEMS
from proxy.console.texts import BLOCKED_MAX
from tests.proxy.console.conftest import BEARER, SAME_ORIGIN, Browser
from tests.proxy.console.desk_double import DeskDouble
from tests.support.kills import EXAMPLE_KILL
from tests.support.openapi import Described, closed, operations_of, validator
from tests.support.people import PASSWORD

ROOT = Path(__file__).resolve().parents[3]
API = re.compile(r"/(api|control)/|/(healthz|watchdog|openapi\.json|problems)\b")


@pytest.fixture
def description(app: FastAPI) -> dict[str, Any]:
    return document(app, cookie="perpguard_session")


def test_it_is_openapi(description: dict[str, Any]) -> None:
    OPENAPI_31_VALIDATOR.validate(description)


def test_every_route_of_the_api_is_in_it_and_no_page_is(app: FastAPI, description: dict[str, Any]) -> None:
    there = {(method, route.path) for route in iter_route_contexts(app.routes) for method in route.methods or ()}
    said = {(each.method.upper(), each.path) for each in operations_of(description)}
    assert said == {(method, path) for method, path in there if API.match(str(path))}


def test_every_operation_has_a_name_of_its_own_and_words(description: dict[str, Any]) -> None:
    operations = [each.operation for each in operations_of(description)]
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names)
    assert all(len(each["summary"]) > 5 for each in operations)


def contents(described: Described) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Everything of an operation that has a schema and examples."""
    if "requestBody" in described.operation:
        yield "body", described.operation["requestBody"]["content"]["application/json"]
    for status, answer in described.operation["responses"].items():
        for media_type, content in answer["content"].items():
            if media_type != "application/octet-stream":
                yield status, content


def test_every_example_is_what_its_schema_says(description: dict[str, Any]) -> None:
    strict, checked = closed(description), 0
    for described in operations_of(strict):
        for where, content in contents(described):
            judge = validator(strict, content["schema"])
            assert content["examples"], (described.name, where)
            for example in content["examples"].values():
                shown = (
                    strict["components"]["examples"][example["$ref"].rpartition("/")[2]]
                    if "$ref" in example
                    else example
                )
                assert [str(each) for each in judge.iter_errors(shown["value"])] == [], (described.name, where)
                checked += 1
        for parameter in described.operation.get("parameters", ()):
            judge = validator(strict, parameter["schema"])
            assert all(judge.is_valid(each) for each in parameter["schema"]["examples"]), parameter["name"]
    assert checked > 200


def test_a_schema_can_be_broken(description: dict[str, Any]) -> None:
    strict = closed(description)
    content = strict["paths"]["/api/desk"]["get"]["responses"]["200"]["content"]["application/json"]
    judge, desk = validator(strict, content["schema"]), content["examples"]["one"]["value"]
    assert judge.is_valid(desk)
    assert not judge.is_valid(desk | {"unheard_of": 1})
    assert not judge.is_valid({name: each for name, each in desk.items() if name != "drill"})


@pytest.mark.parametrize("sender", ["machine", "person"])
async def test_every_answer_to_the_example_has_the_promised_shape(
    client: httpx.AsyncClient, person: Browser, plane: DeskDouble, description: dict[str, Any], sender: str
) -> None:
    plane.job = EXAMPLE_KILL
    strict = closed(description)
    for described in operations_of(strict):
        answer = await send(described, client, person, sender)
        content = described.operation["responses"][str(answer.status_code)]["content"]
        schema = content[answer.headers["content-type"]]["schema"]
        errors = [str(each) for each in validator(strict, schema).iter_errors(answer.json())]
        assert errors == [], (described.name, answer.status_code)


async def send(described: Described, client: httpx.AsyncClient, person: Browser, sender: str) -> httpx.Response:
    body = described.body(sender)
    if body is not None and "proof" in body:
        body = body | {"proof": PASSWORD}
    if sender == "machine":
        return await client.request(described.method.upper(), described.url(), json=body, headers=BEARER)
    headers = SAME_ORIGIN | {"X-CSRF-Token": person.csrf}
    return await person.client.request(described.method.upper(), described.url(), json=body, headers=headers)


async def test_whoever_may_look_is_given_it(client: httpx.AsyncClient, description: dict[str, Any]) -> None:
    answer = await client.get("/openapi.json", headers=BEARER)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.content == Json(description).body
    assert (await client.get("/openapi.json")).status_code == 401


async def test_a_problems_type_leads_to_what_to_do(client: httpx.AsyncClient) -> None:
    problem = (await client.get("/api/decisions/nothing", headers=BEARER)).json()
    explained = (await client.get(problem["type"])).json()
    assert (explained["code"], explained["status"]) == ("NO_SUCH_DECISION", 404)
    assert "X-Guard-Decision" in explained["advice"]
    assert [each["code"] for each in (await client.get("/problems")).json()["problems"]] == list(PROBLEMS)
    assert (await client.get("/problems/ZQ9CANARY")).json()["code"] == "NO_SUCH_PROBLEM"


async def test_several_reasons_are_told_one_by_one(client: httpx.AsyncClient) -> None:
    body = {"scope": "desk\n", "zq9canary": "1"}
    told = (await client.post("/control/kill", json=body, headers=BEARER)).json()
    assert [each.get("pointer") for each in told["errors"]] == ["#/reason", None, "#/scope"]
    assert "zq9canary" not in str(told)


async def test_a_method_that_is_not_there_is_told_all_that_are(client: httpx.AsyncClient) -> None:
    answer = await client.put("/control/kill", headers=BEARER)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("limit", ["", "0", "501", "01", "1.0", "+1"], ids=repr)
async def test_the_limit_is_the_integer_it_is_described_as(client: httpx.AsyncClient, limit: str) -> None:
    answer = await client.get("/api/blocked", params={"limit": limit}, headers=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (422, "LIMIT")
    assert (await client.get(f"/api/blocked?limit={BLOCKED_MAX}", headers=BEARER)).status_code == 200


def refusals() -> Iterator[tuple[str, int | None, str]]:
    """Every code that the console refuses with, with its status where it stands beside it, and where it is."""
    for path in (ROOT / "proxy").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            named = getattr(node.func, "id", "")
            said = [each.value if isinstance(each, ast.Constant) else None for each in node.args]
            if named in ("Refusal", "error") and len(said) > 1 and isinstance(said[1], str):
                yield said[1], said[0] if isinstance(said[0], int) else None, path.name
            if named == "CommandRefused" and isinstance(said[0], str):
                yield said[0], None, path.name


def test_every_refusal_is_a_problem_of_the_table() -> None:
    found = list(refusals())
    assert {code for code, _, _ in found} - set(PROBLEMS) == set()
    assert [each for each in found if each[1] not in (None, PROBLEMS[each[0]].status)] == []
    by_itself = {"NOT_FOUND", "METHOD_NOT_ALLOWED", "INTERNAL"}  # What Starlette finds, and bugs.
    assert set(PROBLEMS) - {code for code, _, _ in found} <= by_itself
