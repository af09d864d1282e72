"""``perpguard``: one command for everything. Each part adds its own subcommand; nothing heavy is imported to parse."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proxy.core_dumps import refuse_core_dumps
from proxy.kill import commands as kill_commands
from proxy.terminal import complain, say, show_json

if TYPE_CHECKING:
    from proxy.audit.pages import Hindsight
    from proxy.settings import Settings

USAGE_ERROR: Final = 2
_SIGNALLED: Final = 128
"""A shell adds the number of the signal that ended a command."""

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
    # httpx loads a command line of its own where there are click and rich: 3 MiB and 0.1 s. It can do without.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    given = list(sys.argv[1:] if arguments is None else arguments)
    if _command_in(given) == "sandbox":
        # The practice exchange is a program of its own, which the guard must not be able to import. Of its settings it
        # knows nothing either.
        behind = given[_place_of_command(given) + 1 :]
        os.execv(sys.executable, [sys.executable, "-m", "sandbox", *behind])  # noqa: S606 - our own module
    parser = _parser_for(_command_in(given))
    _take_settings_anywhere(parser)
    args = parser.parse_args(given, namespace=Arguments())
    if args.command == "kill":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # A terminal that is lost ends no kill.
        return kill_commands.run(args)  # Refuses them itself once the gates have stopped.
    refuse_core_dumps()
    try:
        code = _run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        if args.command in _PROCESSES:
            raise
        complain(args.command, "interrupted")
        return _SIGNALLED + signal.SIGINT
    except BrokenPipeError:
        if args.command in _PROCESSES:
            raise
        # Whoever read has heard enough, as `head` has. What is still buffered must not be tried again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _SIGNALLED + signal.SIGPIPE
    except Exception as error:
        # Loaded when something went wrong: a gate needs no archive to run.
        from proxy.plain_troubles import plainly

        said = plainly(error, files_too=args.command not in _CHILDREN)
        if not said:
            raise
        complain(args.command, *said.split("\n"))
        return USAGE_ERROR


def _run(args: Arguments) -> int:
    own = _COMMANDS.get(args.command)
    if own is not None:
        return own(args)
    code: int = importlib.import_module(_MODULES[args.command]).run(args)
    return code


def _command_in(given: Sequence[str]) -> str:
    """The first word that is neither an option of all commands nor its value."""
    return "".join(given[_place_of_command(given) :][:1])


def _place_of_command(given: Sequence[str]) -> int:
    """Where that word stands; behind the last where there is none."""
    words = iter(enumerate(given))
    for place, word in words:
        if not word.startswith("-"):
            return place
        if word in ("--config", "--data-dir"):
            next(words, None)
    return len(given)


def _parser_for(command: str) -> argparse.ArgumentParser:
    """The parser of one command alone: those of all together load 80 MB and take a second, or three.

    A kill writes the file that stops the gates before anything heavy is loaded; processes stay as small as they are;
    whoever asks for the guard's state in a hurry does not wait for the ledger's library. All are there for help.
    """
    if command != "kill" and command not in _PROCESSES and command not in _MODULES:
        return _parser()
    parser, commands = _base_parser()
    if command == "kill":
        kill_commands.add_arguments(commands)
    elif command in _PROCESSES:
        _add_processes(commands)
    else:
        _add_module(parser, commands, command)
    return parser


def _base_parser() -> tuple[argparse.ArgumentParser, argparse._SubParsersAction[argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser(
        prog="perpguard", description="A guard proxy with a kill switch for bots that trade perpetual futures."
    )
    parser.add_argument("--config", type=Path, default=_config_from_environment(), help="settings file (TOML)")
    parser.add_argument("--data-dir", type=Path, dest="data_dir_given", help="where state is kept")
    return parser, parser.add_subparsers(dest="command", required=True, metavar="COMMAND")


def _take_settings_anywhere(parser: argparse.ArgumentParser) -> None:
    """Which guard is meant may also be said behind the command: in a hurry it is."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in set(action.choices.values()):
                for option, name in (("--config", "config"), ("--data-dir", "data_dir_given")):
                    command.add_argument(
                        option, type=Path, dest=name, default=argparse.SUPPRESS, help=argparse.SUPPRESS
                    )
                _take_settings_anywhere(command)


