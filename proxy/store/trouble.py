"""What a gate may hear from the store instead of an answer."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import msgspec

log = logging.getLogger("perpguard.gate")


class StoreUnavailable(Exception):
    """The store did not answer in time, or refused. The reason is for logs, never for bots.

    ``asked`` is false when nothing was sent, so that nothing can have happened.
    """

    def __init__(self, reason: str, *, asked: bool = True) -> None:
        super().__init__(reason)
        self.asked = asked


class RequestReplayed(Exception):
    """The same signed request was seen before."""


class KeyDisabled(Exception):
    """The guard key was switched off."""


class StoreFull(Exception):
    """The audit stream, the account's holds or the bot's timers are at their bound; nothing new may be kept."""


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """What cannot be decoded is as good as no answer: exits go on the last picture, nothing that adds risk does.

    A warden of another version may write words that this gate does not know.
    """
    try:
        yield
    except (msgspec.MsgspecError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
        log.error("the store's answer cannot be read, so entries are refused: %s", type(error).__name__)
        raise StoreUnavailable("unreadable") from error
