"""``perpguard policy ...``: compare policies, and change the one in force through the running warden.

Exit codes: 0 done, 1 refused (or loosened, where that was to fail), 2 a file is wrong, 3 the warden does not answer.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from proxy.client.asking import Refused, ask
from proxy.commands import policy_replay
from proxy.commands.answering import answered_by_the_warden
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import NOT_OK, OK, REFUSED, USAGE_ERROR
from proxy.policy.comparing import compare, loosened
from proxy.policy.problems import PolicyError
from proxy.policy.reading import load_policy, read_policy
from proxy.policy.schema import policy_schema
from proxy.settings import Settings
from proxy.terminal import remark, say, show_json


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``policy`` and its subcommands to the global command line, which provides ``settings``."""
    policy = subparsers.add_parser("policy", help="compare policies, and change the one in force")
    actions = policy.add_subparsers(dest="policy_command", required=True, metavar="ACTION")
    actions.add_parser("schema", help="print a JSON Schema of policies, for editors")
    diff = actions.add_parser("diff", help="what NEW tightens and what it loosens")
    diff.add_argument("old", type=Path, metavar="OLD")
    diff.add_argument("new", type=Path, metavar="NEW")
    diff.add_argument("--fail-on-loosening", action="store_true", help="exit with 1 when anything is loosened")
    policy_replay.add_arguments(actions)
    apply = actions.add_parser("apply", help="put FILE in force; what loosens anything waits for approval")
    apply.add_argument("file", type=Path, metavar="FILE")
    pending = actions.add_parser("pending", help="what waits for approval")
    approve = actions.add_parser("approve", help="agree to what somebody else proposed")
    withdraw = actions.add_parser("withdraw", help="take a proposal off the list")
    for action in (approve, withdraw):
        action.add_argument("digest", metavar="DIGEST")
    for action in (apply, approve, withdraw):
        action.add_argument("--name", required=True, help="who does it")
        action.add_argument("--reason", required=True)
    for action in (diff, apply, pending, approve, withdraw):
        action.add_argument("--json", action="store_true", help="print JSON")


def run(args: Arguments) -> int:
    """Run one ``policy`` command and give its exit code; trouble goes to standard error."""
    return answered_by_the_warden("policy", lambda: _run(args))


def _run(args: Arguments) -> int:
    """What is wrong with a policy is told as it is, a problem a line, by this machine and by the warden alike."""
    try:
        return _COMMANDS[args.policy_command](args)
    except PolicyError as error:
        remark(*str(error).split("\n"))
        return USAGE_ERROR
    except Refused as refusal:
        remark(*str(refusal).split("\n"))
        return REFUSED


def _schema(args: Arguments) -> int:
    _print_json(policy_schema())
    return OK


def _diff(args: Arguments) -> int:
    changes = compare(load_policy(args.old), load_policy(args.new))
    looser = loosened(changes)
    if args.json:
        _print_json({"loosened": bool(looser), "changes": [asdict(change) for change in changes]})
    else:
        for change in changes:
            say(f"{change.direction.value:<9} {change}")
        say(f"{len(looser)} of {len(changes)} changes loosen" if looser else "nothing is loosened")
    return NOT_OK if looser and args.fail_on_loosening else OK


def _apply(args: Arguments) -> int:
    policy, text = read_policy(args.file)
    body = {"text": text, "name": args.name, "reason": args.reason}
    answer = ask(args.settings, "POST", "/control/policy", body)
    _tell(args, answer)
    _remind(args.settings, policy.version)
    return OK


def _approve(args: Arguments) -> int:
    body = {"digest": args.digest, "name": args.name, "reason": args.reason}
    _tell(args, ask(args.settings, "POST", "/control/policy/approve", body))
    return OK


def _withdraw(args: Arguments) -> int:
    body = {"digest": args.digest, "name": args.name, "reason": args.reason}
    answer = ask(args.settings, "POST", "/control/policy/withdraw", body)
    if args.json:
        _print_json(answer)
    else:
        say(f"policy {args.digest} is withdrawn; {answer['in_force']} stays in force")
    return OK


def _pending(args: Arguments) -> int:
    waiting = ask(args.settings, "GET", "/api/desk")["proposals"]
    if args.json:
        _print_json(waiting)
    else:
        for proposal in waiting:
            _say_proposal(proposal)
        if not waiting:
            say("nothing waits")
    return OK


def _tell(args: Arguments, answer: Any) -> None:
    if args.json:
        _print_json(answer)
    elif answer["pending"] is None:
        say(f"policy {answer['in_force']} is in force on every gate")
    else:
        _say_proposal(answer["pending"])
        say(f"policy {answer['in_force']} stays in force until then")


def _say_proposal(proposal: Any) -> None:
    """Whole: whoever is to approve a policy must see all that it loosens, and what it is called."""
    by = f"proposed by {proposal['by']}" if proposal["by"] else "found in the settings' file; nobody stands for it yet"
    say(f"policy {proposal['policy_version']} ({proposal['policy_name']}) waits: {by}, {proposal['reason']}")
    for change in proposal["loosened"]:
        say(f"  loosened {change}")
    for change in proposal["other_changes"]:
        say(f"  {change}")
    if proposal["stale"]:
        say("  it is stale: another policy came into force since it was proposed. Propose it again, or withdraw it")
        return
    alone = f", or it takes effect at {proposal['due']}" if proposal["due"] else ""
    agree = f'perpguard policy approve {proposal["policy_version"]} --name NAME --reason "..."'
    say(f"  somebody else approves it: {agree}{alone}")


def _remind(settings: Settings, digest: str) -> None:
    """At the next start the settings' file is read again: an older text there would be proposed, or adopted."""
    try:
        same = load_policy(settings.policy).version == digest
    except PolicyError:
        same = False
    if not same:
        remark(f"{settings.policy} reads otherwise: put the same text there, it is read at the next start")


def _print_json(value: Any) -> None:
    show_json(value, indent=2)


_COMMANDS: Final[dict[str, Callable[[Arguments], int]]] = {
    "schema": _schema,
    "diff": _diff,
    "replay": policy_replay.run,
    "apply": _apply,
    "approve": _approve,
    "withdraw": _withdraw,
    "pending": _pending,
}
