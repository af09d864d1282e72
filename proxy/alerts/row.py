"""One row of the table of alerts: how bad something is, what it is about, and the words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from proxy.severity import Severity

Detail = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One event or condition. The texts may name fields of its detail, ``by``, and what ``reports`` works out of them.

    ``about`` is the key: alerts of one key are one. ``news`` is told however lately the same was told. ``ends`` are the
    keys of events that are over with this one, ``renews`` of those that are to be acknowledged anew. ``retried`` is
    told of every failed try of the same, until somebody acknowledges it. Of the keys of one ``group`` only so many are
    told an hour. ``when`` says which of the events count.
    """

    severity: Severity
    about: str
    title: str
    text: str = ""
    advice: str = ""
    page: str = "/"
    news: bool = False
    ends: tuple[str, ...] = ()
    renews: tuple[str, ...] = ()
    retried: bool = False
    group: str = ""
    when: Callable[[Detail], bool] = lambda _: True


STOPPED: Final = "Look at Kill for its progress. Trading comes back by Re-arm alone."
