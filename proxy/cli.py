"""``perpguard``: one command for everything. Each part adds its own subcommand; nothing heavy is imported to parse."""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.kill import commands as kill_commands

if TYPE_CHECKING:
    from proxy.settings import Settings

USAGE_ERROR: Final = 2
DATA_DIR_DEFAULT: Final = Path(".perpguard")


class Arguments(argparse.Namespace):
    """The parsed command line. ``settings`` are read when first asked for: a kill stops the gates before that."""

    config: Path | None
    data_dir_given: Path | None
    command: str

    @cached_property
    def data_dir(self) -> Path:
        """The data directory, found with the standard library alone. An unreadable settings file does not hide it."""
        if self.data_dir_given is not None:
            return self.data_dir_given
        if os.environ.get("PERPGUARD_DATA_DIR"):
            return Path(os.environ["PERPGUARD_DATA_DIR"])
        if self.config is not None:
            try:
                named = tomllib.loads(self.config.read_text(encoding="utf-8")).get("data_dir")
            except (OSError, ValueError):
                named = None
            if isinstance(named, str):
                return self.config.parent / named
        return DATA_DIR_DEFAULT

    @cached_property
    def settings(self) -> Settings:
        """The settings. Raises ``SettingsError``."""
        from proxy.settings import load_settings

        return load_settings(self.config, {"data_dir": self.data_dir})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["sandbox"]:
        # The practice exchange is a program of its own, which the guard must not be able to import.
        os.execv(sys.executable, [sys.executable, "-m", "sandbox", *given[1:]])  # noqa: S606 - our own module
    # A kill writes the file that stops the gates before anything heavy is loaded; other commands' parsers are heavy.
    parser = _kill_parser() if _command_in(given) == "kill" else _parser()
    args = parser.parse_args(given, namespace=Arguments())
    if args.command == "kill":
        return kill_commands.run(args)
    from proxy.audit.reader import ArchiveUnavailable
    from proxy.policy_file import PolicyError
    from proxy.settings import SettingsError
    from proxy.store.embedded import EmbeddedStoreFailed
    from proxy.supervisor import GuardRunning
    from proxy.vault.errors import VaultError
    from proxy.venues.binance.client_ids import TagsClash
    from proxy.watchdog.stopping import NotPaired

    try:
        return _COMMANDS[args.command](args)
    except (
        SettingsError,
        PolicyError,
        VaultError,
        TagsClash,
        EmbeddedStoreFailed,
        ArchiveUnavailable,
        GuardRunning,
        NotPaired,
    ) as error:
        print(f"perpguard {args.command}: {error}", file=sys.stderr)  # noqa: T201 - a command's own output
        return USAGE_ERROR


def _command_in(given: Sequence[str]) -> str:
    """The first word that is neither an option of all commands nor its value."""
    words = iter(given)
    for word in words:
        if not word.startswith("-"):
            return word
        if word in ("--config", "--data-dir"):
            next(words, None)
    return ""


def _kill_parser() -> argparse.ArgumentParser:
    parser, commands = _base_parser()
    kill_commands.add_arguments(commands)
    return parser


