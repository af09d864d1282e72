"""The guard's one request to a master account: that a sub-account's API key may not trade futures any more.

Source: Binance "Sub Account", POST /sapi/v1/sub-account/subAccountApiPermission (in the venue's own client library,
seen 2026-11): the master's key must be bound to an address; weight 3,000 of the master's own budget. A master's own
key cannot be switched off by any request.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.exchange.calls import Calls
from proxy.vault.keys import MasterKey

_PATH: Final = "sub-account/subAccountApiPermission"


class MasterAccount:
    """One master, with a connection of its own. Build it inside a running event loop, and close it."""

    def __init__(self, master: MasterKey, *, base_url: str, spot_url: str, timeout: float = 5.0) -> None:
        self._email = master.email
        self._calls = Calls(
            api_key=master.api_key, secret=master.api_secret, base_url=base_url, spot_url=spot_url, timeout=timeout
        )

    async def switch_off(self, api_key: str) -> None:
        """Take a key of the sub-account its right to trade futures. Safe to do twice. Raises ``VenueTrouble``.

        The venue's OK is no proof; ask with the key itself.
        """

        async def ask(params: dict[str, str]) -> Any:
            return await self._calls.client.request(_PATH, ["sapi"], "POST", params)

        await self._calls.read(ask, {"email": self._email, "subAccountApiKey": api_key, "canFuturesTrade": "false"})

    async def aclose(self) -> None:
        """Close the connections."""
        await self._calls.aclose()
