"""What a door of the control plane says when it understood a request and will not do it."""

from __future__ import annotations

from collections.abc import Sequence


class Refused(Exception):
    """The request was understood and refused; the text is for the person who asked, ``reasons`` its parts where it has
    several."""

    def __init__(self, text: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.reasons = tuple(reasons)
