"""Builds what switches exchange keys off when a kill has ended flat."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.exchange.master_account import MasterAccount
from proxy.kill.exchange_keys import ExchangeKeys
from proxy.vault.keys import ExchangeKey
from proxy.warden.pieces.ground import Ground
from proxy.warden.pieces.hands import Hands


def exchange_keys(ground: Ground, hands: Mapping[str, Hands]) -> ExchangeKeys:
    """For every account in the vault; the policy in force says whether it is done."""

    def master_of(key: ExchangeKey) -> MasterAccount | None:
        if key.master is None:
            return None
        base_url, spot_url = ground.settings.venue_urls[key.venue], ground.settings.hosts(key.venue)["sapi"]
        return MasterAccount(key.master, base_url=base_url, spot_url=spot_url)

    return ExchangeKeys(
        wanted=lambda: ground.policy().kill.keys.disable_on_venue,
        key_of=ground.vault.exchange_key,
        master_of=master_of,
        ask=lambda account: hands[account].kill.symbol_configs(),
        record=ground.scribe.event,
    )
