"""The vault: the only holder of the real exchange keys, and the register of guard keys.

Reading never waits: it looks at one immutable value. Every change is made to what is on disk *now*, under the file's
lock, so two processes that change it at the same time lose nothing. It decides nothing about orders.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from proxy.vault.channels import AlertChannel, new_channel
from proxy.vault.contents import Contents, decode, encode
from proxy.vault.errors import PassphraseRefused, UnknownAccount, VaultCorrupt, VaultExists, WrongPassphrase
from proxy.vault.files import Stamp, VaultFile
from proxy.vault.keys import (
    ExchangeKey,
    GuardKey,
    MasterKey,
    Secret,
    checked_watchdog_secret,
    new_exchange_key,
    new_guard_key,
    random_text,
)
from proxy.vault.permissions import Enrolment
from proxy.vault.public_keys import checked_public_key
from proxy.vault.sealing import WORK_FACTOR_DEFAULT, Sealer, parse
from proxy.vault.signing_keys import SigningKey, new_signing_key

PASSPHRASE_LENGTH_MIN = 12


class Vault:
    """An open vault. Holds the derived key, not the passphrase."""

    def __init__(self, file: VaultFile, sealer: Sealer, contents: Contents, stamp: Stamp) -> None:
        self._file = file
        self._sealer = sealer
        self._contents = contents
        self._stamp = stamp
        self._changing = threading.Lock()

    @classmethod
    def create(cls, path: Path, passphrase: Secret, *, work_factor: int = WORK_FACTOR_DEFAULT) -> "Vault":
        """A new, empty vault. VaultExists, PassphraseRefused, VaultExposed."""
        _refuse_short(passphrase)
        file = VaultFile(path)
        if file.exists():
            raise VaultExists(path)
        file.prepare_directory()
        sealer, contents = Sealer.with_new_salt(passphrase, work_factor), Contents()
        with file.locked():
            if file.exists():  # Somebody else was faster.
                raise VaultExists(path)
            stamp = file.replace(sealer.seal(encode(contents)), after=None)
        return cls(file, sealer, contents, stamp)

    @classmethod
    def open(cls, path: Path, passphrase: Secret) -> "Vault":
        """An existing vault. VaultMissing, WrongPassphrase, VaultCorrupt."""
        file = VaultFile(path)
        content, stamp = file.read()
        envelope = parse(content)
        sealer = Sealer.for_header(passphrase, envelope.header)
        plaintext = sealer.unseal(envelope)
        if plaintext is None:
            raise WrongPassphrase
        contents = decode(plaintext)
        del plaintext  # So that a traceback from here on has nothing to show.
        if contents is None:
            raise VaultCorrupt("it opens, but was written by another version")
        return cls(file, sealer, contents, stamp)

    def add_exchange_key(
        self,
        *,
        account: str,
        venue: str,
        api_key: str,
        api_secret: Secret,
        now: datetime,
        enrolment: Enrolment | None = None,
    ) -> ExchangeKey:
        """Keep the real key of an account. DuplicateAccount, InvalidField."""
        added = new_exchange_key(account=account, venue=venue, api_key=api_key, api_secret=api_secret, now=now)
        added = replace(added, enrolment=enrolment)
        self._change(lambda contents: contents.with_exchange_key(added))
        return added

    def enrol(self, account: str, enrolment: Enrolment) -> None:
        """Keep what the venue was asked about an account's key, and what was accepted. UnknownAccount."""
        self._change(lambda contents: contents.with_enrolment(account, enrolment))

    def set_master(self, account: str, master: MasterKey | None) -> None:
        """Keep the key of an account's master, or forget it. UnknownAccount."""
        self._change(lambda contents: contents.with_master_key(account, master))

    def exchange_key(self, account: str) -> ExchangeKey:
        """The real key of an account. UnknownAccount."""
        found = self._contents.exchange_keys.get(account)
        if found is None:
            raise UnknownAccount(account)
        return found

    def accounts(self) -> tuple[ExchangeKey, ...]:
        """Every exchange key, in the order they were added."""
        return tuple(self._contents.exchange_keys.values())

    @property
    def watchdog_secret(self) -> Secret | None:
        """What guard and watchdogs know each other by, ``None`` where no watchdog was ever paired."""
        return self._contents.watchdog_secret

    def pair_watchdog(self) -> Secret:
        """The secret of guard and watchdogs, made when there is none yet."""
        fresh = Secret(random_text())
        paired = self._change(
            lambda contents: contents if contents.watchdog_secret is not None else contents.with_watchdog_secret(fresh)
        )
        return paired.watchdog_secret or fresh

    def keep_watchdog_secret(self, secret: Secret) -> None:
        """Keep the secret that the guard's vault gave out. InvalidField."""
        checked = checked_watchdog_secret(secret)
        self._change(lambda contents: contents.with_watchdog_secret(checked))

    def alert_channels(self) -> tuple[AlertChannel, ...]:
        """Where alerts go, in the order they were added."""
        return self._contents.alert_channels

    @property
    def alert_secret(self) -> Secret | None:
        """What signs the links that acknowledge alerts, ``None`` where there never was a channel."""
        return self._contents.alert_secret

    def add_alert_channel(self, *, name: str, url: Secret, now: datetime) -> AlertChannel:
        """Send alerts there too. ChannelExists, TooManyChannels, InvalidField."""
        added, secret = new_channel(name=name, url=url, now=now), Secret(random_text())
        self._change(lambda contents: contents.with_alert_channel(added, secret))
        return added

    def remove_alert_channel(self, name: str) -> None:
        """Send no alerts there any more. UnknownChannel."""
        self._change(lambda contents: contents.without_alert_channel(name))

    def issue(self, *, bot: str, account: str, label: str, now: datetime, public_key: str | None = None) -> GuardKey:
        """A new guard key for a bot, HMAC or of an Ed25519 public key (PEM). UnknownAccount, InvalidField."""
        checked = None if public_key is None else checked_public_key(public_key)
        issued = new_guard_key(bot=bot, account=account, label=label, now=now, public_key=checked)
        self._change(lambda contents: contents.with_guard_key(issued))
        return issued

    def guard_key(self, key: str) -> GuardKey | None:
        """The guard key with this text, in whatever state; the caller obeys only ACTIVE ones."""
        return self._contents.guard_keys.get(key)

    def guard_keys(self) -> tuple[GuardKey, ...]:
        """Every guard key ever issued, in that order."""
        return tuple(self._contents.guard_keys.values())

    def disable(self, key: str, now: datetime) -> GuardKey:
        """Refuse a guard key until it is enabled again; a rotated one stays rotated. UnknownKey."""
        return self._change(lambda contents: contents.with_key_disabled(key, now)).guard_keys[key]

    def enable(self, key: str, now: datetime) -> GuardKey:
        """Obey a disabled guard key again. UnknownKey, KeyRotated."""
        return self._change(lambda contents: contents.with_key_enabled(key, now)).guard_keys[key]

    def rotate(self, key: str, now: datetime, *, public_key: str | None = None) -> GuardKey:
        """Refuse a guard key for ever; returns its successor, which inherits its state.

        UnknownKey, KeyRotated, InvalidField; PublicKeyMissing when an Ed25519 key would get no new key pair.
        """
        new_key, new_secret = random_text(), Secret(random_text())
        checked = None if public_key is None else checked_public_key(public_key)
        changed = self._change(
            lambda contents: contents.with_key_rotated(
                key, new_key=new_key, new_secret=new_secret, now=now, public_key=checked
            )
        )
        return changed.guard_keys[new_key]

    def signing_key(self, now: datetime) -> SigningKey:
        """The key the guard signs with, made on first need."""
        if (known := self._contents.signing_key) is not None:
            return known
        fresh = new_signing_key(now)

        def with_one(contents: Contents) -> Contents:
            # Another process may have been first; its key stands.
            return contents if contents.signing_key is not None else contents.with_signing_key(fresh, now)

        self._change(with_one)
        return self.signing_key(now)

    def signing_keys(self) -> tuple[SigningKey, ...]:
        """Every signing key there ever was, oldest first; only the last can sign."""
        return self._contents.signing_keys

    def rotate_signing_key(self, now: datetime) -> SigningKey:
        """Sign with a new key from now on. The old one's private half is destroyed, its public half kept."""
        fresh = new_signing_key(now)
        self._change(lambda contents: contents.with_signing_key(fresh, now))
        return fresh

    def change_passphrase(self, passphrase: Secret, *, work_factor: int | None = None) -> None:
        """Seal under a new passphrase and salt. Other open processes must open again; old backups keep the old one."""
        _refuse_short(passphrase)
        sealer = Sealer.with_new_salt(passphrase, work_factor or self._sealer.work_factor)
        with self._changing, self._file.locked():
            contents, stamp = self._read()
            self._stamp = self._file.replace(sealer.seal(encode(contents)), after=stamp)
            self._sealer, self._contents = sealer, contents

    def reload_if_changed(self) -> bool:
        """Adopt what another process wrote; one `stat` when nothing changed.

        On VaultCorrupt, VaultMissing or PassphraseChanged the old state stays and the next call says so again: catch
        VaultError, keep serving, raise the alarm.
        """
        if self._file.stamp() == self._stamp:
            return False
        with self._changing:
            self._contents, self._stamp = self._read()
        return True

    def __repr__(self) -> str:
        return f"Vault({str(self._file.path)!r}, revision={self._contents.revision})"

    def _change(self, change: Callable[[Contents], Contents]) -> Contents:
        """Apply a change to what is on disk now, write it, adopt it."""
        with self._changing, self._file.locked():
            contents, stamp = self._read()
            changed = change(contents)
            if changed is not contents:
                stamp = self._file.replace(self._sealer.seal(encode(changed)), after=stamp)
            self._contents, self._stamp = changed, stamp
        return changed

    def _read(self) -> tuple[Contents, Stamp]:
        content, stamp = self._file.read()
        plaintext = self._sealer.unseal(parse(content))
        contents = None if plaintext is None else decode(plaintext)
        del plaintext
        if contents is None:
            raise VaultCorrupt("altered, or written by another version")
        if contents.revision < self._contents.revision:
            # An old copy put back would bring disabled keys to life again. After a real restore, start anew.
            raise VaultCorrupt("older than the one already seen; restart to accept a restored backup")
        return contents, stamp


def _refuse_short(passphrase: Secret) -> None:
    if len(passphrase.reveal()) < PASSPHRASE_LENGTH_MIN:
        raise PassphraseRefused(f"shorter than {PASSPHRASE_LENGTH_MIN} characters")
