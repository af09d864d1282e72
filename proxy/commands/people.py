"""``perpguard people ...``: who may sign in, with or without a running warden, which sees each change at once.

Exit codes: 0 done, 1 refused, 2 the file of people cannot be read or written, or the data directory is not there.
"""

from __future__ import annotations

import argparse
import getpass
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from proxy.clock import utc_now
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import OK, REFUSED, USAGE_ERROR
from proxy.commands.in_words import file_trouble
from proxy.people import changes
from proxy.people.changes import ChangeRefused
from proxy.people.file import PeopleBusy, PeopleFile, PeopleUnreadable
from proxy.people.links import link_of
from proxy.people.roles import Role
from proxy.people.users import LINK_LIFE, People, User, digest_of
from proxy.settings import CodesFor
from proxy.terminal import complain, safe, say, show_json


def add_arguments(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``people`` and its subcommands to the global command line."""
    people = subparsers.add_parser("people", help="who may sign in on the console, and as what")
    actions = people.add_subparsers(dest="people_command", required=True, metavar="COMMAND")
    roles = [role.value for role in Role]
    actions.add_parser("list", help="everybody")
    invite = actions.add_parser("invite", help="a new person; prints the link by which they come in, once")
    invite.add_argument("--role", choices=roles, required=True, help="what they may do")
    role = actions.add_parser("role", help="another role, from the person's next request on")
    disable = actions.add_parser("disable", help="close somebody's way in; their sessions end")
    enable = actions.add_parser("enable", help="open it again")
    reset = actions.add_parser("reset", help="forget password and authenticator app; prints a link to set both anew")
    for action in (invite, role, disable, enable, reset):
        action.add_argument("name")
    role.add_argument("role", choices=roles)
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", help="print JSON")


def run(args: Arguments) -> int:
    """Run one ``people`` command and give its exit code."""
    try:
        answer, lines = _ACTIONS[args.people_command](args)
    except ChangeRefused as refusal:
        return _failed(f"refused: {safe(refusal)}", REFUSED)
    except OSError as trouble:
        return _failed(file_trouble(trouble), USAGE_ERROR)
    except (PeopleUnreadable, PeopleBusy) as trouble:
        return _failed(str(trouble), USAGE_ERROR)
    if args.json:
        show_json(answer)
    else:
        say(*lines)
    return OK


def _list(args: Arguments) -> tuple[Any, list[str]]:
    users = PeopleFile(args.data_dir).read().users
    lines = [f"{user.name}  {user.role}  {user.state}{'' if user.has_code else '  without an app'}" for user in users]
    return [_shown(user) for user in users], [*map(safe, lines)] or ["nobody yet"]


def _invite(args: Arguments) -> tuple[Any, list[str]]:
    token = secrets.token_urlsafe(32)
    role, digest, by, now = Role(args.role), digest_of(token), _by(), utc_now()
    people = _change(
        args.settings.data_dir,
        lambda people: changes.with_invited(people, args.name, role, digest=digest, by=by, now=now),
    )
    return _linked(args, people, token)


def _reset(args: Arguments) -> tuple[Any, list[str]]:
    token = secrets.token_urlsafe(32)
    digest, by, now = digest_of(token), _by(), utc_now()
    people = _change(
        args.settings.data_dir, lambda people: changes.with_reset(people, args.name, digest=digest, by=by, now=now)
    )
    return _linked(args, people, token)


def _role(args: Arguments) -> tuple[Any, list[str]]:
    codes = args.settings.control_codes
    return _done(
        args,
        lambda people: changes.with_role(people, args.name, Role(args.role), codes=codes, by=_by(), now=utc_now()),
    )


def _disable(args: Arguments) -> tuple[Any, list[str]]:
    codes = _codes_to_disable(args)
    return _done(args, lambda people: changes.with_disabled(people, args.name, codes=codes, by=_by(), now=utc_now()))


def _codes_to_disable(args: Arguments) -> CodesFor:
    """Who needs an app; settings that cannot be read keep nobody from closing somebody's way in."""
    from proxy.settings import SettingsError

    try:
        codes: CodesFor = args.settings.control_codes
    except SettingsError:
        return CodesFor.RISK
    return codes


def _enable(args: Arguments) -> tuple[Any, list[str]]:
    return _done(args, lambda people: changes.with_enabled(people, args.name, by=_by(), now=utc_now()))


def _done(args: Arguments, change: Callable[[People], People]) -> tuple[Any, list[str]]:
    user = _named(args, _change(args.data_dir, change))
    return _shown(user), [safe(f"{user.name}  {user.role}  {user.state}")]


def _linked(args: Arguments, people: People, token: str) -> tuple[Any, list[str]]:
    user, link = _named(args, people), link_of(args.settings, token, args.settings.control_port)
    answer = {**_shown(user), "link": link, "expires_at": (utc_now() + LINK_LIFE).isoformat()}
    return answer, [f"{safe(user.name)} comes in here, once, within 24 hours:", link]


def _change(data_dir: Path, change: Callable[[People], People]) -> People:
    if not data_dir.is_dir():  # A folder that nobody has set up may be a misspelt one: nobody could sign in there.
        raise PeopleUnreadable(f"there is no guard in {data_dir}: `perpguard init` begins one there")
    return PeopleFile(data_dir).change(change)


def _named(args: Arguments, people: People) -> User:
    user = people.find(args.name)
    if user is None:
        raise ChangeRefused("there is nobody of that name")
    return user


def _shown(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "role": user.role.value,
        "state": user.state.value,
        "app": user.has_code,
        "since": user.since.isoformat(),
    }


def _by() -> str:
    try:
        return f"{getpass.getuser()} (command line)"
    except (OSError, KeyError):  # A user id without a name, as in containers.
        return "command line"


def _failed(text: str, code: int) -> int:
    complain("people", text)
    return code


_ACTIONS: Final[dict[str, Callable[[Arguments], tuple[Any, list[str]]]]] = {
    "list": _list,
    "invite": _invite,
    "role": _role,
    "disable": _disable,
    "enable": _enable,
    "reset": _reset,
}
