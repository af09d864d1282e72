"""``perpguard status``: the desk in a few lines, from the running warden, or else from this machine's files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from proxy.commands.answering import answered_by_the_warden
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import NO_ANSWER, NOT_OK, OK, USAGE_ERROR
from proxy.terminal import say, show_json

if TYPE_CHECKING:
    from proxy.store.fence import Fence


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``status`` to the global command line."""
    status = subparsers.add_parser("status", help="whether the desk trades, and what stands in the way")
    status.add_argument("--json", action="store_true", help="print JSON")


def run(args: Arguments) -> int:
    """0 when everything trades, 1 when something does not, 2 when refused, 3 when no warden answered.

    Something does not trade that is stopped, reduce-only, stale, too old to trade on, or being made flat.
    """
    from proxy.store.fence import Fence

    # A refusal is 2 here: 1 says that something does not trade.
    code = answered_by_the_warden("status", lambda: _show(args), refused=USAGE_ERROR)
    if code == NO_ANSWER:
        _print_stops(Fence(args.data_dir), as_json=args.json)
    return code


def _show(args: Arguments) -> int:
    from proxy.client.asking import ask

    desk = ask(args.settings, "GET", "/api/desk")
    hindrances = list(_hindrances(desk))
    if args.json:
        show_json({"trading": not hindrances, "hindrances": hindrances, "desk": desk})
    else:
        say(*_lines(desk, hindrances))
    return NOT_OK if hindrances else OK


def _print_stops(fence: Fence, *, as_json: bool) -> None:
    """What this machine's files say is stopped: true whatever runs."""
    stopped = sorted(map(str, fence.scopes()))
    if as_json:
        show_json({"trading": False, "hindrances": ["no warden answers"], "stopped_here": stopped})
    else:
        say(f"stopped on this machine: {', '.join(stopped) or 'nothing'}")


def _hindrances(desk: Mapping[str, Any]) -> Iterator[str]:
    """Whatever keeps somebody from trading, the widest first.

    Prices and accounts are too old from the ages at which the rule ``data_freshness`` refuses entries where the policy
    sets no others; the desk's view does not tell the policy's. A time ahead of the clock counts as its distance there.
    """
    from rules.market.data_freshness import DataFreshness

    ages = DataFreshness()
    yield from _archive(desk["archive"])
    if taken_by := desk.get("taken_by"):  # A warden of the version before does not tell.
        yield f"this desk of the store is another guard's, at {taken_by}: entries are refused (DESK_TAKEN)"
    if desk["generation"] is None:
        yield "the kill state on this machine cannot be read: everything is stopped"
    if not desk["store_ok"]:
        yield "the store does not answer: entries are refused"
    if desk["state"] != "ACTIVE":
        yield f"the desk is {desk['state']}"
    prices_age_s = desk["markets_age_s"]
    if desk["accounts"]:  # Without one there is nobody whose entries could be refused.
        if prices_age_s is None:
            yield "no prices have been read yet: entries are refused"
        elif abs(prices_age_s) > ages.mark_age_max_s:
            yield f"prices are {prices_age_s:.0f} s old: entries are refused"
    for account in desk["accounts"]:
        name = account["name"]
        if account["kill_running"]:
            yield f"account {name} is being made flat"
        if account["state"] != "ACTIVE":
            yield f"account {name} is {account['state']}"
        if account.get("external_trader"):  # A warden of the version before does not tell.
            yield f"account {name} is traded past the guard after a stop: somebody else has a key to it"
        if account["feed"]["state"] == "STALE":
            yield f"the feed of account {name} is stale: {account['feed']['why']}"
        elif account["known_age_s"] is None:
            yield f"account {name} has not been surveyed yet"
        elif abs(account["known_age_s"]) > ages.account_age_max_s:
            yield f"account {name} was last known {account['known_age_s']:.0f} s ago: entries are refused"
    for bot in desk["bots"]:
        if bot["state"] != "ACTIVE":
            yield f"bot {bot['name']} is {bot['state']}: {bot['stopped_for'] or 'no reason is known'}"
        if not any(key["key_state"] == "active" for key in desk["bots"] if key["name"] == bot["name"]):
            yield f"the guard key of bot {bot['name']} is {bot['key_state']}"


def _archive(archive: Mapping[str, Any]) -> Iterator[str]:
    """First of all, for while it has not opened nothing else is read, and prices and accounts only seem to be what is
    wrong."""
    if not archive["opened"]:
        yield f"the audit's archive does not open: entries are refused: {archive['trouble'] or 'it is being opened'}"
    elif archive["trouble"]:
        yield f"the audit's archive takes no records, and when too many wait entries are refused: {archive['trouble']}"


def _lines(desk: Mapping[str, Any], hindrances: list[str]) -> Iterator[str]:
    yield f"desk {desk['desk']}: {desk['state']}, policy {desk['policy_name']} ({desk['policy_version']})"
    for account in desk["accounts"]:
        yield _account(account)
    for bot in desk["bots"]:
        yield f"  bot {bot['name']} on {bot['account']}: {bot['state']}, anomaly {bot['anomaly']:.2f}"
    waiting = len(desk["proposals"]) + sum(each["state"] == "REQUESTED" for each in desk["overrides"])
    if waiting:
        yield f"{waiting} requests wait for a second person"
    drill = desk["drill"]
    yield f"last drill: {_drill(drill)}"
    yield from (f"not trading: {each}" for each in hindrances)


def _account(account: Mapping[str, Any]) -> str:
    age = "never surveyed" if account["survey_age_s"] is None else f"surveyed {account['survey_age_s']:.0f} s ago"
    orders = f"{account['open_orders']} orders and {account['conditional_orders']} conditional"
    held = f"{len(account['positions'])} positions, {orders}, {account['holds']} holds"
    money = f"margin {account['margin_balance'] or 'not known'}, leverage {account['leverage'] or 'not known'}"
    return f"  account {account['name']}: {account['state']}, feed {account['feed']['state']}, {age}; {held}; {money}"


def _drill(drill: Mapping[str, Any] | None) -> str:
    if drill is None:
        return "never"
    account = drill.get("account")  # A warden of the version before does not tell.
    of = f" ({account})" if account else ""
    return f"{drill['age_s'] / 86_400:.0f} days ago{of}, {'passed' if drill['passed'] else 'NOT PASSED'}"
