"""What every piece of the warden stands on: settings, vault, clock, store, audit, and the policy in force."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

from proxy.policy.desk import PolicyDesk
from proxy.scribe import Scribe
from proxy.settings import Settings
from proxy.store.warden_store import WardenStore
from proxy.vault.vault import Vault
from proxy.watchdog.pulse import Pulse
from rules.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One desk's. ``closing`` closes what was built, the archive last; ``pulse`` hears which loops turn."""

    settings: Settings
    vault: Vault
    now: Callable[[], datetime]
    store: WardenStore
    scribe: Scribe
    policies: PolicyDesk
    closing: AsyncExitStack
    pulse: Pulse

    def policy(self) -> Policy:
        """The policy as it is now: it may be another one every time."""
        return self.policies.policy

    def traders(self) -> list[tuple[str, str]]:
        """Which bots trade which accounts."""
        return [(key.bot, key.account) for key in self.vault.guard_keys()]


def lay_ground(settings: Settings, vault: Vault, now: Callable[[], datetime]) -> Ground:
    """Open nothing yet. Raises ``PolicyError`` when there is no policy to run under."""
    store = WardenStore(settings.store, settings.desk)
    scribe = Scribe(data_dir=settings.data_dir, desk=settings.desk, store=store, now=now)
    policies = PolicyDesk(
        data_dir=settings.data_dir, settings_file=settings.policy, store=store, scribe=scribe, now=now
    )
    closing = AsyncExitStack()
    closing.callback(scribe.close)
    closing.push_async_callback(store.aclose)
    return Ground(
        settings=settings,
        vault=vault,
        now=now,
        store=store,
        scribe=scribe,
        policies=policies,
        closing=closing,
        pulse=Pulse(),
    )
