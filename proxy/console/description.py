"""The API's description at the control door, and the explanation that a problem's ``type`` leads to."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from proxy.console import shapes
from proxy.console.answers import Json, Refusal
from proxy.console.bodies import read_query
from proxy.console.describing import Answer, described
from proxy.console.openapi import document
from proxy.console.problems import PROBLEMS, Problem
from proxy.console.routing import Kind, add
from proxy.console.texts import CODE
from proxy.people.roles import Role


class DescriptionApi:
    """One method a route. ``cookie`` is what the session's cookie is called."""

    def __init__(self, cookie: str) -> None:
        self._cookie = cookie
        self._document: dict[str, Any] = {}

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        whole = Answer(shape=shapes.ANYTHING, example={"openapi": "3.1.0"}, says="OpenAPI 3.1.")
        listed = Answer(shape=shapes.ProblemRows, example={"problems": [row(PROBLEMS["REFUSED"])]}, says="All of them.")
        one = Answer(shape=shapes.ProblemRow, example=row(PROBLEMS["REFUSED"]), says="What it means, and what to do.")
        add(
            routes,
            "/openapi.json",
            self.description,
            method="GET",
            role=Role.VIEWER,
            kind=Kind.API,
            **described(whole),
        )
        add(routes, "/problems", self.problems, method="GET", role=None, **described(listed))
        add(
            routes,
            "/problems/{code}",
            self.problem,
            method="GET",
            role=None,
            **described(one, path=(CODE,), problems=("NO_SUCH_PROBLEM",)),
        )
        return routes

    async def description(self, request: Request) -> Json:
        """This description."""
        read_query(request)
        if not self._document:  # Not before the first asks: by then every route is there.
            self._document = document(request.app, cookie=self._cookie)
        return Json(self._document)

    async def problems(self, request: Request) -> Json:
        """Every kind of problem this port answers with."""
        read_query(request)
        return Json({"problems": [row(problem) for problem in PROBLEMS.values()]})

    async def problem(self, request: Request) -> Json:
        """One kind of problem: where its `type` leads."""
        read_query(request)
        found = PROBLEMS.get(request.path_params["code"])
        if found is None:
            raise Refusal(404, "NO_SUCH_PROBLEM", "there is no problem of that code")
        return Json(row(found))


def row(problem: Problem) -> dict[str, Any]:
    """A problem as its explanation shows it."""
    return {
        "type": problem.type,
        "code": problem.code,
        "status": problem.status,
        "title": problem.title,
        "advice": problem.advice,
    }