def _base_parser() -> tuple[argparse.ArgumentParser, argparse._SubParsersAction[argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser(
        prog="perpguard", description="A guard proxy with a kill switch for bots that trade perpetual futures."
    )
    parser.add_argument("--config", type=Path, default=_config_from_environment(), help="settings file (TOML)")
    parser.add_argument("--data-dir", type=Path, dest="data_dir_given", help="where state is kept")
    return parser, parser.add_subparsers(dest="command", required=True, metavar="COMMAND")


def _parser() -> argparse.ArgumentParser:
    from proxy.audit import commands as audit_commands
    from proxy.certificate import commands as certificate_commands
    from proxy.drill import commands as drill_commands
    from proxy.kill import rearm_commands
    from proxy.kill import signing as signing_commands
    from proxy.leases import commands as lease_commands
    from proxy.ledger import commands as ledger_commands
    from proxy.overrides import commands as override_commands
    from proxy.policy import commands as policy_commands
    from proxy.signals import commands as signal_commands
    from proxy.vault import commands as vault_commands

    parser, commands = _base_parser()
    commands.add_parser("init", help="write the first state of a data directory")
    check = commands.add_parser("check", help="read settings, policy and vault as the guard would; say what is wrong")
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help="this policy, instead of the settings'")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    rules = commands.add_parser("rules", help="what each rule does, its settings, codes and clauses")
    rules.add_argument("rule_id", nargs="?", metavar="RULE")
    covered = commands.add_parser("coverage", help="which clauses of the regulations the policy covers")
    covered.add_argument("policy_file", nargs="?", type=Path, metavar="POLICY", help="instead of the policy in force")
    covered.add_argument("--json", action="store_true", help="print JSON")
    commands.add_parser("up", help="run the guard: store, warden and gates")
    for name, text in (("gate", "one gate process"), ("warden", "the warden process")):
        process = commands.add_parser(name, help=f"{text} (started by 'up')")
        process.add_argument("--fd", type=int, required=True, help="an inherited listening socket")
    watchdog = commands.add_parser("watchdog", help="flatten the desk when the guard falls silent")
    watchdog.add_argument("--guard", metavar="URL", help="the guard's control port; default: the settings'")
    watchdog.add_argument("--name", help="how the guard and the log call it; default: this host's name")
    watchdog.add_argument("--supervisor", type=int, metavar="PID", help=argparse.SUPPRESS)
    commands.add_parser("sandbox", help="run the practice exchange; see 'perpguard sandbox --help'")
    demo = commands.add_parser("demo", help="the whole story on this machine, in a minute")
    demo.add_argument("--once", action="store_true", help="run unattended and end")
    demo.add_argument("--json", action="store_true", help="print one JSON object")
    kill_commands.add_arguments(commands)
    rearm_commands.add_arguments(commands)
    drill_commands.add_arguments(commands)
    signing_commands.add_arguments(commands)
    vault_commands.add_arguments(commands)
    audit_commands.add_arguments(commands, ledger_commands.look_back)
    ledger_commands.add_arguments(commands)
    policy_commands.add_arguments(commands)
    override_commands.add_arguments(commands)
    lease_commands.add_arguments(commands)
    signal_commands.add_arguments(commands)
    certificate_commands.add_arguments(commands)
    return parser


def _config_from_environment() -> Path | None:
    named = os.environ.get("PERPGUARD_CONFIG")
    return Path(named) if named else None


def _init(args: Arguments) -> int:
    from proxy.store.fence import Fence

    fence = Fence.initialise(args.data_dir)
    print(f"{args.data_dir} is ready; kill generation {fence.generation()}")  # noqa: T201
    return 0


def _check(args: Arguments) -> int:
    from proxy.policy.checking import run

    return run(args.file, lambda: args.settings, as_json=args.json)


def _rules(args: Arguments) -> int:
    from proxy.rule_pages import rule_page, rules_part
    from rules.catalog import CATALOG

    if args.rule_id is not None and args.rule_id not in CATALOG:
        print(f"perpguard rules: no rule {args.rule_id}; known are {', '.join(CATALOG)}", file=sys.stderr)  # noqa: T201
        return USAGE_ERROR
    print(rules_part() if args.rule_id is None else rule_page(CATALOG[args.rule_id]))  # noqa: T201
    return 0


def _coverage(args: Arguments) -> int:
    from proxy.app import policy_path
    from proxy.coverage import coverage, coverage_table
    from proxy.policy_file import load_policy
    from proxy.store.codec import dump

    policy = load_policy(args.policy_file if args.policy_file is not None else policy_path(args.settings))
    rows = list(coverage(policy))
    print(dump(rows).decode() if args.json else coverage_table(policy, rows))  # noqa: T201
    return 0


def _up(args: Arguments) -> int:
    from proxy.app import open_vault, policy_path
    from proxy.policy_file import load_policy
    from proxy.source_addresses import check_source_addresses
    from proxy.store.fence import Fence
    from proxy.supervisor import Supervisor

    settings = args.settings
    load_policy(settings.policy)
    load_policy(policy_path(settings))
    vault = open_vault(settings, os.environ)
    check_source_addresses(settings, {key.account for key in vault.accounts()})
    if settings.watchdog == "local":
        vault.pair_watchdog()
    Fence.initialise(settings.data_dir)
    passed_on = ["--data-dir", str(settings.data_dir)]
    if args.config is not None:
        passed_on += ["--config", str(args.config)]
        # For what the warden starts in its turn, such as a drill.
        os.environ["PERPGUARD_CONFIG"] = str(args.config)
    return Supervisor(settings, passed_on, os.environ).run()


def _gate(args: Arguments) -> int:
    from proxy.app import run_gate

    return run_gate(args.settings, args.fd)


def _warden(args: Arguments) -> int:
    from proxy.app import run_warden

    return run_warden(args.settings, args.fd)


def _watchdog(args: Arguments) -> int:
    from proxy.app import run_watchdog

    return run_watchdog(args.settings, guard=args.guard, name=args.name, supervisor=args.supervisor)


def _rearm(args: Arguments) -> int:
    from proxy.kill import rearm_commands

    return rearm_commands.run(args)


def _drill(args: Arguments) -> int:
    from proxy.drill import commands as drill_commands

    return drill_commands.run(args)


def _demo(args: Arguments) -> int:
    from proxy.demo.story import run

    return run(once=args.once, as_json=args.json)


def _keys(args: Arguments) -> int:
    from proxy.vault import commands as vault_commands

    return vault_commands.run(args)


def _policy(args: Arguments) -> int:
    from proxy.policy import commands as policy_commands

    return policy_commands.run(args)


def _audit(args: Arguments) -> int:
    from proxy.audit import commands as audit_commands

    return audit_commands.run(args)


def _ledger(args: Arguments) -> int:
    from proxy.ledger import commands as ledger_commands

    return ledger_commands.run(args)


def _command(args: Arguments) -> int:
    from proxy.kill import signing as signing_commands

    return signing_commands.run(args)


def _override(args: Arguments) -> int:
    from proxy.overrides import commands as override_commands

    return override_commands.run(args)


def _leases(args: Arguments) -> int:
    from proxy.leases import commands as lease_commands

    return lease_commands.run(args.settings, as_json=args.json)


def _signals(args: Arguments) -> int:
    from proxy.signals import commands as signal_commands

    return signal_commands.run(args)


def _certificate(args: Arguments) -> int:
    from proxy.certificate import commands as certificate_commands

    return certificate_commands.run(args)


_COMMANDS: Final[dict[str, Callable[[Arguments], int]]] = {
    "init": _init,
    "check": _check,
    "rules": _rules,
    "coverage": _coverage,
    "up": _up,
    "gate": _gate,
    "warden": _warden,
    "watchdog": _watchdog,
    "rearm": _rearm,
    "drill": _drill,
    "demo": _demo,
    "keys": _keys,
    "audit": _audit,
    "ledger": _ledger,
    "policy": _policy,
    "override": _override,
    "leases": _leases,
    "signals": _signals,
    "certificate": _certificate,
    "command": _command,
}
