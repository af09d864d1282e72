"""What goes into the judge and what comes out: a request that was parsed, the ruling on it, what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Raw, Struct

from proxy.audit.recording import Subject
from proxy.gate.counting import Kind
from proxy.gate.upstream import Turnstile
from proxy.venues.binance.client_ids import outward
from proxy.venues.binance.naming import named
from rules.account import HeldOrder
from rules.decision import Breach, Cleared, Decision
from rules.model import Command, PlaceOrder


class JudgedRequest(Struct, frozen=True, kw_only=True):
    """A request that was authenticated and parsed, on its way to the judge."""

    subject: Subject
    guard_key: str
    kind: Kind
    commands: tuple[Command, ...]
    replay_digest: str
    replay_window_ms: int


def with_client_ids(commands: Sequence[Command], decision_id: str, tag: str) -> tuple[Command, ...]:
    """Every order gets a client id, so that one whose answer is lost can be asked about; with its bot's tag."""
    return tuple(
        named(command, outward(f"pg-{decision_id}-{index}", tag))
        if isinstance(command, PlaceOrder) and command.client_order_id is None
        else command
        for index, command in enumerate(commands)
    )


class Ruling(Struct, frozen=True, kw_only=True):
    """The judge's answer, by place in the request.

    ``cleared`` are the commands that may be sent. ``withheld`` are those the rules allow but the guard may not send,
    because it could not reserve their exposure, write them down or use up the override that lets them pass.
    ``held`` are the orders as they will be sent; ``reserved`` says that a hold stands in the store. ``kill_running``
    says that a kill is closing what this is about.
    """

    request: JudgedRequest
    decisions: tuple[Decision, ...]
    cleared: dict[int, Cleared[Command]]
    withheld: dict[int, Breach]
    held: dict[int, HeldOrder]
    reserved: bool
    records: tuple[Raw, ...]
    fence: Turnstile | None
    store_reachable: bool
    kill_running: bool = False


class Outcome(StrEnum):
    """What is known about a request after it was, or was not, sent."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"
    NOT_SENT = "NOT_SENT"
