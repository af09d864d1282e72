"""Whose connection gives way when there are too many: of a gate in all, of one client address, of one guard key.

Nobody new is turned away here. Whoever has held a connection longest without one whole request goes, so that a crowd
that never finishes anything keeps no bot out: theirs is whole within milliseconds. Where few of those are left, the one
that has been idle longest goes, first of those who never named a guard key of this vault: a crowd that only asks what
anybody may ask takes no bot's place. A bot opens another without losing anything, and never goes while its request is
under way.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol, TypeAlias

CONNECTIONS_MAX: Final = 4_096
"""Of one gate process."""

ADDRESS_CONNECTIONS_MAX: Final = 3_072
"""Of one address: three quarters, so that another finds room at once. Not fewer, for a desk's bots often share one
address (loopback, NAT, the balancer in front), and two thousand of theirs are meant to fit into one gate."""

KEY_CONNECTIONS_MAX: Final = 512
"""Of one guard key: far more than a client's pool (httpx and aiohttp keep 100). It stops the bot that opens a
connection for every request and never closes one."""

_LOOKED_AT_MAX: Final = 64
"""Connections looked at for one that is idle, so that a crowd makes no newcomer dear."""


class Guest(Protocol):
    """A connection, as far as it concerns who goes."""

    @property
    def idle(self) -> bool:
        """Whether no request is under way or on its way in."""
        ...

    def give_way(self) -> None:
        """Close at once; there are too many."""
        ...


Owner: TypeAlias = Hashable


class _Room:
    """Places for so many, in three lists: strangers, whose request was never whole, the oldest first; those who asked
    without a guard key; and those who named one and are known. Of both the one whose last request is longest ago first.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._strangers: dict[Guest, None] = {}
        self._asking: dict[Guest, None] = {}
        self._known: dict[Guest, None] = {}

    def __bool__(self) -> bool:
        return bool(self._strangers or self._asking or self._known)

    def enter(self, guest: Guest) -> None:
        """Take a place as a stranger."""
        self._strangers[guest] = None

    def know(self, guest: Guest, *, by_key: bool) -> None:
        """A request of this one is whole. Who has named a key once stays known."""
        among = self._known if by_key or guest in self._known else self._asking
        self.leave(guest)
        among[guest] = None

    def leave(self, guest: Guest) -> None:
        """Give the place back."""
        self._strangers.pop(guest, None)
        self._asking.pop(guest, None)
        self._known.pop(guest, None)

    def surplus(self) -> Guest | None:
        """Who has to go, if there is one too many."""
        unknown = len(self._strangers) + len(self._asking)
        if unknown + len(self._known) <= self._places:
            return None
        # Strangers may push others aside up to a quarter of the places, and from there on only one another. A bot goes
        # only where all who are none have no more than a quarter.
        going = None
        if len(self._strangers) * 4 <= self._places:
            going = _longest_idle(self._asking)
            if going is None and unknown * 4 <= self._places:
                going = _longest_idle(self._known)
            going = going or next(iter(self._asking), None)
        return going or next(iter(self._strangers), None)


def _longest_idle(guests: Iterable[Guest]) -> Guest | None:
    return next((guest for guest in islice(guests, _LOOKED_AT_MAX) if guest.idle), None)


@dataclass(slots=True)
class _Place:
    """Where one connection is counted besides in all."""

    address: str
    key: bytes | None = None
    rooms: list[_Room] = field(default_factory=list)


class Connections:
    """The HTTP connections of one gate process."""

    def __init__(self) -> None:
        self._all = _Room(CONNECTIONS_MAX)
        self._of_address: dict[str, _Room] = {}
        self._of_key: dict[bytes, _Room] = {}
        self._places: dict[Guest, _Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def arrived(self, guest: Guest, address: str) -> None:
        """A connection was opened from ``address``. Another may be closed for it."""
        address = network(address)
        room = self._of_address.get(address)
        if room is None:
            room = self._of_address[address] = _Room(ADDRESS_CONNECTIONS_MAX)
        place = self._places[guest] = _Place(address, None, [room, self._all])
        for each in place.rooms:
            each.enter(guest)
        for each in (room, self._all):
            self._make_room(each)

    def served(self, guest: Guest, key: bytes | None) -> None:
        """A request on it is whole, and names this guard key, or none that was ever issued.

        Whether it is signed by it the door finds out.
        """
        place = self._places.get(guest)
        if place is None:  # It gave way in this very turn.
            return
        for room in place.rooms:
            room.know(guest, by_key=key is not None)
        if key is not None and key != place.key:
            self._take_key(guest, place, key)

    def is_known(self, guest: Guest) -> bool:
        """Whether it has named a guard key."""
        place = self._places.get(guest)
        return place is not None and place.key is not None

    def left(self, guest: Guest) -> None:
        """A connection is no more, or is a WebSocket from here on, which is counted elsewhere."""
        place = self._places.pop(guest, None)
        if place is None:
            return
        for room in place.rooms:
            room.leave(guest)
        if not self._of_address[place.address]:
            del self._of_address[place.address]
        self._give_key_back(place)

    def _take_key(self, guest: Guest, place: _Place, key: bytes) -> None:
        if place.key is not None:
            place.rooms.pop().leave(guest)
            self._give_key_back(place)
        room = self._of_key.get(key)
        if room is None:
            room = self._of_key[key] = _Room(KEY_CONNECTIONS_MAX)
        place.key = key
        place.rooms.append(room)
        room.know(guest, by_key=True)
        self._make_room(room)

    def _make_room(self, room: _Room) -> None:
        going = room.surplus()
        if going is not None:
            self.left(going)
            going.give_way()

    def _give_key_back(self, place: _Place) -> None:
        if place.key is not None and not self._of_key[place.key]:
            del self._of_key[place.key]


class Shares:
    """Places that are counted by owner, for what cannot be told to give way: a newcomer beyond the bound is refused."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[Owner, int] = {}

    def admitted(self, owner: Owner) -> bool:
        """Take a place if the owner may have another."""
        taken = self._taken.get(owner, 0)
        if taken >= self._most:
            return False
        self._taken[owner] = taken + 1
        return True

    def left(self, owner: Owner) -> None:
        """Undo one ``admitted``."""
        taken = self._taken[owner] - 1
        if taken:
            self._taken[owner] = taken
        else:
            del self._taken[owner]


def network(address: str) -> str:
    """What counts as one address: an IPv6 client usually has a /64 of them, and one of IPv4 may come mapped."""
    if ":" not in address:
        return address
    try:
        whole = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if whole.ipv4_mapped is not None:
        return str(whole.ipv4_mapped)
    return whole.exploded[:19]
