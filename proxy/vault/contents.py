"""What the vault holds, as one immutable value, and how it may change. Pure: no file, no cipher, no clock."""

from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from proxy.decoding import decoder
from proxy.vault.channels import CHANNELS_MAX, AlertChannel
from proxy.vault.errors import (
    ChannelExists,
    DuplicateAccount,
    KeyRotated,
    PublicKeyMissing,
    TooManyChannels,
    UnknownAccount,
    UnknownChannel,
    UnknownKey,
)
from proxy.vault.keys import ExchangeKey, GuardKey, KeyState, MasterKey, Secret, utc
from proxy.vault.permissions import Enrolment
from proxy.vault.signing_keys import SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Exchange keys by account, guard keys by key, the guard's own signing keys, oldest first.

    `revision` counts changes, so that going back is noticed. Vaults from before certificates have no signing keys.
    ``watchdog_secret`` is what guard and watchdogs know each other by; ``None`` where there never was a watchdog.
    ``alert_secret`` signs the links that acknowledge alerts; ``None`` where there never was a channel.
    """

    revision: int = 0
    exchange_keys: dict[str, ExchangeKey] = field(default_factory=dict, repr=False)
    guard_keys: dict[str, GuardKey] = field(default_factory=dict, repr=False)
    signing_keys: tuple[SigningKey, ...] = ()
    watchdog_secret: Secret | None = field(default=None, repr=False)
    alert_channels: tuple[AlertChannel, ...] = ()
    alert_secret: Secret | None = field(default=None, repr=False)

    @property
    def signing_key(self) -> SigningKey | None:
        """The signing key in use."""
        return next((key for key in self.signing_keys if key.retired_at is None), None)

    def with_signing_key(self, added: SigningKey, now: datetime) -> "Contents":
        """Sign with this key from now on; whatever was in use is retired."""
        kept = tuple(key if key.retired_at is not None else key.retired(now) for key in self.signing_keys)
        return replace(self, revision=self.revision + 1, signing_keys=(*kept, added))

    def with_exchange_key(self, added: ExchangeKey) -> "Contents":
        """One account more."""
        if added.account in self.exchange_keys:
            raise DuplicateAccount(added.account)
        return replace(self, revision=self.revision + 1, exchange_keys={**self.exchange_keys, added.account: added})

    def with_enrolment(self, account: str, enrolment: Enrolment) -> "Contents":
        """What the venue was asked about a key, and what was accepted."""
        if account not in self.exchange_keys:
            raise UnknownAccount(account)
        checked = replace(self.exchange_keys[account], enrolment=enrolment)
        return replace(self, revision=self.revision + 1, exchange_keys={**self.exchange_keys, account: checked})

    def with_master_key(self, account: str, master: MasterKey | None) -> "Contents":
        """The key of the account's master, or none any more."""
        if account not in self.exchange_keys:
            raise UnknownAccount(account)
        changed = replace(self.exchange_keys[account], master=master)
        return replace(self, revision=self.revision + 1, exchange_keys={**self.exchange_keys, account: changed})

    def with_guard_key(self, issued: GuardKey) -> "Contents":
        """One guard key more, for an account the vault can actually sign for."""
        if issued.account not in self.exchange_keys:
            raise UnknownAccount(issued.account)
        return self._with(issued)

    def with_watchdog_secret(self, secret: Secret) -> "Contents":
        """What guard and watchdogs know each other by; one that is there is replaced."""
        return replace(self, revision=self.revision + 1, watchdog_secret=secret)

    def with_alert_channel(self, added: AlertChannel, secret: Secret) -> "Contents":
        """One more channel for alerts. ``secret`` signs their links, unless another one does already."""
        if any(each.name == added.name for each in self.alert_channels):
            raise ChannelExists(added.name)
        if len(self.alert_channels) >= CHANNELS_MAX:
            raise TooManyChannels(CHANNELS_MAX)
        return replace(
            self,
            revision=self.revision + 1,
            alert_channels=(*self.alert_channels, added),
            alert_secret=self.alert_secret or secret,
        )

    def without_alert_channel(self, name: str) -> "Contents":
        """Send no alerts there any more."""
        left = tuple(each for each in self.alert_channels if each.name != name)
        if len(left) == len(self.alert_channels):
            raise UnknownChannel(name)
        return replace(self, revision=self.revision + 1, alert_channels=left)

    def with_key_disabled(self, key: str, now: datetime) -> "Contents":
        """Refuse this key. Never fails on a known key: stopping must be possible from every state."""
        current = self._known(key)
        if current.state is not KeyState.ACTIVE:
            return self  # A rotated key stays ROTATED: turned to DISABLED it could be enabled again.
        return self._with(replace(current, state=KeyState.DISABLED, changed_at=utc(now)))

    def with_key_enabled(self, key: str, now: datetime) -> "Contents":
        """Obey this key again."""
        current = self._known(key)
        if current.state is KeyState.ACTIVE:
            return self
        if current.state is KeyState.ROTATED:
            raise KeyRotated
        return self._with(replace(current, state=KeyState.ACTIVE, changed_at=utc(now)))

    def with_key_rotated(
        self, key: str, *, new_key: str, new_secret: Secret, now: datetime, public_key: str | None = None
    ) -> "Contents":
        """Refuse this key for ever and put a successor in its place, for the same bot and account."""
        current = self._known(key)
        if current.state is KeyState.ROTATED:
            raise KeyRotated
        if current.public_key is not None and public_key in (None, current.public_key):
            # Under a new name the old private key would still sign; and a bot that has one expects no secret.
            raise PublicKeyMissing
        # The state is inherited too: rotation replaces a credential, it does not let a disabled bot back in.
        successor = replace(
            current, key=new_key, secret=new_secret, created_at=utc(now), changed_at=None, public_key=public_key
        )
        return self._with(replace(current, state=KeyState.ROTATED, changed_at=utc(now)), successor)

    def _known(self, key: str) -> GuardKey:
        if key not in self.guard_keys:
            raise UnknownKey
        return self.guard_keys[key]

    def _with(self, *changed: GuardKey) -> "Contents":
        return replace(
            self, revision=self.revision + 1, guard_keys={**self.guard_keys, **{each.key: each for each in changed}}
        )


def encode(contents: Contents) -> bytes:
    """The plaintext to be sealed. The only place where secrets are serialised."""
    return msgspec.json.encode(contents, enc_hook=_write_secret)


def decode(plaintext: bytes) -> Contents | None:
    """The contents, or None when the plaintext is not ours.

    It answers instead of raising so that no traceback can hold a frame with the plaintext in it.
    """
    try:
        return _READ.decode(plaintext)
    except msgspec.DecodeError:
        return None


def _write_secret(secret: object) -> str:
    if not isinstance(secret, Secret):
        raise TypeError(f"the vault has no encoding for {type(secret).__name__}")
    return secret.reveal()


def _read_secret(_kind: type, text: str) -> Secret:
    return Secret(text)


_READ = decoder(Contents, _read_secret)
