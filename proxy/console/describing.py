"""What a route says of itself beyond its role: what it takes, what it answers, and which problems it may meet.

``routing.add(..., **described(...))`` makes a route part of the API's description; pages say nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from proxy.console.texts import NAME, PROOF, Text

OPERATION_KEY: Final = "x-perpguard-operation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A flat JSON object of texts. A machine and a signed-in person send different ones where somebody must stand for
    it: each of ``machine`` and ``person`` is needed from one of them, and not known from the other."""

    needed: Sequence[Text]
    optional: Sequence[Text] = ()
    machine: Sequence[Text] = ()
    machine_optional: Sequence[Text] = ()
    person: Sequence[Text] = ()

    @property
    def alike(self) -> bool:
        """Whether everybody sends the same."""
        return not (self.machine or self.machine_optional or self.person)


def named_body(*needed: Text, optional: Sequence[Text] = (), loosens: bool = False) -> Body:
    """A body that somebody stands for: ``sender.sender_fields`` reads who, and ``loosens`` says the same there."""
    return Body(needed=needed, optional=optional, machine=(NAME,), person=(PROOF,) if loosens else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a route answers when it does: JSON of this ``shape`` (a type, or one of several), an ``example`` of it.

    ``raw``: it is a file, handed over as bytes of no promised kind when it is damaged.
    """

    shape: Any
    example: Any
    says: str
    status: int = 200
    raw: bool = False

    @property
    def shapes(self) -> tuple[Any, ...]:
        """All it may be."""
        return self.shape if isinstance(self.shape, tuple) else (self.shape,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route of the API, described. ``problems`` are codes, besides those its role and its body bring along."""

    answers: Sequence[Answer]
    path: Sequence[Text] = ()
    query: Sequence[Text] | None = ()
    body: Body | None = None
    problems: Sequence[str] = ()


def described(
    *answers: Answer,
    path: Sequence[Text] = (),
    query: Sequence[Text] | None = (),
    body: Body | None = None,
    problems: Sequence[str] = (),
) -> dict[str, Any]:
    """The part of ``routing.add`` that describes. ``query`` is ``None`` where nobody reads it."""
    operation = Operation(answers=answers, path=path, query=query, body=body, problems=problems)
    return {"openapi_extra": {OPERATION_KEY: operation}}


def reads(
    shape: Any,
    example: Any,
    says: str,
    *,
    path: Sequence[Text] = (),
    query: Sequence[Text] = (),
    problems: Sequence[str] = (),
) -> dict[str, Any]:
    """A route that asks the warden and changes nothing."""
    answer = Answer(shape=shape, example=example, says=says)
    return described(answer, path=path, query=query, problems=("REFUSED", "SLOW", *problems))
