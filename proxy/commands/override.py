"""``perpguard override ...``: leave for one order, by two people, through the running warden.

Exit codes: 0 done, 1 refused, 3 nobody answered.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, Final

from proxy.commands.answering import answered_by_the_warden
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import OK
from proxy.terminal import safe, say, show_json

_TERMS: Final = {
    "bot": "whose order",
    "symbol": "of which symbol",
    "side": "BUY or SELL",
    "rule": "which rule it may pass",
    "quantity-max": "largest quantity, base units",
    "expires": "how long it is in force once approved: 90s, 10m, at most 1h",
    "ticket": "the desk's own number for this",
    "name": "who asks",
    "reason": "for whoever approves",
}


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``override`` and its subcommands to the global command line."""
    override = subparsers.add_parser("override", help="leave for one order to pass one rule once, by two people")
    actions = override.add_subparsers(dest="override_command", required=True, metavar="COMMAND")
    request = actions.add_parser("request", help="ask; nothing is in force until another person approves it")
    for name, text in _TERMS.items():
        request.add_argument(f"--{name}", required=True, help=text)
    for name, text in (
        ("approve", "put a request of another person in force"),
        ("withdraw", "take a request or an override back"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("id")
        action.add_argument("--name", required=True, help="who does it")
        action.add_argument("--json", action="store_true", help="print JSON")
    request.add_argument("--json", action="store_true", help="print JSON")
    listed = actions.add_parser("list", help="what waits for a second person, and what is in force")
    listed.add_argument("--json", action="store_true", help="print JSON")


def run(args: Arguments) -> int:
    """Run one ``override`` command and give its exit code."""
    return answered_by_the_warden("override", lambda: _ACTIONS[args.override_command](args))


def _request(args: Arguments) -> int:
    names = [name.replace("-", "_") for name in _TERMS]
    asked = _ask(args, "POST", "/control/overrides", {name: getattr(args, name) for name in names})
    waits = f"{asked['id']} waits for another person until {asked['until']}:"
    return _tell(args, asked, waits, f"perpguard override approve {asked['id']} --name ...")


def _approve(args: Arguments) -> int:
    granted = _ask(args, "POST", "/control/overrides/approve", {"id": args.id, "name": args.name})
    return _tell(args, granted, f"in force: {_line(granted)}")


def _withdraw(args: Arguments) -> int:
    withdrawn = _ask(args, "POST", "/control/overrides/withdraw", {"id": args.id, "name": args.name})
    return _tell(args, withdrawn, f"{withdrawn['id']} is withdrawn")


def _list(args: Arguments) -> int:
    overrides = _ask(args, "GET", "/api/desk")["overrides"]
    if args.json:
        show_json(overrides)
        return OK
    for each in overrides:
        say(safe(_line(each)))
    if not overrides:
        say("none waits, none is in force")
    return OK


def _tell(args: Arguments, view: Mapping[str, Any], *lines: str) -> int:
    if args.json:
        show_json(view)
    else:
        say(*map(safe, lines))
    return OK


def _ask(args: Arguments, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:
    from proxy.client.asking import ask

    return ask(args.settings, method, path, body)


def _line(view: Mapping[str, Any]) -> str:
    approved = f", approved by {view['approved_by']}" if view["approved_by"] else ""
    return (
        f"{view['id']} {view['state']} until {view['until']}: one {view['side']} of at most {view['quantity_max']}"
        f" {view['symbol']} by {view['bot']} past {view['rule']}; ticket {view['ticket']},"
        f" asked for by {view['requested_by']}{approved}: {view['reason']}"
    )


_ACTIONS: Final = {"request": _request, "approve": _approve, "withdraw": _withdraw, "list": _list}
