"""Who asks for what takes a person: the one signed in, or the one a machine names."""

from __future__ import annotations

from typing import Final

from fastapi import Request

from proxy.console.bodies import person_of, read_json
from proxy.console.door import Caller, Door
from proxy.console.routing import caller_of, role_of
from proxy.console.sessions import Session

_NAMELESS: Final = "holder of the control token"
"""Who pressed, where a machine names nobody."""


async def pressed_by(request: Request, *, named: bool) -> tuple[dict[str, str], str]:
    """The scope and the reason of what stops something, and who is recorded. ``named``: a machine must name somebody.

    Raises ``Refusal``.
    """
    caller = caller_of(request)
    if isinstance(caller, Session):
        return await read_json(request, ("scope", "reason")), caller.person
    needed, optional = (("scope", "reason", "by"), ()) if named else (("scope", "reason"), ("by",))
    fields = await read_json(request, needed, optional)
    return fields, person_of(fields["by"]) if named or fields.get("by") else _NAMELESS


def sender_fields(caller: Caller, *, loosens: bool) -> tuple[str, ...]:
    """The field that says who it is: a machine's name for a person, a person's proof where a screen is not enough."""
    if isinstance(caller, Session):
        return ("proof",) if loosens else ()
    return ("name",)


async def sender_of(door: Door, request: Request, caller: Caller, fields: dict[str, str]) -> str:
    """Who is recorded: the person signed in, or the one a machine names, who must be one that may do this.

    Raises ``Refusal``, also for a wrong proof.
    """
    if isinstance(caller, Session):
        if "proof" in fields:
            await door.check_again(request, caller, fields["proof"])
        return caller.person
    return door.named(person_of(fields["name"]), role_of(request))
