"""``GET /metrics`` for Prometheus. It opens for the metrics token, and the metrics token opens nothing else."""

from __future__ import annotations

import hmac
from typing import Final, Protocol

from fastapi import APIRouter, Request, Response
from pydantic import SecretStr

from proxy.console.answers import Refusal
from proxy.console.routing import add
from proxy.console.sessions import digest
from proxy.settings import TOKEN_LENGTH_MIN

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class MetricsPlane(Protocol):
    """Whoever knows the numbers."""

    async def text(self) -> bytes:
        """All metrics in Prometheus's text format. Bounded, and safe to ask as often as anybody likes."""
        ...


class MetricsDoor:
    """The route and its token."""

    def __init__(self, plane: MetricsPlane, token: SecretStr) -> None:
        """ValueError for a token that is too short."""
        if len(token.get_secret_value()) < TOKEN_LENGTH_MIN:
            raise ValueError(f"the metrics token has at least {TOKEN_LENGTH_MIN} characters")
        self._plane = plane
        self._token = digest(token.get_secret_value())

    def router(self) -> APIRouter:
        """The route."""
        routes = APIRouter()
        add(routes, "/metrics", self.metrics, method="GET", role=None)
        return routes

    async def metrics(self, request: Request) -> Response:
        """Everything there is to watch, as Prometheus reads it."""
        self._check(request)
        return Response(await self._plane.text(), media_type=CONTENT_TYPE)

    def _check(self, request: Request) -> None:
        headers = request.headers.getlist("authorization")
        scheme, _, token = headers[0].partition(" ") if headers else ("", "", "")
        right = hmac.compare_digest(digest(token), self._token)
        if len(headers) != 1 or scheme.lower() != "bearer" or not right:
            raise Refusal(401, "UNAUTHENTICATED", "send the metrics token as a bearer token")
