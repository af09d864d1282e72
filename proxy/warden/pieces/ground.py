"""What every piece of the warden stands on: settings, vault, clock, store, audit, and the policy in force."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from proxy.audit.anchor import why_not_ours
from proxy.audit.kept_key import KeptKey
from proxy.audit.outside import AnchorPath, AnchorWebhook, OutsideAnchors, Place
from proxy.audit.place import archive_place
from proxy.audit.scribe import Scribe
from proxy.audit.verification import Verification
from proxy.certificate.keeping import CertificateKeeper
from proxy.guard_id import guard_id
from proxy.people.register import Register
from proxy.policy.desk import PolicyDesk
from proxy.settings import Settings
from proxy.store.warden_store import WardenStore
from proxy.vault.keys import KeyState
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
    register: Register
    policies: PolicyDesk
    closing: AsyncExitStack
    pulse: Pulse

    def policy(self) -> Policy:
        """The policy as it is now: it may be another one every time."""
        return self.policies.policy

    def traders(self) -> list[tuple[str, str]]:
        """Which bots trade which accounts, or did: keys that are switched off are among them."""
        return [(key.bot, key.account) for key in self.vault.guard_keys()]

    def active_traders(self) -> list[tuple[str, str]]:
        """Which bots can trade which accounts now."""
        return [(key.bot, key.account) for key in self.vault.guard_keys() if key.state is KeyState.ACTIVE]


def lay_ground(settings: Settings, vault: Vault, now: Callable[[], datetime]) -> Ground:
    """Open nothing yet. Raises ``PolicyError`` when there is no policy to run under."""
    store = WardenStore(settings.store, settings.desk, guard_id(settings.data_dir))
    scribe = _scribe(settings, vault, store, now)
    register = Register(settings.data_dir, now=now, codes=settings.control_codes)
    policies = PolicyDesk(
        data_dir=settings.data_dir,
        settings_file=settings.policy,
        store=store,
        scribe=scribe,
        may=register.may,
        now=now,
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
        register=register,
        policies=policies,
        closing=closing,
        pulse=Pulse(),
    )


def _scribe(settings: Settings, vault: Vault, store: WardenStore, now: Callable[[], datetime]) -> Scribe:
    """The archive's keeper: its checkpoints are signed with the key that signs certificates."""
    keeper = CertificateKeeper(settings.data_dir, vault, now)
    place = archive_place(settings.data_dir)
    paths = [settings.audit_anchor] if settings.audit_anchor is not None else []
    outside: list[Place] = [AnchorPath(path, partial(why_not_ours, place, keeper.trusted_keys_now)) for path in paths]
    if settings.audit_webhook is not None:
        outside.append(AnchorWebhook(settings.audit_webhook))
    return Scribe(
        data_dir=settings.data_dir,
        place=place,
        desk=settings.desk,
        store=store,
        signer=KeptKey(keeper.publish_key),
        keys=keeper.trusted_keys_now,
        anchors=OutsideAnchors(outside, now),
        verification=Verification(place, anchors=paths, keys=keeper.trusted_keys_now, now=now),
        now=now,
    )
