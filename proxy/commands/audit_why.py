"""``perpguard audit why ID``: every rule's part in one decision, and what another size would have come to."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from proxy.audit.reader import ArchiveReader
from proxy.audit.since import UsageError
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import NOT_OK, OK
from proxy.commands.terminal_tables import complain, print_table, say
from proxy.policy.reading import load_policy
from proxy.policy.shelf import Shelf
from proxy.reasons.inquiry import (
    BadQuestion,
    NothingToTry,
    NotToBeTold,
    Recorded,
    Told,
    WhatIf,
    recorded,
    suppose,
    tell,
)
from proxy.reasons.tracing import RuleResult, Trace
from proxy.store.codec import plain
from proxy.terminal import show_json
from rules.policy import Policy
from rules.rule import show_exact

_RULE_COLUMNS: Final = ("rule", "level", "answer", "observed", "limit", "headroom", "said")


def add_arguments(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``why`` to the subcommands of ``audit``."""
    why = actions.add_parser("why", help="every rule's part in a decision; with --quantity at another size")
    why.add_argument("id")
    why.add_argument("--quantity", help="the same order at this size: what then?")
    why.add_argument("--price", help="and at this limit price")
    why.add_argument("--item", default="0", help="which command of a batch, from 0 (default 0)")
    why.add_argument("--policy", type=Path, help="beside the recorded policy; default: the one in force")
    why.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def run(args: Arguments, open_archive: Callable[[], ArchiveReader]) -> int:
    """Run it: 0 told, 1 nothing can be told. Raises ``UsageError``, ``PolicyError`` and ``ArchiveUnavailable``."""
    if args.price is not None and args.quantity is None:
        raise UsageError("--price goes with --quantity")
    try:
        with open_archive() as archive:
            found = recorded(archive, args.id)
    except NotToBeTold as trouble:
        complain(f"{args.id} cannot be taken again: {trouble}", "audit")
        return NOT_OK
    if found is None:
        complain(f"no decision is archived under {args.id}", "audit")
        return NOT_OK
    if args.quantity is None:
        _print_told(tell(found), as_json=args.json)
    else:
        _print_what_if(_supposed(found, args), as_json=args.json)
    return OK


def _supposed(found: Recorded, args: Arguments) -> WhatIf:
    try:
        return suppose(found, _beside(args), item=args.item, quantity=args.quantity, price=args.price or "")
    except (BadQuestion, NothingToTry) as bad:
        raise UsageError(str(bad)) from bad


def _beside(args: Arguments) -> Policy | None:
    """The policy to ask beside the recorded one: none where the guard has put none in force here yet."""
    if args.policy is not None:
        return load_policy(args.policy)
    active = Shelf(args.data_dir).active_path
    return load_policy(active) if active.is_file() else None


def _print_told(told: Told, *, as_json: bool) -> None:
    if as_json:
        show_json(plain(told))
        return
    say(f"{told.id}: {told.bot} on {told.account}, {told.at}, policy {told.policy_name} {told.policy_version}")
    for command in told.commands:
        say(f"{command.asked}: {_verdict(command.trace)}")
        if command.withheld:
            say(f"  not sent: {command.withheld}")
        if not command.agrees:
            say("  NOT as it was recorded: ask `perpguard audit replay`")
        _print_rules(command.trace.rules)


def _print_what_if(what_if: WhatIf, *, as_json: bool) -> None:
    if as_json:
        show_json(plain(what_if))
        return
    say(f"{what_if.supposed}, instead of {what_if.asked}")
    say(f"under the policy of then, {what_if.then.policy_version}: {_verdict(what_if.then)}")
    _print_rules(what_if.then.rules)
    if what_if.now is not None:
        say(f"under {what_if.now.policy_version}: {_verdict(what_if.now)}")
        _print_rules(what_if.now.rules)
    for each in what_if.not_asked:
        say(f"without {each.rule} ({each.level}): {each.reason}")


def _verdict(trace: Trace) -> str:
    words = [trace.verdict.value, *filter(None, (trace.rule, trace.code))]
    if trace.trimmed_to is not None:
        words.append(f"at {show_exact(trace.trimmed_to)}")
    room = f"; largest size allowed {show_exact(trace.largest)}" if trace.largest is not None else ""
    return " ".join(words) + room


def _print_rules(rules: Sequence[RuleResult]) -> None:
    print_table(_RULE_COLUMNS, map(_row, rules))


def _row(rule: RuleResult) -> tuple[Any, ...]:
    headroom = "" if rule.headroom is None else show_exact(rule.headroom)
    said = f"{rule.code} {rule.message}".strip()
    return rule.rule, rule.level, rule.answer.value, rule.observed, rule.limit, headroom, said
