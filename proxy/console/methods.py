"""Which methods a path has. Each route knows its own alone, and a path may have several."""

from __future__ import annotations

from fastapi import Request
from fastapi.routing import iter_route_contexts


def allowed(request: Request) -> str:
    """The methods at this request's path, as the header ``Allow`` has them (RFC 9110, 10.2.1)."""
    path = request.scope["path"]
    routes = iter_route_contexts(request.app.routes)
    return ", ".join(sorted({each for route in routes if route.path_regex.match(path) for each in route.methods or ()}))
