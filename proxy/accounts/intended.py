"""Requests that gates were about to send, until it is told what became of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from proxy.recent import Recent

UNDER_WAY_MAX: Final = 5_000
"""Requests remembered: more than are under way at once."""

_NOTHING_STANDS: Final = ("REJECTED", "NOT_SENT")

Command = Mapping[str, Any]
"""A command as the audit writes it."""


class Intended:
    """Those of one account, as its records tell of them."""

    def __init__(self) -> None:
        self._under_way: Recent[str, dict[int, Command]] = Recent(UNDER_WAY_MAX)

    def begin(self, intent: Mapping[str, Any]) -> list[Command]:
        """All commands of a request."""
        commands = _commands_of(intent)
        self._under_way.put(str(intent.get("id")), dict(enumerate(commands)))
        return commands

    def denied(self, decision: Mapping[str, Any]) -> list[Command]:
        """Those of its commands that are not sent."""
        commands, verdicts = _commands_of(decision), decision.get("decisions")
        if not isinstance(verdicts, list) or len(verdicts) != len(commands):
            return []
        denied = [place for place, each in enumerate(verdicts) if each.get("verdict") == "DENY"]
        under_way = self._under_way.get(str(decision.get("id"))) or {}
        for place in denied:
            under_way.pop(place, None)
        return [commands[place] for place in denied]

    def not_taken(self, outcome: Mapping[str, Any]) -> list[Command]:
        """Those of its commands that the venue rejected, or that were not sent after all. None where its intent was
        not told."""
        request_id = str(outcome.get("id"))
        under_way = self._under_way.get(request_id) or {}
        self._under_way.drop(request_id)
        if outcome.get("result") in _NOTHING_STANDS:
            return list(under_way.values())
        items = outcome.get("items")
        answers = [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []
        rejected = [each.get("place") for each in answers if each.get("outcome") == "REJECTED"]
        return [command for place, command in under_way.items() if place in rejected]


def _commands_of(record: Mapping[str, Any]) -> list[Command]:
    """The commands of an intent or a decision, in their order."""
    commands = record.get("commands")
    return [each for each in commands if isinstance(each, dict)] if isinstance(commands, list) else []