def _parser() -> argparse.ArgumentParser:
    parser, commands = _base_parser()
    commands.add_parser("init", help="write the first state of a data directory")
    check = commands.add_parser("check", help="read settings, policy and vault as the guard would; say what is wrong")
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help="this policy, instead of the settings'")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    rules = commands.add_parser("rules", help="what each rule does, its settings, codes and clauses")
    rules.add_argument("rule_id", nargs="?", metavar="RULE")
    rules.add_argument("--json", action="store_true", help="print JSON")
    covered = commands.add_parser("coverage", help="which clauses of the regulations the policy covers")
    covered.add_argument("policy_file", nargs="?", type=Path, metavar="POLICY", help="instead of the policy in force")
    covered.add_argument("--json", action="store_true", help="print JSON")
    _add_processes(commands)
    commands.add_parser("sandbox", help="run the practice exchange; see 'perpguard sandbox --help'")
    demo = commands.add_parser("demo", help="the whole story on this machine, in a minute")
    demo.add_argument("--once", action="store_true", help="run unattended and end")
    demo.add_argument("--json", action="store_true", help="print one JSON object")
    kill_commands.add_arguments(commands)
    for command in _MODULES:
        _add_module(parser, commands, command)
    return parser


def _add_module(
    parser: argparse.ArgumentParser, commands: argparse._SubParsersAction[argparse.ArgumentParser], command: str
) -> None:
    importlib.import_module(_MODULES[command]).add_arguments(commands)
    if command == "audit":
        # The record knows nothing of what things came to; its page of one request may be told.
        parser.set_defaults(look_back=_look_back)


def _look_back(decision: Mapping[str, Any] | None, data_dir: Path) -> Hindsight:
    from proxy.ledger.commands import look_back

    return look_back(decision, data_dir)


_CHILDREN: Final = frozenset({"gate", "warden", "watchdog"})
_PROCESSES: Final = _CHILDREN | {"up"}


