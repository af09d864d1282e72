"""Who asks for what takes a person: the one signed in, or the one a machine names."""

from __future__ import annotations

from fastapi import Request

from proxy.console.bodies import person_of
from proxy.console.door import Caller, Door
from proxy.console.sessions import Session


def sender_fields(caller: Caller, *, loosens: bool) -> tuple[str, ...]:
    """The field that says who it is: a machine's name for a person, a person's token where a screen is not enough."""
    if isinstance(caller, Session):
        return ("token",) if loosens else ()
    return ("name",)


def sender_of(door: Door, request: Request, caller: Caller, fields: dict[str, str]) -> str:
    """Who is recorded: the person signed in, or the one a machine names, who must be one of the people.

    Raises ``Refusal``, also for a wrong token.
    """
    if isinstance(caller, Session):
        if "token" in fields:
            door.check_token(request, fields["token"])
        return caller.person
    name = person_of(fields["name"])
    door.check_known(name)
    return name
