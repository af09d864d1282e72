"""The venue's budget in the store: what every process heard of the venue's counters, and what the warden publishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from proxy.budget.published import Budget
from proxy.decoding import build
from proxy.store.codec import load

Seen = Mapping[str, tuple[int, ...]]
"""By counter: the number of its window, and what the venue reported in it. Silences stand beside them, each with the
three numbers that ``proxy.budget.silence`` tells and is told."""


def budget_arguments(known: str, seen: Seen) -> list[Any]:
    """What ``scripts/share_budget.lua`` is told: the budget's version as it is ``known``, and what was seen."""
    # A counter has two numbers; the script reads three of whatever it is told.
    return [known, *(part for name, numbers in seen.items() for part in (name, *(*numbers, 0)[:3]))]


def read_shared(reply: Sequence[Any]) -> tuple[Budget | None, dict[str, tuple[int, ...]]]:
    """Its answer: the budget when it is a new one, and what all have seen. Raises what decoding raises."""
    counters, _, body, silences = reply
    seen: dict[str, tuple[int, ...]] = {}
    for name, text in zip(counters[::2], counters[1::2], strict=True):
        number, _, count = text.partition(":")
        seen[name] = (int(number), int(count))
    for name, *numbers in zip(*(silences[place::4] for place in range(4)), strict=True):
        seen[name] = tuple(map(int, numbers))
    return (build(load(body), Budget) if body else None), seen
