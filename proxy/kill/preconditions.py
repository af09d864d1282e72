"""What must hold before a scope trades again: a list of named looks, each with a word and a reason.

The list is made where the pieces are (``proxy.warden.pieces.preconditions``); here is how it is gone through. A look
that takes too long or fails has not found that it holds.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from proxy.store.fence import Scope

log = logging.getLogger("perpguard.kill")

LOOK_S: Final = 5.0
ACKNOWLEDGEMENT_LENGTH_MIN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a look found. ``said`` is for people, whether it holds or not. ``left`` is what somebody may acknowledge, a
    line each that begins with what it is called: then it holds all the same."""

    holds: bool
    said: str
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Precondition:
    """One look at a scope, by a word for what it looks at."""

    name: str
    look: Callable[[Scope], Awaitable[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A finding beside its word. ``acknowledged``: it holds because somebody said what is left."""

    name: str
    holds: bool
    said: str
    left: tuple[str, ...]
    acknowledged: bool


async def checked(preconditions: Sequence[Precondition], scope: Scope, acknowledgement: str) -> tuple[Checked, ...]:
    """Look at everything at once. Never raises."""
    findings = await asyncio.gather(*(_look(each, scope) for each in preconditions))
    return tuple(
        _beside(each.name, finding, acknowledgement) for each, finding in zip(preconditions, findings, strict=True)
    )


def missing(found: Sequence[Checked]) -> tuple[str, ...]:
    """What does not hold, in words."""
    return tuple(f"{each.name}: {each.said}" for each in found if not each.holds)


def may_stay(found: Sequence[Checked]) -> tuple[str, ...]:
    """How somebody says that what is left may stay, in words; empty where nothing that lacks can be acknowledged."""
    names = [name for each in found if not each.holds for name in not_named(each.left, "")]
    return (
        (f"what may stay so has to be acknowledged by name (--acknowledge TEXT): {', '.join(names)}",) if names else ()
    )


def not_named(left: Sequence[str], acknowledgement: str) -> tuple[str, ...]:
    """What an acknowledgement does not name, as a word, of what is left; one that is too short names nothing."""
    said = acknowledgement.casefold() if len(acknowledgement.strip()) >= ACKNOWLEDGEMENT_LENGTH_MIN else ""
    names = dict.fromkeys(line.partition(" ")[0] for line in left)
    return tuple(name for name in names if not _is_word_of(said, name.casefold()))


def _is_word_of(said: str, name: str) -> bool:
    """Only ASCII goes on a word: some languages put no space around a symbol. What has a colon names an account, and
    an account's name may go on after a dot or a dash."""
    goes_on = r"\w|[.-]\w" if ":" in name else r"\w"
    return re.search(rf"(?<!\w){re.escape(name)}(?!{goes_on})", said, re.ASCII) is not None


def _beside(name: str, finding: Finding, acknowledgement: str) -> Checked:
    acknowledged = not finding.holds and bool(finding.left) and not not_named(finding.left, acknowledgement)
    return Checked(
        name=name,
        holds=finding.holds or acknowledged,
        said=finding.said,
        left=finding.left,
        acknowledged=acknowledged,
    )


async def _look(precondition: Precondition, scope: Scope) -> Finding:
    try:
        async with asyncio.timeout(LOOK_S):
            return await precondition.look(scope)
    except TimeoutError:
        return Finding(holds=False, said="could not be looked at in time")
    except Exception as trouble:  # The edge: whatever ails one look, the scope stays stopped and the others are shown.
        log.exception("the precondition %s could not be looked at", precondition.name)
        return Finding(holds=False, said=f"could not be looked at ({type(trouble).__name__})")
