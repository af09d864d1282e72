"""Where the vault of a data directory is, and how whoever needs it opens it."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.vault.keys import Secret
from proxy.vault.passphrase import read_passphrase
from proxy.vault.vault import Vault
from proxy.venues.binance.client_ids import tags

if TYPE_CHECKING:
    from proxy.settings import Settings


def vault_path(data_dir: Path) -> Path:
    """Where the vault of a data directory is."""
    return data_dir / "vault" / "vault.json"


def person_here() -> Callable[[str], str] | None:
    """Asks whoever sits at this process's terminal for a secret; ``None`` where nobody does."""
    return getpass.getpass if sys.stdin.isatty() else None


def open_vault(
    data_dir: Path, *, environment: Mapping[str, str], file: Path | None, prompt: Callable[[str], str] | None
) -> Vault:
    """The vault, with the passphrase from wherever there is one: see ``read_passphrase``. Raises a ``VaultError``.

    It opens although two bots' orders look alike: a kill must close all the same, and `keys` is how that is mended.
    """
    return Vault.open(vault_path(data_dir), read_passphrase(environment=environment, file=file, prompt=prompt))


def open_unambiguous(settings: Settings, environment: Mapping[str, str], *, ask: bool = True) -> Vault:
    """The vault as the guard needs it: of every order it must know which bot's it is. The settings' own passphrase
    comes first; it is asked for at a terminal, unless ``ask`` is false.

    Raises a ``VaultError``, or ``TagsClash`` where two bots' orders look alike.
    """
    if settings.passphrase is not None:
        vault = Vault.open(vault_path(settings.data_dir), Secret(settings.passphrase.get_secret_value()))
    else:
        prompt = person_here() if ask else None
        vault = open_vault(settings.data_dir, environment=environment, file=settings.passphrase_file, prompt=prompt)
    for account in vault.accounts():
        tags(account.account, (key.bot for key in vault.guard_keys() if key.account == account.account))
    return vault
