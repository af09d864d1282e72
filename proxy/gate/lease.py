"""``/guard/v1/lease`` under the venue's prefix: a bot takes, renews or gives back its lease.

The one path of the guard's own among the venue's, signed as every request of the bot is; no venue has a path that
begins so. A lease that is not kept for certain is not acknowledged, and asking again is safe.
"""

from __future__ import annotations

import json
import logging
from typing import Final

from proxy.gate.answers import Answer, refusal
from proxy.gate.identity import Identity
from proxy.store.gate_store import GateStore
from proxy.store.leases import TTL_MAX_S, LeaseRequest
from proxy.store.trouble import KeyDisabled, RequestReplayed, StoreUnavailable
from proxy.venues.binance import rejections
from proxy.venues.binance.route import Access, Kind, Route, RouteClass
from proxy.venues.binance.values import read_int
from proxy.venues.binance.wire import AUTHENTICATION, Parameters

log = logging.getLogger("perpguard.gate")

LEASE_PATH: Final = "/guard/v1/lease"


def _route(method: str, parameters: frozenset[str]) -> Route:
    return Route(
        method=method,
        path=LEASE_PATH,
        kind=Kind.LEASE,
        route_class=RouteClass.CONFIG,
        access=Access.SIGNED,
        weight=0,
        weight_all=0,
        parameters=parameters,
    )


LEASE_ROUTES: Final = (_route("POST", frozenset({"ttl"})), _route("DELETE", frozenset()))
"""The guard's own."""


class LeaseDesk:
    """Answers for the lease of the bot that asks."""

    def __init__(self, store: GateStore) -> None:
        self._store = store

    async def answer(self, route: Route, parameters: Parameters, identity: Identity) -> Answer:
        """Take or renew the lease for ``ttl`` seconds, or give it back. Raises ``MalformedRequest``."""
        asked = parameters.without(AUTHENTICATION)
        asked.expect_only(route.parameters, f"{route.method} {route.path}")
        releasing = route.method == "DELETE"
        ttl_s = 0 if releasing else read_int(asked.require("ttl"), "ttl", low=1, high=TTL_MAX_S)
        try:
            await self._store.keep_lease(
                LeaseRequest(
                    account=identity.account,
                    bot=identity.bot,
                    guard_key=identity.guard_key,
                    ttl_s=ttl_s,
                    replay_digest=identity.replay_digest,
                    replay_window_ms=identity.replay_window_ms,
                )
            )
        except KeyDisabled:
            return refusal(rejections.key_disabled())
        except RequestReplayed:
            return refusal(rejections.replayed())
        except StoreUnavailable as trouble:
            log.warning("the lease of %s was not kept: %s", identity.bot, trouble)
            return refusal(rejections.lease_not_kept())
        told = {"account": identity.account, "bot": identity.bot, "secondsLeft": ttl_s}
        return Answer(status=200, body=json.dumps(told, separators=(",", ":")).encode("ascii"))
