"""`perpguard keys …`: put exchange keys in, hand guard keys out. Secrets come in by pipe, environment or prompt, never
by argument (every user of the machine can read those), and go out once.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

from proxy.clock import utc_now
from proxy.commands import keys_exchange
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import OK, USAGE_ERROR
from proxy.commands.in_words import file_trouble
from proxy.terminal import complain, remark, say, show_json
from proxy.vault.errors import InvalidField, PassphraseRefused, VaultError
from proxy.vault.keys import ExchangeKey, GuardKey, Secret, new_exchange_key, new_master_key, shortened
from proxy.vault.opening import open_vault, person_here, vault_path
from proxy.vault.passphrase import read_passphrase
from proxy.vault.public_keys import PEM_CHARACTERS_MAX
from proxy.vault.vault import Vault
from proxy.venues.binance.client_ids import TagsClash, tags

_SECRET_CHARACTERS_MAX = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """Where a command reads from and writes to; tests give their own."""

    environment: Mapping[str, str]
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    prompt: Callable[[str], str] | None  # None: nobody is there to answer.
    now: Callable[[], datetime]

    def __repr__(self) -> str:
        return "Terminal()"  # The environment may hold the passphrase.

    @classmethod
    def of_this_process(cls) -> "Terminal":
        """The real one."""
        return cls(
            environment=os.environ,
            stdin=sys.stdin,
            stdout=sys.stdout,
            stderr=sys.stderr,
            prompt=person_here(),
            now=utc_now,
        )


def add_arguments(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `keys` and its subcommands to the global command line."""
    keys = subparsers.add_parser("keys", help="exchange keys in the vault, guard keys for bots")
    actions = keys.add_subparsers(dest="keys_command", required=True)

    exchange = _exchange_key_actions(actions)
    issue = actions.add_parser("issue", help="a new guard key for a bot; its secret is shown once")
    issue.add_argument("--bot", required=True)
    issue.add_argument("--account", required=True)
    issue.add_argument("--label", help="default: the bot's name")

    listing = actions.add_parser("list", help="accounts and guard keys, without secrets")
    listing.add_argument("--full-keys", action="store_true", help="do not shorten keys")

    watchdog = actions.add_parser(
        "watchdog",
        help="the secret that guard and watchdogs know each other by",
        description="Shows it, made when there is none. On a watchdog's own host: --keep reads it from"
        " PERPGUARD_WATCHDOG_SECRET, else from a pipe, else asks for it.",
    )
    watchdog.add_argument("--keep", action="store_true", help="keep the secret that the guard's vault showed")

    disable = actions.add_parser("disable", help="refuse a guard key from now on")
    enable = actions.add_parser("enable", help="obey a disabled guard key again")
    rotate = actions.add_parser("rotate", help="replace a guard key; the old one is refused for ever")
    for action in (disable, enable, rotate):
        action.add_argument("key", help="the full guard key")
    for action in (issue, rotate):
        action.add_argument(
            "--ed25519",
            type=Path,
            metavar="PUBLIC_KEY_FILE",
            help="the bot signs with its own Ed25519 key; the file holds the public half (PEM)",
        )
    for action in (issue, listing, rotate, disable, enable):
        action.add_argument("--json", action="store_true", help="print JSON")
    for action in (*exchange, issue, listing, disable, enable, rotate, watchdog):
        action.add_argument("--passphrase-file", type=Path, help="a file only you can read")


