"""Changes of people, asked for at the console: what can go wrong with them, as answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from proxy.console.answers import Refusal
from proxy.people.changes import ChangeRefused
from proxy.people.file import PeopleBusy, PeopleUnreadable
from proxy.people.passwords import PasswordRefused

T = TypeVar("T")


def changed(change: Callable[[], T]) -> T:
    """What a change gives, or Refusal 409, 422 or 503. It waits for the disk: not on the event loop."""
    try:
        return change()
    except ChangeRefused as refused:
        raise Refusal(409, "REFUSED", str(refused)) from None
    except PasswordRefused as refused:
        raise Refusal(422, "PASSWORD", str(refused)) from None
    except PeopleUnreadable:
        raise Refusal(503, "PEOPLE_UNREADABLE", "the guard's file of people cannot be read; see the log") from None
    except (PeopleBusy, OSError) as trouble:
        raise Refusal(
            503, "PEOPLE_UNWRITABLE", f"the guard's file of people cannot be written ({type(trouble).__name__})"
        ) from None
