"""What can come between the guard and a venue's answer, as named exceptions with the facts on them."""

from __future__ import annotations


class VenueTrouble(Exception):
    """Anything that came between us and the venue's answer."""


class VenueUnavailable(VenueTrouble):
    """No usable answer: not reached, too slow, broken, or in a shape we do not know. Reads and cancels may go again."""


class VenueUnreached(VenueUnavailable):
    """Not even a connection, or one that broke: another address of the venue may be nearer."""


class VenueThrottled(VenueTrouble):
    """The venue demands silence for ``retry_after`` seconds; asking sooner turns a 429 into a ban."""

    def __init__(self, status: int, retry_after: float) -> None:
        super().__init__(f"throttled ({status}), retry after {retry_after:g} s")
        self.status = status
        self.retry_after = retry_after


class VenueRefused(VenueTrouble):
    """The venue said no, with its own code: the request has had no effect."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"refused ({code}): {message}")
        self.code = code
        self.message = message


class OutcomeUnknown(VenueTrouble):
    """An order was sent and nobody knows what became of it. Only reading the venue tells; never send it again."""