def _exchange_key_actions(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> tuple[argparse.ArgumentParser, ...]:
    """What can be done with the keys that exchanges gave out."""
    add = actions.add_parser(
        "add-exchange",
        help="keep an account's exchange key (creates the vault if there is none)",
        description="The secret is read from PERPGUARD_API_SECRET, else from a pipe, else asked for.",
    )
    add.add_argument("--account", required=True)
    add.add_argument("--venue", required=True)
    add.add_argument("--api-key", help="default: PERPGUARD_API_KEY")
    add.add_argument("--offline", action="store_true", help="do not ask the exchange what the key may do")
    keys_exchange.add_acceptances(add)

    check = actions.add_parser("check", help="ask the exchange what the kept exchange keys may do")
    check.add_argument("--account", help="only this one; default: all")
    keys_exchange.add_acceptances(check)

    master = actions.add_parser(
        "set-master",
        help="keep the key of an account's master, so that a kill can end with the account's own key off",
        description="For [kill.keys] disable_on_venue. The secret is read as add-exchange reads it.",
    )
    master.add_argument("--account", required=True)
    master.add_argument("--email", help="the sub-account's, as its master sees it")
    master.add_argument("--api-key", help="the master's; default: PERPGUARD_API_KEY")
    master.add_argument("--forget", action="store_true", help="keep no master key any more")
    return add, check, master


def run(args: Arguments, terminal: Terminal | None = None) -> int:
    """Run one `keys` command: 0 when done, 2 when refused, with the reason on stderr."""
    terminal = terminal or Terminal.of_this_process()
    try:
        _COMMANDS[args.keys_command](args, terminal)
    except BrokenPipeError:
        raise
    except OSError as trouble:
        complain("keys", file_trouble(trouble), to=terminal.stderr)
        return USAGE_ERROR
    except (VaultError, TagsClash) as trouble:
        complain("keys", str(trouble), to=terminal.stderr)
        return USAGE_ERROR
    except EOFError:
        complain("keys", "the question was not answered", to=terminal.stderr)
        return USAGE_ERROR
    return OK


def _add_exchange(args: Arguments, terminal: Terminal) -> None:
    kept_at = vault_path(args.data_dir)  # Where that cannot be known, nobody is asked for a secret.
    api_key = args.api_key or terminal.environment.get("PERPGUARD_API_KEY", "")
    if not api_key:
        raise InvalidField("api_key", "given as --api-key or PERPGUARD_API_KEY")
    api_secret = read_secret(terminal, "PERPGUARD_API_SECRET", "Exchange API secret: ")
    now = terminal.now()
    candidate = new_exchange_key(
        account=args.account, venue=args.venue, api_key=api_key, api_secret=api_secret, now=now
    )
    enrolled = keys_exchange.enrol(args, candidate, now, terminal.stderr)
    vault = _open(args, terminal) if kept_at.exists() else _create(args, terminal)
    added = vault.add_exchange_key(
        account=args.account, venue=args.venue, api_key=api_key, api_secret=api_secret, now=now, enrolment=enrolled
    )
    say(f"account={added.account} venue={added.venue} key={shortened(added.api_key)}", to=terminal.stdout)


def _check(args: Arguments, terminal: Terminal) -> None:
    keys_exchange.check(args, _open(args, terminal), terminal.now(), terminal.stdout)


def _set_master(args: Arguments, terminal: Terminal) -> None:
    vault = _open(args, terminal)
    if args.forget:
        vault.set_master(args.account, None)
        say(f"account={args.account} master=none", to=terminal.stdout)
        return
    vault.exchange_key(args.account)  # Of a misspelt account nobody is asked for a secret.
    api_key = args.api_key or terminal.environment.get("PERPGUARD_API_KEY", "")
    api_secret = read_secret(terminal, "PERPGUARD_API_SECRET", "Exchange API secret: ")
    kept = new_master_key(api_key=api_key, api_secret=api_secret, email=args.email or "")
    vault.set_master(args.account, kept)
    say(f"account={args.account} master={shortened(kept.api_key)}", to=terminal.stdout)


def _issue(args: Arguments, terminal: Terminal) -> None:
    vault = _open(args, terminal)
    # Before the key is made: a bot whose orders look like another's must not get one.
    tags(args.account, (args.bot, *(each.bot for each in vault.guard_keys() if each.account == args.account)))
    issued = vault.issue(
        bot=args.bot,
        account=args.account,
        label=args.label or args.bot,
        now=terminal.now(),
        public_key=_read_public_key(args),
    )
    _show_once(issued, args, terminal)


def _rotate(args: Arguments, terminal: Terminal) -> None:
    rotated = _open(args, terminal).rotate(args.key, terminal.now(), public_key=_read_public_key(args))
    _show_once(rotated, args, terminal)


def _disable(args: Arguments, terminal: Terminal) -> None:
    _show_state(_open(args, terminal).disable(args.key, terminal.now()), args, terminal)


def _enable(args: Arguments, terminal: Terminal) -> None:
    _show_state(_open(args, terminal).enable(args.key, terminal.now()), args, terminal)


def _watchdog(args: Arguments, terminal: Terminal) -> None:
    vault = _open(args, terminal)
    if args.keep:
        vault.keep_watchdog_secret(read_secret(terminal, "PERPGUARD_WATCHDOG_SECRET", "The watchdog's secret: "))
        say("watchdog secret kept", to=terminal.stdout)
        return
    say(f"secret={vault.pair_watchdog().reveal()}", to=terminal.stdout)
    remark("Whoever has it can pretend that the guard lives. It stays the same.", to=terminal.stderr)


def _list(args: Arguments, terminal: Terminal) -> None:
    vault = _open(args, terminal)
    spell: Callable[[str], str] = str if args.full_keys else shortened
    accounts = [_account_row(each, spell) for each in vault.accounts()]
    guard_keys = [_guard_key_row(each, spell) for each in vault.guard_keys()]
    if args.json:
        show_json({"accounts": accounts, "guard_keys": guard_keys}, to=terminal.stdout)
        return
    for title, rows in (("account", accounts), ("guard", guard_keys)):
        for row in rows:
            say(" ".join((title, *(f"{name}={value}" for name, value in row.items()))), to=terminal.stdout)


_COMMANDS: dict[str, Callable[[Arguments, Terminal], None]] = {
    "add-exchange": _add_exchange,
    "check": _check,
    "set-master": _set_master,
    "issue": _issue,
    "list": _list,
    "disable": _disable,
    "enable": _enable,
    "rotate": _rotate,
    "watchdog": _watchdog,
}


def _open(args: Arguments, terminal: Terminal) -> Vault:
    return open_vault(
        args.data_dir, environment=terminal.environment, file=args.passphrase_file, prompt=terminal.prompt
    )


def _create(args: Arguments, terminal: Terminal) -> Vault:
    ask = terminal.prompt
    passphrase = read_passphrase(
        environment=terminal.environment,
        file=args.passphrase_file,
        prompt=None if ask is None else lambda question: _ask_twice(ask, question),
    )
    vault = Vault.create(vault_path(args.data_dir), passphrase)
    vault.signing_key(terminal.now())
    return vault


def _ask_twice(ask: Callable[[str], str], question: str) -> str:
    # A new passphrase with a typing error would lock the keys in for ever.
    answer = Secret(ask(f"New {question[0].lower()}{question[1:]}"))
    if Secret(ask("Once more: ")) != answer:
        raise PassphraseRefused("the two answers differ")
    return answer.reveal()


def read_secret(terminal: Terminal, variable: str, question: str) -> Secret:
    """A secret from the environment's ``variable``, else asked for where somebody is there, else from the pipe."""
    if terminal.environment.get(variable):
        return Secret(terminal.environment[variable].strip())
    if terminal.prompt is not None:
        return Secret(terminal.prompt(question).strip())
    try:
        return Secret(terminal.stdin.read(_SECRET_CHARACTERS_MAX).strip())
    except UnicodeDecodeError:
        # "from None" hides but keeps the cause, and this cause carries the bytes: an empty one is refused later.
        return Secret("")


def _read_public_key(args: Arguments) -> str | None:
    if args.ed25519 is None:
        return None
    with args.ed25519.open("rb") as file:
        # Characters that are no ASCII make it no key: it is refused where every other wrong file is.
        content: bytes = file.read(PEM_CHARACTERS_MAX + 1)
    return content.decode("latin-1")


def _show_once(issued: GuardKey, args: Arguments, terminal: Terminal) -> None:
    if issued.public_key is not None:
        _show_key(issued, args, terminal)
        return
    if args.json:
        credential = {"key": issued.key, "secret": issued.secret.reveal(), "bot": issued.bot, "account": issued.account}
        show_json(credential | {"state": issued.state.value}, to=terminal.stdout)
    else:
        say(f"key={issued.key}", f"secret={issued.secret.reveal()}", to=terminal.stdout)
    remark("The secret is not shown again; `perpguard keys rotate` replaces it.", to=terminal.stderr)


def _show_key(issued: GuardKey, args: Arguments, terminal: Terminal) -> None:
    """An Ed25519 guard key: the bot has its own private key, so there is no secret to show."""
    if args.json:
        shown = {"key": issued.key, "bot": issued.bot, "account": issued.account, "state": issued.state.value}
        show_json(shown, to=terminal.stdout)
    else:
        say(f"key={issued.key}", to=terminal.stdout)
    remark("The bot signs with the private half of the key pair it keeps.", to=terminal.stderr)


def _show_state(changed: GuardKey, args: Arguments, terminal: Terminal) -> None:
    if args.json:
        show_json(_guard_key_row(changed, shortened), to=terminal.stdout)
        return
    say(f"key={shortened(changed.key)} bot={changed.bot} state={changed.state.value}", to=terminal.stdout)


def _account_row(key: ExchangeKey, spell: Callable[[str], str]) -> dict[str, str]:
    return {
        "account": key.account,
        "venue": key.venue,
        "api_key": spell(key.api_key),
        "created_at": key.created_at.isoformat(timespec="seconds"),
        "master": spell(key.master.api_key) if key.master is not None else "none",
        **keys_exchange.enrolment_row(key),
    }


def _guard_key_row(key: GuardKey, spell: Callable[[str], str]) -> dict[str, str]:
    return {
        "key": spell(key.key),
        "state": key.state.value,
        "bot": key.bot,
        "account": key.account,
        "label": key.label,
        "signs_with": "HMAC" if key.public_key is None else "Ed25519",
        "created_at": key.created_at.isoformat(timespec="seconds"),
    }
