"""Whose connection goes when there are too many, of all, of an address, of a key."""

from __future__ import annotations

import random

import pytest

from proxy.gate.connections import Connections, Shares, network


class Guest:
    """A connection that remembers that it had to go."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.idle = True
        self.gone = False

    def give_way(self) -> None:
        assert not self.gone, "twice"
        self.gone = True

    def __repr__(self) -> str:
        return self.name


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    """Eight in all, six of an address, three of a key."""
    for name, most in {"": 8, "ADDRESS_": 6, "KEY_": 3}.items():
        monkeypatch.setattr(f"proxy.gate.connections.{name}CONNECTIONS_MAX", most)
    return Connections()


def arrive(connections: Connections, count: int, address: str) -> list[Guest]:
    guests = [Guest(f"{address} {number}") for number in range(count)]
    for guest in guests:
        connections.arrived(guest, address)
    return guests


def gone(guests: list[Guest]) -> list[int]:
    return [number for number, guest in enumerate(guests) if guest.gone]


def test_of_those_who_finish_nothing_the_oldest_goes(connections: Connections) -> None:
    crowd = arrive(connections, 7, "a")
    assert gone(crowd) == [0]
    assert len(connections) == 6


def test_one_address_leaves_room_for_another(connections: Connections) -> None:
    crowd = arrive(connections, 20, "a")
    for guest in crowd:
        connections.served(guest, None)
    other = arrive(connections, 1, "b")
    assert (len(connections), gone(other)) == (7, [])


def test_strangers_push_idle_ones_aside_up_to_a_quarter_and_then_each_other(connections: Connections) -> None:
    known = arrive(connections, 4, "a") + arrive(connections, 4, "c")
    for guest in known:
        connections.served(guest, None)
    crowd = arrive(connections, 40, "b")
    assert gone(known) == [0, 1]
    assert gone(crowd) == list(range(38))
    assert len(connections) == 8


def test_who_was_served_longest_ago_goes_and_nobody_with_a_request_under_way(connections: Connections) -> None:
    known = arrive(connections, 6, "a")
    for guest in known:
        connections.served(guest, None)
    connections.served(known[0], None)
    known[1].idle = False
    arrive(connections, 1, "a")
    assert gone(known) == [2]


def test_where_every_bot_is_busy_the_stranger_goes(connections: Connections) -> None:
    known = arrive(connections, 6, "a")
    for guest in known:
        connections.served(guest, guest.name.encode())
        guest.idle = False
    assert gone(arrive(connections, 1, "a")) == [0]
    assert gone(known) == []
    for guest in known:
        connections.left(guest)
    assert not connections._all


@pytest.mark.parametrize("idle", [True, False], ids=["answered", "with requests under way"])
def test_a_crowd_that_asks_without_a_key_takes_no_idle_bots_place_and_keeps_none_out(
    connections: Connections, idle: bool
) -> None:
    bots = arrive(connections, 2, "a")
    for bot in bots:
        connections.served(bot, bot.name.encode())
    connections.served(bots[0], None)
    for _ in range(20):
        for guest in arrive(connections, 3, "a"):
            connections.served(guest, None)
            guest.idle = idle
    newcomer = arrive(connections, 1, "a")
    assert gone(bots + newcomer) == []


def test_bots_give_way_to_bots_where_they_have_most_of_the_places(connections: Connections) -> None:
    bots = arrive(connections, 6, "a")
    for bot in bots:
        connections.served(bot, bot.name.encode())
    assert gone(arrive(connections, 1, "a")) == []
    assert gone(bots) == [0]


def test_a_key_that_opens_more_and_more_loses_its_own_idle_ones(connections: Connections) -> None:
    leaking = arrive(connections, 3, "a") + arrive(connections, 2, "b")
    others = arrive(connections, 1, "a")
    connections.served(others[0], b"other")
    for guest in leaking:
        connections.served(guest, b"leaks")
    assert gone(leaking) == [0, 1]
    assert gone(others) == []


def test_a_connection_counts_for_the_key_it_named_last(connections: Connections) -> None:
    guests = arrive(connections, 4, "a")
    for guest in guests[:3]:
        connections.served(guest, b"one")
    connections.served(guests[0], b"two")
    connections.served(guests[3], b"one")
    connections.served(guests[0], None)
    assert gone(guests) == []


def test_who_gave_way_may_still_be_served_and_leave(connections: Connections) -> None:
    crowd = arrive(connections, 7, "a")
    connections.served(crowd[0], b"key")
    connections.left(crowd[0])
    assert len(connections) == 6


@pytest.mark.parametrize("seed", range(20), ids=lambda seed: f"seed {seed}")
def test_whatever_happens_the_bounds_hold_and_nothing_is_left_behind(connections: Connections, seed: int) -> None:
    chance = random.Random(seed)
    there: list[Guest] = []
    for _ in range(500):
        match chance.choice(("arrive", "arrive", "serve", "serve", "leave")):
            case "arrive":
                newcomer = Guest()
                newcomer.idle = chance.random() < 0.4
                there.append(newcomer)
                connections.arrived(newcomer, chance.choice("abc"))
            case "serve" if there:
                connections.served(chance.choice(there), chance.choice((None, b"k", b"l")))
            case "leave" if there:
                connections.left(there.pop(chance.randrange(len(there))))
        there = [guest for guest in there if not guest.gone]
        assert len(connections) == len(there) <= 8
    for guest in there:
        connections.left(guest)
    assert len(connections) == 0
    assert not connections._all
    assert not connections._of_address
    assert not connections._of_key


def test_an_owner_has_so_many_places_and_gets_them_back() -> None:
    shares = Shares(2)
    assert [shares.admitted("a") for _ in range(3)] == [True, True, False]
    assert shares.admitted("b")
    shares.left("a")
    assert shares.admitted("a")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3::4", "2001:0db8:0001:0002"),
        ("2001:db8:1:2::", "2001:0db8:0001:0002"),
        ("fe80::1%eth0", "fe80:0000:0000:0000"),
        ("", ""),
        ("not:an:address", "not:an:address"),
    ],
    ids=["IPv4", "mapped", "IPv6", "another of its network", "with a zone", "none", "no address"],
)
def test_what_counts_as_one_address(address: str, expected: str) -> None:
    assert network(address) == expected
