"""One recorded decision taken again: with every rule's part in it, and at another size. Reads the archive alone.

The recorded picture and the recorded policy are what is judged, by the code that decides and that replays the audit. No
order is sent and none is imagined beyond the one that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from proxy.audit.documents import ArchiveSource, RecordSource
from proxy.audit.pictures import UNREADABLE, DocumentMissing, policies, resolved
from proxy.audit.query import decision
from proxy.audit.reader import ArchiveReader
from proxy.audit.words import in_words
from proxy.policy.reading import parse_policy
from proxy.reasons.left_out import judgeable
from proxy.reasons.replaying import judged_as_far_as_recorded
from proxy.reasons.tracing import RuleResult, Trace, traced
from proxy.store.codec import build_command, build_decision, build_snapshot, plain_command
from proxy.venues.binance.client_ids import reworded, tag
from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.values import FRACTION_DIGITS_MAX, INTEGER_DIGITS_MAX, read_positive
from rules.decision import Decision
from rules.engine import decide_batch
from rules.model import AmendOrder, Command, PlaceOrder
from rules.policy import Policy
from rules.snapshot import Snapshot

_NUMBER: Final = (
    f"a number above zero, of at most {INTEGER_DIGITS_MAX} digits before the point and {FRACTION_DIGITS_MAX} behind it"
)


class NotToBeTold(Exception):
    """The decision cannot be taken again; the message says what is missing, and repeats nothing a bot sent."""


class BadQuestion(Exception):
    """The question itself is not one; the message says what would be."""


class NothingToTry(Exception):
    """A question that this decision has no answer to; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A decision with all it was made on. ``picture`` is the snapshot in plain types, documents in their place."""

    id: str
    at: str
    bot: str
    account: str
    route: str
    commands: tuple[Command, ...]
    decisions: tuple[Decision, ...]
    withheld: Mapping[str, Any]
    picture: Mapping[str, Any]
    snapshot: Snapshot
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedCommand:
    """One command of a request. ``agrees``: taken again, it comes out as it was recorded.

    ``withheld`` says why the guard did not send what the rules let pass; empty where it did not come to that.
    """

    item: int
    asked: str
    quantity: Decimal | None
    price: Decimal | None
    agrees: bool
    withheld: str
    trace: Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A decision and every rule's part in it. ``inputs`` is all that the rules could look at."""

    id: str
    at: str
    bot: str
    account: str
    route: str
    policy_version: str
    policy_name: str
    policy_owner: str
    commands: tuple[TracedCommand, ...]
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAsked:
    """A rule of the policy in force that the record cannot answer for, and why."""

    rule: str
    level: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A recorded command at another size: under the policy of then, and under the one in force.

    ``now`` is ``None`` where that one is not known, and holds as far as the rules go that are not in ``not_asked``.
    """

    id: str
    item: int
    asked: str
    supposed: str
    quantity: Decimal
    price: Decimal | None
    then: Trace
    now: Trace | None
    not_asked: tuple[NotAsked, ...]


def recorded(archive: ArchiveReader, decision_id: str) -> Recorded | None:
    """The decision of that id, put together again; ``None`` when there is none. Raises ``NotToBeTold``."""
    story = decision(archive, decision_id)
    if story is None or story.decision is None:
        return None
    return put_together(story.decision, ArchiveSource(archive))


def put_together(record: Mapping[str, Any], source: RecordSource) -> Recorded:
    """A decision record with the documents it names. Raises ``NotToBeTold``."""
    try:
        picture = resolved(dict(record), source)
        return Recorded(
            id=str(record["id"]),
            at=str(record["at"]),
            bot=str(record["bot"]),
            account=str(record["account"]),
            route=str(record["route"]),
            commands=tuple(build_command(each) for each in record["commands"]),
            decisions=tuple(build_decision(each) for each in record["decisions"]),
            withheld=record.get("withheld") or {},
            picture=picture,
            snapshot=build_snapshot(picture),
            policy=policies(source, parse_policy)(record["policy_version"]),
        )
    except DocumentMissing as missing:
        raise NotToBeTold(f"its {missing.kind} document is not in the archive") from missing
    except UNREADABLE as error:
        raise NotToBeTold(f"the record cannot be read back ({type(error).__name__})") from error


def tell(found: Recorded) -> Told:
    """Every rule's part in a decision."""
    traces = _traced(found.commands, found, found.policy)
    again = decide_batch(found.commands, found.snapshot, found.policy)
    return Told(
        id=found.id,
        at=found.at,
        bot=found.bot,
        account=found.account,
        route=found.route,
        policy_version=found.policy.version,
        policy_name=found.policy.name,
        policy_owner=found.policy.owner,
        commands=tuple(
            TracedCommand(
                item=item,
                asked=_words(command, found),
                quantity=getattr(command, "quantity", None),
                price=getattr(command, "price", None),
                agrees=then == now,
                withheld=str((found.withheld.get(str(item)) or {}).get("message", "")),
                trace=trace,
            )
            for item, (command, then, now, trace) in enumerate(
                zip(found.commands, found.decisions, again, traces, strict=True)
            )
        ),
        inputs=found.picture,
    )


