"""``perpguard rearm``: ask the running warden to let a scope trade again, agree to it, take it back, or look."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from proxy.client.asking import ask
from proxy.commands.answering import answered_by_the_warden
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import OK, USAGE_ERROR
from proxy.terminal import complain, say, show_json


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``rearm`` to the global command line."""
    rearm = subparsers.add_parser("rearm", help="let a stopped scope trade again, through the running warden")
    rearm.add_argument("--scope", help="desk, venue:NAME, account:NAME or bot:NAME; needed but for --status")
    rearm.add_argument("--name", help="who asks, approves or withdraws")
    rearm.add_argument("--reason", help="what has been checked")
    rearm.add_argument("--typed", help="the scope's name once more, typed by hand")
    rearm.add_argument("--policy", default="", help="the digest of the policy in force, as --status shows it")
    rearm.add_argument("--acknowledge", default="", metavar="TEXT", help="what is left open, each symbol named")
    rearm.add_argument("--json", action="store_true", help="print JSON")
    what = rearm.add_mutually_exclusive_group()
    what.add_argument("--approve", action="store_true", help="agree to what somebody else asked for")
    what.add_argument("--withdraw", action="store_true", help="take a request back")
    what.add_argument("--status", action="store_true", help="what is stopped, what must hold, what waits")


def run(args: Arguments) -> int:
    """0 when done, 1 when refused, 2 for a command that says too little, 3 when nobody answered."""
    lacking = [] if args.status else [name for name in _needed(args) if not getattr(args, name)]
    if lacking:
        complain("rearm", f"needs {', '.join(f'--{name}' for name in lacking)}")
        return USAGE_ERROR
    return answered_by_the_warden("rearm", lambda: _show(args))


def _show(args: Arguments) -> int:
    views = _asked(args)
    if args.json:
        show_json({"scopes": views})
    else:
        say(*([line for view in views for line in _lines(view)] or ["nothing is stopped"]))
    return OK


def _needed(args: Arguments) -> tuple[str, ...]:
    return ("scope", "name", "reason") if args.withdraw else ("scope", "name", "reason", "typed")


def _asked(args: Arguments) -> list[Mapping[str, Any]]:
    if args.status:
        query = f"?scope={quote(args.scope)}" if args.scope else ""
        found: list[Mapping[str, Any]] = ask(args.settings, "GET", f"/control/rearm{query}")["scopes"]
        return found
    body = {"scope": args.scope, "name": args.name, "reason": args.reason}
    if args.withdraw:
        return [ask(args.settings, "POST", "/control/rearm/withdraw", body)]
    body["typed"] = args.typed
    if args.approve:
        return [ask(args.settings, "POST", "/control/rearm/approve", body)]
    more = {"policy": args.policy, "acknowledged": args.acknowledge}
    return [ask(args.settings, "POST", "/control/rearm", body | {name: text for name, text in more.items() if text})]


def _lines(view: Mapping[str, Any]) -> list[str]:
    lines = [f"{view['scope']}: {view['stage']}{_when(view)}"]
    if view["by"]:
        lines.append(f"  asked for by {view['by']}: {view['reason']}")
    if view["checks"]:
        lines.append(f"  policy in force: {view['policy']}; needs {view['needs']}")
    for check in view["checks"]:
        mark = "holds" if check["holds"] else "LACKS"
        lines.append(f"  {mark}  {check['name']}: {check['said']}{', acknowledged' if check['acknowledged'] else ''}")
    return lines + [f"  held back: {each}" for each in view["held_back"]]


def _when(view: Mapping[str, Any]) -> str:
    match view["stage"]:
        case "REQUESTED" if view["due"]:
            return f", comes back at {view['due']} or when somebody else approves"
        case "REQUESTED":
            return f", waits for somebody else until {view['lapses']}"
        case "REDUCING" if view["ramps_at"]:
            return f", reduce-only until {view['ramps_at']}"
        case "RAMPING":
            return f", at {view['share']} of its limits of size, whole at {view['full_at']}"
        case _:
            return ""
