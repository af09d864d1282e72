"""``perpguard override ...``: leave for one order, by two people, through the running warden.

Exit codes: 0 done, 1 refused, 3 nobody answered.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from proxy.audit.words import safe

if TYPE_CHECKING:
    import httpx

_OK, _REFUSED, _NO_ANSWER = 0, 1, 3
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
    listed = actions.add_parser("list", help="what waits for a second person, and what is in force")
    listed.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Run one ``override`` command and give its exit code."""
    import httpx

    from proxy.control_client import control

    try:
        with control(args.settings) as client:
            return _ACTIONS[args.override_command](client, args)
    except httpx.HTTPError as trouble:
        print(f"perpguard override: the warden does not answer ({type(trouble).__name__})", file=sys.stderr)  # noqa: T201
        return _NO_ANSWER


def _request(client: httpx.Client, args: argparse.Namespace) -> int:
    body = {name.replace("-", "_"): getattr(args, name.replace("-", "_")) for name in _TERMS}
    reply = client.post("/control/overrides", json=body)
    if not reply.is_success:
        return _refused(reply)
    asked = reply.json()
    _say(f"{asked['id']} waits for another person until {asked['until']}:")
    _say(f"perpguard override approve {asked['id']} --name ...")
    return _OK


def _approve(client: httpx.Client, args: argparse.Namespace) -> int:
    reply = client.post("/control/overrides/approve", json={"id": args.id, "name": args.name})
    if not reply.is_success:
        return _refused(reply)
    _say(f"in force: {_line(reply.json())}")
    return _OK


def _withdraw(client: httpx.Client, args: argparse.Namespace) -> int:
    reply = client.post("/control/overrides/withdraw", json={"id": args.id, "name": args.name})
    if not reply.is_success:
        return _refused(reply)
    _say(f"{reply.json()['id']} is withdrawn")
    return _OK


def _list(client: httpx.Client, args: argparse.Namespace) -> int:
    reply = client.get("/api/desk")
    if not reply.is_success:
        return _refused(reply)
    overrides = reply.json()["overrides"]
    if args.json:
        print(json.dumps(overrides))  # noqa: T201 - the command line's voice
        return _OK
    for each in overrides:
        _say(_line(each))
    if not overrides:
        _say("none waits, none is in force")
    return _OK


def _line(view: Mapping[str, Any]) -> str:
    approved = f", approved by {view['approved_by']}" if view["approved_by"] else ""
    return (
        f"{view['id']} {view['state']} until {view['until']}: one {view['side']} of at most {view['quantity_max']}"
        f" {view['symbol']} by {view['bot']} past {view['rule']}; ticket {view['ticket']},"
        f" asked for by {view['requested_by']}{approved}: {view['reason']}"
    )


def _refused(reply: httpx.Response) -> int:
    from proxy.control_client import reason_of

    print(f"perpguard override: {safe(reason_of(reply))}", file=sys.stderr)  # noqa: T201 - the command line's voice
    return _REFUSED


def _say(line: str) -> None:
    print(safe(line))  # noqa: T201 - the command line's voice


_ACTIONS: Final = {"request": _request, "approve": _approve, "withdraw": _withdraw, "list": _list}
