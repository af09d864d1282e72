"""What may become of a call that brings no answer."""

from __future__ import annotations

from typing import Final

_CODE_LENGTH_MAX: Final = 32


class CallFailed(Exception):
    """The store did not answer, or refused. ``reason`` is one word for logs and carries nothing of what was asked.

    ``asked`` is false when not a byte of the call was sent, so that nothing can have happened.
    """

    def __init__(self, reason: str, *, asked: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.asked = asked


class Refusal(Exception):
    """An error as the store answered it, in the place of a reply.

    Only its code is kept (``LOADING``, ``OOM``, ``READONLY``): the words behind it may quote keys and arguments.
    """

    def __init__(self, text: str) -> None:
        code = text.partition(" ")[0]
        known = code.isascii() and code.isalpha() and code.isupper() and len(code) <= _CODE_LENGTH_MAX
        self.reason = code if known else "ERR"
        super().__init__(self.reason)
