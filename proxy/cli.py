"""``perpguard``: one command for everything.

A command is a file of ``proxy.commands``, and only the one that was asked for is loaded, or all of them for the help of
all. What ``up`` starts, gates, warden and watchdog, is put together by ``proxy.app``, which nobody else may load.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from proxy.commands import kill, up
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import SIGNALLED, USAGE_ERROR
from proxy.core_dumps import refuse_core_dumps
from proxy.terminal import complain


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
        return kill.run(args)  # Refuses them itself once the gates have stopped.
    refuse_core_dumps()
    try:
        code = _run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        if args.command in _PROCESSES:
            raise
        complain(args.command, "interrupted")
        return SIGNALLED + signal.SIGINT
    except BrokenPipeError:
        if args.command in _PROCESSES:
            raise
        # Whoever read has heard enough, as `head` has. What is still buffered must not be tried again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SIGNALLED + signal.SIGPIPE
    except Exception as error:
        # Loaded when something went wrong: a gate needs no archive to run.
        from proxy.commands.plain_troubles import plainly

        said = plainly(error, files_too=not _is_child(args))
        if not said:
            raise
        complain(args.command, *said.split("\n"))
        return USAGE_ERROR


def _is_child(args: Arguments) -> bool:
    """Whether `up` started it. A watchdog is also started by hand, or by what starts services."""
    return args.command in _CHILDREN and (args.command != "watchdog" or args.supervisor is not None)


def _run(args: Arguments) -> int:
    process = _PROCESSES.get(args.command)
    if process is not None:
        return process(args)
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
        kill.add_arguments(commands)
    elif command in _PROCESSES:
        _add_processes(commands)
    else:
        _add_module(commands, command)
    return parser


class _Version(argparse.Action):
    """Says the installed version. Who asks for anything else does not load what reads it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Say it and exit."""
        from importlib.metadata import version

        sys.stdout.write(f"perpguard {version('perpguard')}\n")
        parser.exit()


def _base_parser() -> tuple[argparse.ArgumentParser, argparse._SubParsersAction[argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser(
        prog="perpguard", description="A guard proxy with a kill switch for bots that trade perpetual futures."
    )
    parser.add_argument(
        "--config", type=Path, default=_config_from_environment(), metavar="FILE", help="settings file (TOML)"
    )
    parser.add_argument("--data-dir", type=Path, dest="data_dir_given", metavar="DIR", help="where state is kept")
    parser.add_argument("--version", action=_Version, nargs=0, help="say which version this is, and exit")
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
    _add_processes(commands)
    kill.add_arguments(commands)
    for command in _MODULES:
        _add_module(commands, command)
    commands.add_parser("sandbox", help="run the practice exchange; see 'perpguard sandbox --help'")
    return parser


def _add_module(commands: argparse._SubParsersAction[argparse.ArgumentParser], command: str) -> None:
    importlib.import_module(_MODULES[command]).add_arguments(commands)


def _add_processes(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands that stay."""
    up.add_arguments(commands)
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


def _gate(args: Arguments) -> int:
    from proxy.app import run_gate

    return run_gate(args.settings, args.fd, args.https_fd, args.place, args.ready_fd)


def _warden(args: Arguments) -> int:
    from proxy.app import run_warden

    return run_warden(args.settings, args.fd)


def _watchdog(args: Arguments) -> int:
    from proxy.app import run_watchdog

    return run_watchdog(args.settings, guard=args.guard, name=args.name, supervisor=args.supervisor)


_CHILDREN: Final[Mapping[str, Callable[[Arguments], int]]] = {"gate": _gate, "warden": _warden, "watchdog": _watchdog}
"""What ``up`` starts. A file that one of them cannot read is then for its log, with its traceback."""

_PROCESSES: Final[Mapping[str, Callable[[Arguments], int]]] = {"up": up.run, **_CHILDREN}
"""The commands that stay, and end as a signal ends them."""

_MODULES: Final[Mapping[str, str]] = {
    "init": "proxy.commands.init",
    "check": "proxy.commands.check",
    "rules": "proxy.commands.rules",
    "coverage": "proxy.commands.coverage",
    "demo": "proxy.commands.demo",
    "status": "proxy.commands.status",
    "doctor": "proxy.commands.doctor",
    "restart-gates": "proxy.commands.restart_gates",
    "reduce": "proxy.commands.reduce",
    "rearm": "proxy.commands.rearm",
    "drill": "proxy.commands.drill",
    "command": "proxy.commands.signed_command",
    "keys": "proxy.commands.keys",
    "audit": "proxy.commands.audit",
    "ledger": "proxy.commands.ledger",
    "export": "proxy.commands.export",
    "people": "proxy.commands.people",
    "policy": "proxy.commands.policy",
    "override": "proxy.commands.override",
    "leases": "proxy.commands.leases",
    "alerts": "proxy.commands.alerts",
    "signals": "proxy.commands.signals",
    "certificate": "proxy.commands.certificate",
    "tls": "proxy.commands.tls",
}
"""The files of the other commands: each has ``add_arguments(subparsers)`` and ``run(args) -> int``."""
