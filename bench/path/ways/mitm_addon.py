"""The least an addon of mitmproxy can do that sees every order: count it."""

from __future__ import annotations

from typing import Any


class Orders:
    """mitmproxy calls ``request`` with each whole request."""

    def __init__(self) -> None:
        self.seen = 0

    def request(self, flow: Any) -> None:
        """One more, if it is an order."""
        if flow.request.path == "/fapi/v1/order":
            self.seen += 1


addons = [Orders()]