def _add_processes(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands that stay."""
    commands.add_parser("up", help="run the guard: store, warden and gates")
    for name, text in (("gate", "one gate process"), ("warden", "the warden process")):
        process = commands.add_parser(name, help=f"{text} (started by 'up')")
        process.add_argument("--fd", type=int, required=True, help="an inherited listening socket")
        if name == "gate":
            process.add_argument("--https-fd", type=int, help="another, to greet by TLS")
            process.add_argument("--place", default="gate", help="what it is called in the metrics (default: gate)")
            process.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    watchdog = commands.add_parser("watchdog", help="flatten the desk when the guard falls silent")
    watchdog.add_argument("--guard", metavar="URL", help="the guard's control port; default: the settings'")
    watchdog.add_argument("--name", help="how the guard and the log call it; default: this host's name")
    watchdog.add_argument("--supervisor", type=int, metavar="PID", help=argparse.SUPPRESS)


def _config_from_environment() -> Path | None:
    named = os.environ.get("PERPGUARD_CONFIG")
    return Path(named) if named else None


def _init(args: Arguments) -> int:
    from proxy.store.fence import Fence

    fence = Fence.initialise(args.data_dir)
    stopped = ", ".join(sorted(map(str, fence.scopes())))
    state = f"STOPPED: {stopped}; perpguard rearm lets it trade again" if stopped else "nothing is stopped"
    say(f"{args.data_dir} is ready; {state}; kill generation {fence.generation()}")
    return 0


def _check(args: Arguments) -> int:
    from proxy.policy.checking import run

    return run(args.file, lambda: args.settings, as_json=args.json)


def _rules(args: Arguments) -> int:
    from proxy.reference.rule_pages import rule_page, rules_json, rules_part
    from rules.catalog import CATALOG

    if args.rule_id is not None and args.rule_id not in CATALOG:
        complain("rules", f"no rule {args.rule_id}; known are {', '.join(CATALOG)}")
        return USAGE_ERROR
    if args.json:
        page = rules_json(args.rule_id)
    else:
        page = rules_part() if args.rule_id is None else rule_page(CATALOG[args.rule_id])
    say(*page.split("\n"))
    return 0


def _coverage(args: Arguments) -> int:
    from proxy.policy.reading import load_policy
    from proxy.policy.shelf import policy_path
    from proxy.reference.coverage import coverage, coverage_table
    from proxy.store.codec import plain

    policy = load_policy(args.policy_file if args.policy_file is not None else policy_path(args.settings))
    rows = list(coverage(policy))
    if args.json:
        show_json(plain(rows))
    else:
        say(*coverage_table(policy, rows).split("\n"))
    return 0


def _up(args: Arguments) -> int:
    from proxy.policy.reading import load_policy
    from proxy.policy.shelf import policy_path
    from proxy.starting import check_startable
    from proxy.store.fence import Fence
    from proxy.supervision.supervisor import Supervisor
    from proxy.vault.opening import open_unambiguous

    settings = args.settings
    load_policy(settings.policy)
    load_policy(policy_path(settings))
    vault = open_unambiguous(settings, os.environ)
    check_startable(settings, {key.account for key in vault.accounts()})
    if settings.watchdog == "local":
        vault.pair_watchdog()
    if Fence(settings.data_dir).is_lost:
        lost = "kill/ is gone from a data directory that has been used: the desk is stopped"
        complain("up", lost)
    Fence.resume(settings.data_dir)
    passed_on = ["--data-dir", str(settings.data_dir)]
    if args.config is not None:
        passed_on += ["--config", str(args.config)]
        # For what the warden starts in its turn, such as a drill.
        os.environ["PERPGUARD_CONFIG"] = str(args.config)
    return Supervisor(settings, passed_on, os.environ).run()


def _gate(args: Arguments) -> int:
    from proxy.app import run_gate

    return run_gate(args.settings, args.fd, args.https_fd, args.place, args.ready_fd)


def _warden(args: Arguments) -> int:
    from proxy.app import run_warden

    return run_warden(args.settings, args.fd)


def _watchdog(args: Arguments) -> int:
    from proxy.app import run_watchdog

    return run_watchdog(args.settings, guard=args.guard, name=args.name, supervisor=args.supervisor)


def _demo(args: Arguments) -> int:
    from proxy.demo.story import run

    return run(once=args.once, as_json=args.json)


_COMMANDS: Final[Mapping[str, Callable[[Arguments], int]]] = {
    "init": _init,
    "check": _check,
    "rules": _rules,
    "coverage": _coverage,
    "up": _up,
    "gate": _gate,
    "warden": _warden,
    "watchdog": _watchdog,
    "demo": _demo,
}

_MODULES: Final[Mapping[str, str]] = {
    "status": "proxy.status_command",
    "doctor": "proxy.doctor.command",
    "restart-gates": "proxy.supervision.restart_command",
    "reduce": "proxy.kill.reduce_commands",
    "rearm": "proxy.kill.rearm_commands",
    "drill": "proxy.drill.commands",
    "command": "proxy.kill.signing",
    "keys": "proxy.vault.commands",
    "audit": "proxy.audit.commands",
    "ledger": "proxy.ledger.commands",
    "export": "proxy.ledger.export_command",
    "people": "proxy.people.commands",
    "policy": "proxy.policy.commands",
    "override": "proxy.overrides.commands",
    "leases": "proxy.leases.commands",
    "alerts": "proxy.alerts.commands",
    "signals": "proxy.signals.commands",
    "certificate": "proxy.certificate.commands",
    "tls": "proxy.tls.commands",
}
"""Each part's own commands: ``add_arguments(subparsers)`` and ``run(args) -> int``, light to load."""
