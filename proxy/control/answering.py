"""What a command that asks the running warden comes to when it is refused, or when nobody answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.client.asking import NoAnswer, Refused
from proxy.terminal import complain

REFUSED: Final = 1
NO_ANSWER: Final = 3


def answered(command: str, ask: Callable[[], int], *, without: str = "") -> int:
    """The exit code of ``ask``; a refusal and a silence are told on standard error, and have codes of their own.

    ``without`` is what works without a warden, told after a silence.
    """
    try:
        return ask()
    except Refused as refusal:
        complain(command, str(refusal))
        return REFUSED
    except NoAnswer as silence:
        complain(command, f"{silence}{without}")
        return NO_ANSWER
