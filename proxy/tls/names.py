"""What a certificate is for: names and addresses that bots reach the gates under."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

DEFAULT_NAME: Final = "guard.localhost"

VENUE_PREFIXES: Final = ("fapi", "demo-fapi")
"""ccxt maps an answer's code by its table for futures only when the address begins with ``https://fapi.`` and the
configured ``hostname``, or with ``https://demo-fapi`` (ccxt 4.5.90, ``get_exceptions_by_url``): over plain HTTP
``InsufficientFunds`` arrives as a bare ``ExchangeError``."""

_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_NAME_LENGTH_MAX: Final = 240
_LOOPBACK: Final = (ip_address("127.0.0.1"), ip_address("::1"))


class BadName(Exception):
    """Not a name a certificate can be for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """``dns`` in order, the first the one that is shown; ``addresses`` beside them."""

    dns: tuple[str, ...]
    addresses: tuple[IPv4Address | IPv6Address, ...]


def names_of(name: str, also: tuple[str, ...] = ()) -> Names:
    """The names of a gate called ``name``, with the venues' prefixes, this machine's own, and ``also`` more of either.

    Raises ``BadName``.
    """
    dns = [
        f"{VENUE_PREFIXES[0]}.{_checked(name)}",
        _checked(name),
        f"{VENUE_PREFIXES[1]}.{_checked(name)}",
        "localhost",
    ]
    addresses = list(_LOOPBACK)
    for text in also:
        try:
            addresses.append(ip_address(text))
        except ValueError:
            dns.append(_checked(text))
    return Names(dns=tuple(dict.fromkeys(dns)), addresses=tuple(dict.fromkeys(addresses)))


def _checked(text: str) -> str:
    name = text.lower()
    if len(name) > _NAME_LENGTH_MAX or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise BadName(f"{text!r} is not a host name: letters, digits, hyphens and dots")
    return name