def suppose(found: Recorded, in_force: Policy | None, *, item: str, quantity: str, price: str) -> WhatIf:
    """The recorded command ``item`` at another ``quantity``, and ``price`` where one is given.

    The others of its batch stay as they were. Raises ``BadQuestion`` or ``NothingToTry``.
    """
    place = _item(item, len(found.commands))
    before = found.commands[place]
    command = _resized(before, quantity, price)
    commands = (*found.commands[:place], command, *found.commands[place + 1 :])
    now, not_asked = _under(in_force, found, commands, place)
    return WhatIf(
        id=found.id,
        item=place,
        asked=_words(before, found),
        supposed=_words(command, found),
        quantity=command.quantity if command.quantity is not None else Decimal(0),
        price=command.price,
        then=_traced(commands, found, found.policy)[place],
        now=now,
        not_asked=not_asked,
    )


def _item(text: str, count: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise BadQuestion("item is the place of a command in its request, a whole number from 0 to 999")
    if int(text) >= count:
        raise NothingToTry(f"this request has {count} of them: item is from 0 to {count - 1}")
    return int(text)


def _resized(command: Command, quantity: str, price: str) -> PlaceOrder | AmendOrder:
    wanted, at = _number(quantity, "quantity"), _number(price, "price") if price else None
    if not isinstance(command, PlaceOrder | AmendOrder) or command.quantity is None:
        raise NothingToTry("only an order that names its quantity can be tried at another size")
    sized = replace(command, quantity=wanted)
    if at is None:
        return sized
    if command.price is None:
        raise NothingToTry("this order has no limit price to change")
    return replace(sized, price=at)


def _number(text: str, name: str) -> Decimal:
    try:
        if "e" in text.lower():  # Some bots' floats have one, people's sizes do not.
            raise BadQuestion(f"{name} is {_NUMBER}")
        return read_positive(text.strip(" "), name)
    except MalformedRequest:
        raise BadQuestion(f"{name} is {_NUMBER}") from None


def _under(
    policy: Policy | None, found: Recorded, commands: tuple[Command, ...], place: int
) -> tuple[Trace | None, tuple[NotAsked, ...]]:
    """The command under the policy in force, as far as the record can answer for its rules."""
    if policy is None:
        return None, ()
    whole = judgeable(policy, found.policy)
    part, _ = judged_as_far_as_recorded(whole, decide_batch, commands, found.snapshot, found.picture)
    not_asked = tuple(
        NotAsked(rule=rule, level=level, reason=left.reason) for (rule, level), left in part.left_out.items()
    )
    return _traced(commands, found, part.policy)[place], not_asked


def _traced(commands: tuple[Command, ...], found: Recorded, policy: Policy) -> tuple[Trace, ...]:
    """The traces, with the bot's own order ids where rules speak of them."""
    own = tag(found.account, found.bot)

    def in_own_ids(rule: RuleResult) -> RuleResult:
        return replace(rule, message=reworded(rule.message, own), observed=reworded(rule.observed, own))

    traces = traced(commands, found.snapshot, policy)
    return tuple(replace(each, rules=tuple(map(in_own_ids, each.rules))) for each in traces)


def _words(command: Command, found: Recorded) -> str:
    return reworded(in_words(plain_command(command)), tag(found.account, found.bot))
