"""What a master account may do to its sub-accounts' API keys: take away, and give back, the right to trade futures.

Source: Binance "Sub Account", POST /sapi/v1/sub-account/subAccountApiPermission (in the venue's own client library,
seen 2026-11): for master keys that are bound to an address; ``canFuturesTrade``. That a key without the right is
answered -2015 on every futures path, reads included, is a guess from the code's words.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from sandbox.binance.errors import VenueError
from sandbox.binance.signing import Credential

# TWAP orders trade futures although they live beside the wallet's paths.
_FUTURES_ELSEWHERE = "/sapi/v1/algo/futures/"


class SubAccountKeys:
    """The keys of one exchange, and which of them may not trade futures any more."""

    def __init__(self, credentials: Iterable[Credential]) -> None:
        self._credentials = tuple(credentials)
        self._off: set[str] = set()

    def switch(self, caller: Credential, email: str, api_key: str, *, futures: bool) -> None:
        """Change the right of one key of a sub-account of the caller's. Raises ``VenueError``."""
        if not caller.permissions.ip_restricted:
            raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", HTTPStatus.UNAUTHORIZED)
        mine = [each for each in self._credentials if each.master == caller.account and each.email == email]
        if not mine:
            raise VenueError(-9000, "User does not exist or is not a sub-account.")
        if api_key not in {each.api_key for each in mine}:
            raise VenueError(-9000, "The API key does not exist.")
        if futures:
            self._off.discard(api_key)
        else:
            self._off.add(api_key)

    def may_trade_futures(self, api_key: str) -> bool:
        """Whether a key has the right."""
        return api_key not in self._off

    def check(self, credential: Credential, path: str) -> None:
        """Refuse a key without the right, -2015. What is not of the futures goes on."""
        elsewhere = path.startswith(("/sapi/", "/api/")) and not path.startswith(_FUTURES_ELSEWHERE)
        if not elsewhere and not self.may_trade_futures(credential.api_key):
            raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", HTTPStatus.UNAUTHORIZED)
