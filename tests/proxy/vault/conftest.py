"""A small vault world: one passphrase, one account, cheap key derivation."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.vault.keys import Secret
from proxy.vault.vault import Vault


@pytest.fixture
def passphrase() -> Secret:
    return Secret("correct horse battery staple")


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault" / "vault.json"


@pytest.fixture
def vault(path: Path, passphrase: Secret, now: datetime) -> Vault:
    """An open vault that can sign for the account `main`."""
    opened = Vault.create(path, passphrase, work_factor=2**14)
    opened.add_exchange_key(
        account="main", venue="binance", api_key="B" * 64, api_secret=Secret("exchange-secret-text"), now=now
    )
    return opened
