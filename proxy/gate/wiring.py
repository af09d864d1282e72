"""The doors of one venue, wired to the judge behind them: the same in a gate, in the tests and in the benches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from proxy.gate.counting import Counting
from proxy.gate.egress import VenueBudget
from proxy.gate.event_views import EventViews
from proxy.gate.identity import Identities
from proxy.gate.judge import Judge
from proxy.gate.lease import LeaseDesk
from proxy.gate.orders import OrderDesk
from proxy.gate.reads import ReadDesk, VenueReads
from proxy.gate.rest import BinanceDoor
from proxy.gate.shared_account import SharedAccount
from proxy.gate.streams.keys import KeyedSockets
from proxy.gate.trading import TradingDoor
from proxy.gate.upstream import Upstream
from proxy.gate.user_streams import UserStreams
from proxy.gate.views import Views
from proxy.store.gate_store import GateStore


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSide:
    """How a gate reaches its venue. ``now`` is the venue's time; ``hosts`` are its addresses, by name."""

    upstream: Upstream
    hosts: Mapping[str, str]
    stream_host: str
    now: Callable[[], datetime]
    budget: VenueBudget


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Where bots come in: requests, frames of the trading socket, their private streams. ``orders`` carries what moves
    money, by whichever door it came; ``events`` is what bots are shown of their account."""

    rest: BinanceDoor
    orders: OrderDesk
    trading: TradingDoor
    streams: UserStreams
    keys: KeyedSockets
    events: EventViews


def doors_to(
    venue: VenueSide,
    *,
    desk: str,
    store: GateStore,
    judge: Judge,
    identities: Identities,
    views: Views,
    now: Callable[[], datetime],
    counting: Counting,
) -> Doors:
    """Doors of ``desk`` to one venue. Nothing is asked of anybody yet."""
    keys = KeyedSockets(identities.obeys, store.disabled_keys)
    events = EventViews(views)
    streams = UserStreams(
        identities=identities,
        upstream=venue.upstream,
        hosts=venue.hosts,
        stream_host=venue.stream_host,
        now=venue.now,
        views=events,
    )
    asked = VenueReads(upstream=venue.upstream, hosts=venue.hosts, now=venue.now, counting=counting)
    reads = ReadDesk(store=store, views=views, venue=asked, budget=venue.budget, counting=counting)
    orders = OrderDesk(
        desk=desk,
        judge=judge,
        upstream=venue.upstream,
        hosts=venue.hosts,
        now=now,
        venue_now=venue.now,
        shared=SharedAccount(views, store, asked.ask, reads.kept),
        budget=venue.budget,
        counting=counting,
    )
    rest = BinanceDoor(
        identities=identities,
        orders=orders,
        reads=reads,
        streams=streams,
        leases=LeaseDesk(store),
        now=venue.now,
        counting=counting,
    )
    trading = TradingDoor(
        identities=identities, store=store, keys=keys, carry=rest.carry, now=venue.now, counting=counting
    )
    return Doors(rest=rest, orders=orders, trading=trading, streams=streams, keys=keys, events=events)
