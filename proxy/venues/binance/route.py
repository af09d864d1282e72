"""What a row of the route table says. The rows themselves are in the ``table_*`` files."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

BUDGET_HOST: Final = "fapi"
"""The host whose request budget a kill needs. The others count their own, under the same header names."""

# /futures/data lives on the host of /fapi.
_HOSTS: Final = {"futures": "fapi"}


class Access(StrEnum):
    """What a request must carry: nothing, the API key header, or the key and a signature over the parameters."""

    PUBLIC = "PUBLIC"
    KEY_ONLY = "KEY_ONLY"
    SIGNED = "SIGNED"


class Kind(StrEnum):
    """What a route does; one reader and one encoder each."""

    PUBLIC_READ = "PUBLIC_READ"
    READ = "READ"
    STREAM_KEY = "STREAM_KEY"
    ORDER = "ORDER"
    ORDER_TEST = "ORDER_TEST"
    BATCH_ORDER = "BATCH_ORDER"
    ALGO_ORDER = "ALGO_ORDER"
    AMEND = "AMEND"
    BATCH_AMEND = "BATCH_AMEND"
    CANCEL = "CANCEL"
    BATCH_CANCEL = "BATCH_CANCEL"
    CANCEL_ALL = "CANCEL_ALL"
    CANCEL_ALGO = "CANCEL_ALGO"
    CANCEL_ALL_ALGO = "CANCEL_ALL_ALGO"
    LEVERAGE = "LEVERAGE"
    MARGIN_TYPE = "MARGIN_TYPE"
    POSITION_MODE = "POSITION_MODE"
    MULTI_ASSET_MODE = "MULTI_ASSET_MODE"
    POSITION_MARGIN = "POSITION_MARGIN"
    DEAD_MAN = "DEAD_MAN"
    LEASE = "LEASE"
    DENY = "DENY"


class RouteClass(StrEnum):
    """The coarse class a row is listed and tested under.

    No row of Binance is EXIT: it has no close endpoint, so whether an order is an exit is decided by the position.
    """

    READ = "READ"
    ENTRY = "ENTRY"
    EXIT = "EXIT"
    CANCEL = "CANCEL"
    CONFIG = "CONFIG"
    DENY = "DENY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method and path, without the prefix the guard serves the venue under.

    ``parameters`` are the documented names, authentication aside; any other name is refused. ``weight`` is what the
    venue charges the address, ``weight_all`` what it charges when the request names no symbol. ``limit_group`` names
    the rows that share a limit beside the address's. ``reason`` says why a DENY row is denied.
    """

    method: str
    path: str
    kind: Kind
    route_class: RouteClass
    access: Access
    weight: int
    weight_all: int
    parameters: frozenset[str]
    reason: str = ""
    limit_group: str = ""

    @property
    def host(self) -> str:
        """The named upstream host the row lives on: ``fapi``, ``sapi``, ``api`` or ``dapi``."""
        first_segment = self.path.split("/")[1]
        return _HOSTS.get(first_segment, first_segment)


def row(
    method: str,
    path: str,
    kind: Kind,
    route_class: RouteClass,
    parameters: str,
    *,
    access: Access = Access.SIGNED,
    weight: int = 1,
    weight_all: int | None = None,
    limit_group: str = "",
) -> Route:
    """A row from a space-separated list of parameter names."""
    return Route(
        method=method,
        path=path,
        kind=kind,
        route_class=route_class,
        access=access,
        weight=weight,
        weight_all=weight if weight_all is None else weight_all,
        parameters=frozenset(parameters.split()),
        limit_group=limit_group,
    )


def denied(method: str, path: str, reason: str) -> Route:
    """A row that is never forwarded."""
    return Route(
        method=method,
        path=path,
        kind=Kind.DENY,
        route_class=RouteClass.DENY,
        access=Access.SIGNED,
        weight=0,
        weight_all=0,
        parameters=frozenset(),
        reason=reason,
    )
