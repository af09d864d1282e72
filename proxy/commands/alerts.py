"""``perpguard alerts ...``: what is open, who has heard of it, and where alerts go.

What is open is asked of the running warden; channels stand in the vault, which needs none. Exit codes: 0 done,
1 refused, 2 the vault's or the settings' trouble, 3 nobody answered.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proxy.commands.answering import answered_by_the_warden
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import OK, REFUSED
from proxy.terminal import remark, safe, say, show_json

if TYPE_CHECKING:
    from proxy.commands.keys import Terminal
    from proxy.vault.vault import Vault

URL_VARIABLE: Final = "PERPGUARD_ALERT_URL"


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``alerts`` and its subcommands to the global command line."""
    alerts = subparsers.add_parser("alerts", help="what people must hear of, and where it is told")
    actions = alerts.add_subparsers(dest="alerts_command", required=True, metavar="COMMAND")
    listed = actions.add_parser("list", help="what is open")
    listed.add_argument("--past", action="store_true", help="what is over, too")
    heard = actions.add_parser("acknowledge", help="say that an alert was heard; it is not told again")
    heard.add_argument("id")
    tried = actions.add_parser("test", help="send a test message to a channel, or to all")
    tried.add_argument("channel", nargs="?")
    for action in (heard, tried):
        action.add_argument("--name", required=True, help="who does it")
    channels = actions.add_parser("channels", help="where alerts go; kept in the vault")
    kept = channels.add_subparsers(dest="channels_command", required=True, metavar="COMMAND")
    add = kept.add_parser(
        "add",
        help="tell alerts there too",
        description=f"The apprise URL is a secret. It is read from {URL_VARIABLE}, else from a pipe, else asked for.",
    )
    remove = kept.add_parser("remove", help="tell nothing there any more")
    for action in (add, remove):
        action.add_argument("channel")
    shown = kept.add_parser("list", help="the channels, without their URLs")
    test = kept.add_parser("test", help="the same as `alerts test`")
    test.add_argument("channel", nargs="?")
    test.add_argument("--name", required=True, help="who does it")
    for action in (add, remove, shown):
        action.add_argument("--passphrase-file", type=Path, help="a file only you can read")
    for action in (listed, heard, tried, shown, test):
        action.add_argument("--json", action="store_true", help="print JSON")


def run(args: Arguments, terminal: Terminal | None = None) -> int:
    """Run one ``alerts`` command and give its exit code."""
    if args.alerts_command == "channels" and args.channels_command != "test":
        return _channels(args, terminal)
    asking = {"list": _list, "acknowledge": _acknowledge}.get(args.alerts_command, _test)
    return answered_by_the_warden("alerts", lambda: asking(args))


def _list(args: Arguments) -> int:
    shown = _ask(args, "GET", "/api/alerts")
    if args.json:
        show_json(shown)
        return OK
    for alert in [*shown["open"], *(shown["past"] if args.past else ())]:
        _say(_line(alert))
    if not shown["open"]:
        _say("nothing is open")
    for channel in shown["channels"]:
        if channel["trouble"]:
            _say(f"the channel {channel['name']} does not take alerts: {channel['trouble']}")
    if not shown["channels"]:
        _say("there is no channel: nobody is told; perpguard alerts channels add")
    return OK


def _acknowledge(args: Arguments) -> int:
    heard = _ask(args, "POST", f"/control/alerts/{_path_part(args.id)}/acknowledge", {"name": args.name})
    if args.json:
        show_json(heard)
    else:
        _say(_line(heard))
    return OK


def _test(args: Arguments) -> int:
    """Every channel that was asked for; refused when one of them did not take it, or there is none."""
    names = [args.channel] if args.channel else [each["name"] for each in _ask(args, "GET", "/api/alerts")["channels"]]
    body = {"name": args.name}
    tried = [_ask(args, "POST", "/control/alerts/test", body | {"channel": name}) for name in names]
    if args.json:
        show_json(tried)
    else:
        for each in tried:
            _say(f"{each['channel']}: {each['trouble'] or 'taken; look whether it arrived'}")
        if not tried:
            _say("there is no channel")
    return OK if tried and not any(each["trouble"] for each in tried) else REFUSED


def _channels(args: Arguments, terminal: Terminal | None) -> int:
    from proxy.commands.keys import Terminal

    terminal = terminal or Terminal.of_this_process()
    vault = _vault(args, terminal)
    match args.channels_command:
        case "add":
            _add(args.channel, vault, terminal)
        case "remove":
            vault.remove_alert_channel(args.channel)
            say(f"channel={args.channel} removed", to=terminal.stdout)
        case _:
            rows = [
                {"channel": each.name, "kind": each.scheme, "created_at": each.created_at.isoformat(timespec="seconds")}
                for each in vault.alert_channels()
            ]
            if args.json:
                show_json(rows, to=terminal.stdout)
            elif not rows:
                say("there is no channel: nobody is told; perpguard alerts channels add NAME", to=terminal.stdout)
            else:
                for row in rows:
                    say(" ".join(f"{name}={value}" for name, value in row.items()), to=terminal.stdout)
    return OK


def _add(name: str, vault: Vault, terminal: Terminal) -> None:
    from proxy.alerts.sending import usable
    from proxy.commands.keys import read_secret
    from proxy.vault.errors import InvalidField

    url = read_secret(terminal, URL_VARIABLE, "apprise URL: ")
    if not usable(url):
        raise InvalidField("url", "an apprise URL that leads off this machine's screen, such as tgram://TOKEN/CHAT")
    added = vault.add_alert_channel(name=name, url=url, now=terminal.now())
    say(f"channel={added.name} kind={added.scheme}", to=terminal.stdout)
    remark(f"Try it: perpguard alerts test {added.name} --name YOU", to=terminal.stderr)


def _vault(args: Arguments, terminal: Terminal) -> Vault:
    from proxy.vault.opening import open_vault

    return open_vault(
        args.data_dir, environment=terminal.environment, file=args.passphrase_file, prompt=terminal.prompt
    )


def _ask(args: Arguments, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:
    from proxy.client.asking import ask

    return ask(args.settings, method, path, body)


def _path_part(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def _line(alert: Mapping[str, Any]) -> str:
    heard = f", acknowledged by {alert['acknowledged_by']}" if alert["acknowledged_by"] else ""
    over = f", over {alert['closed_at']}" if alert["closed_at"] else ""
    times = f", {alert['count']} times" if alert["count"] > 1 else ""
    return f"{alert['id']} {alert['severity']} since {alert['raised_at']}{times}{heard}{over}: {alert['title']}"


def _say(line: str) -> None:
    say(safe(line))  # Titles quote what venues and files say, of any length.
