"""Which refusals a page is about: read from its address, so that a page can be shared and the back button works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from fastapi import Request

from proxy.audit.since import UsageError, parse_since
from proxy.console.answers import Refusal
from proxy.console.bodies import read_query
from proxy.reasons.plane import Wanted

FILTERS: Final = ("bot", "account", "rule", "code", "symbol", "text", "since", "until")
"""The names in the address. ``since`` and ``until`` are written as on the command line: ``6h``, or a time."""

SINCE_DEFAULT: Final = "24h"
EVERYTHING: Final = "all"
"""A ``since`` that leaves nothing out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What was asked for: as it was written, for the form and for links, and as the record is asked."""

    written: Mapping[str, str]
    wanted: Wanted

    def address(self, path: str, **changes: str) -> str:
        """``path`` with this filter and ``changes``; an empty change takes a name out."""
        named = {name: value for name, value in {**self.written, **changes}.items() if value}
        return f"{path}?{urlencode(named)}" if named else path


def read_filter(request: Request, now: datetime) -> Filter:
    """The filter in the query. Refusal 422 for a time that is none."""
    found = read_query(request, (*FILTERS, "before"))
    since = found.get("since", SINCE_DEFAULT)
    return Filter(
        written={name: found.get(name, "") for name in FILTERS} | {"since": since},
        wanted=Wanted(
            bot=found.get("bot"),
            account=found.get("account"),
            rule=found.get("rule"),
            code=found.get("code"),
            symbol=found.get("symbol"),
            since=None if since == EVERYTHING else moment(since, now, "since"),
            until=moment(found["until"], now, "until") if "until" in found else None,
            text=found.get("text"),
            before=found.get("before"),
        ),
    )


def moment(text: str, now: datetime, name: str) -> datetime:
    """A time as the command line takes it too, or Refusal 422."""
    try:
        return parse_since(text.strip(), now, name)
    except UsageError:
        raise Refusal(422, "TIME", f"{name} is an age such as 6h, or a time such as 2026-11-24T09:00 (UTC)") from None
