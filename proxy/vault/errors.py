"""Everything that can go wrong with the vault, by name. No message here ever quotes a key, a secret or a passphrase."""

from pathlib import Path


class VaultError(Exception):
    """Any trouble with the vault; a caller that only wants to keep its old state catches this."""


class VaultExists(VaultError):
    """A vault is already at this path; creating another would destroy its keys."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"a vault already exists at {path}")
        self.path = path


class VaultMissing(VaultError):
    """No vault at this path."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"no vault at {path}; `perpguard keys add-exchange` creates it")
        self.path = path


class VaultCorrupt(VaultError):
    """The file is damaged, half-written, altered, or older than what this process has already seen."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the vault file cannot be trusted: {reason}")
        self.reason = reason


class VaultExposed(VaultError):
    """Other users of this machine could replace the vault file."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"other users may write to {directory}; make it private (chmod 700) first")
        self.directory = directory


class VaultBusy(VaultError):
    """Another process held the vault's lock for longer than we are willing to wait."""

    def __init__(self, path: Path, waited_seconds: float) -> None:
        super().__init__(f"{path} is still locked by another process after {waited_seconds:g} s")
        self.path = path
        self.waited_seconds = waited_seconds


class WrongPassphrase(VaultError):
    """The passphrase does not open this vault."""

    def __init__(self) -> None:
        # The checksum already rules out accidents, so what is left is the passphrase, or somebody who recomputed it.
        super().__init__("wrong passphrase (or the vault file was altered on purpose)")


class PassphraseChanged(VaultError):
    """The file on disk is sealed with another key than the one this process holds."""

    def __init__(self) -> None:
        super().__init__("the vault was sealed anew since it was opened (passphrase changed); open it again")


class PassphraseMissing(VaultError):
    """No passphrase was given in any of the places we look."""

    def __init__(self) -> None:
        super().__init__(
            "no vault passphrase: set PERPGUARD_PASSPHRASE, or PERPGUARD_PASSPHRASE_FILE (a file only you can read), "
            "or run in a terminal to be asked"
        )


class PassphraseRefused(VaultError):
    """A passphrase was given, but we will not use it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"passphrase refused: {reason}")
        self.reason = reason


class InvalidField(VaultError, ValueError):
    """A name or credential has a spelling the vault does not accept."""

    def __init__(self, field: str, requirement: str) -> None:
        # The value stays out of the text: a secret pasted into the wrong field must not reach a log.
        super().__init__(f"{field} must be {requirement}")
        self.field = field
        self.requirement = requirement


class DuplicateAccount(VaultError):
    """The account already has an exchange key."""

    def __init__(self, account: str) -> None:
        super().__init__(f"account {account} already has an exchange key")
        self.account = account


class UnknownAccount(VaultError):
    """The vault holds no exchange key for this account."""

    def __init__(self, account: str) -> None:
        super().__init__(f"no exchange key for account {account}")
        self.account = account


class UnknownKey(VaultError):
    """No guard key with this text was ever issued."""

    def __init__(self) -> None:
        super().__init__("no such guard key; `perpguard keys list --full-keys` shows them")


class KeyRotated(VaultError):
    """The guard key was replaced; that is final, its successor is the one to change."""

    def __init__(self) -> None:
        super().__init__("this guard key was rotated and stays refused; use its successor")


class PublicKeyMissing(VaultError):
    """An Ed25519 guard key is rotated by giving the public half of a new key pair."""

    def __init__(self) -> None:
        super().__init__("this guard key signs with Ed25519: give the public key of its new key pair (--ed25519 FILE)")


class SigningKeyRetired(VaultError):
    """The guard's signing key was replaced, and its private half is gone."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"signing key {key_id} was replaced; it signs nothing any more")
        self.key_id = key_id


class ChannelExists(VaultError):
    """There is an alert channel of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a channel {name} already; remove it first")


class UnknownChannel(VaultError):
    """There is no alert channel of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no channel {name}")


class TooManyChannels(VaultError):
    """No more alert channels are kept."""

    def __init__(self, most: int) -> None:
        super().__init__(f"there are {most} channels already")
