"""The guard's own key pairs: made on first need, replaced for good, never printed."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from proxy.vault.contents import Contents, decode, encode
from proxy.vault.errors import SigningKeyRetired
from proxy.vault.keys import Secret
from proxy.vault.signing_keys import SigningKey
from proxy.vault.vault import Vault


def public(key: SigningKey) -> Ed25519PublicKey:
    loaded = load_pem_public_key(key.public_key.encode())
    assert isinstance(loaded, Ed25519PublicKey)
    return loaded


def test_a_vault_without_one_gets_one_on_first_need_and_keeps_it(
    vault: Vault, path: Path, passphrase: Secret, now: datetime
) -> None:
    assert vault.signing_keys() == ()
    key = vault.signing_key(now)
    assert vault.signing_key(now + timedelta(days=1)) == key
    again = Vault.open(path, passphrase)
    assert again.signing_key(now) == key and again.accounts() == vault.accounts()
    public(key).verify(key.sign(b"a message"), b"a message")
    with pytest.raises(InvalidSignature):
        public(key).verify(key.sign(b"a message"), b"another")


def test_two_processes_that_need_one_end_with_the_same(path: Path, passphrase: Secret, now: datetime) -> None:
    first = Vault.create(path, passphrase, work_factor=2**14)
    second = Vault.open(path, passphrase)
    assert first.signing_key(now) == second.signing_key(now)
    assert len(Vault.open(path, passphrase).signing_keys()) == 1


def test_a_replaced_key_can_be_checked_and_never_used_again(vault: Vault, now: datetime) -> None:
    old = vault.signing_key(now)
    signature = old.sign(b"before")
    later = now + timedelta(days=30)
    new = vault.rotate_signing_key(later)
    retired, in_use = vault.signing_keys()
    assert in_use == new == vault.signing_key(later)
    assert retired.private_key is None and retired.retired_at == later
    public(retired).verify(signature, b"before")
    with pytest.raises(SigningKeyRetired, match=old.key_id):
        retired.sign(b"after")


def test_contents_from_before_there_were_any_are_read(now: datetime) -> None:
    older = encode(Contents()).replace(b',"signing_keys":[]', b"")
    assert b"signing_keys" not in older
    assert decode(older) == Contents()


def test_the_private_half_is_in_the_sealed_file_alone(vault: Vault, path: Path, now: datetime) -> None:
    key = vault.signing_key(now)
    assert key.private_key is not None
    text = key.private_key.reveal()
    for shown in (repr(key), str(key), repr(vault), repr(vault.signing_keys())):
        assert text not in shown
    assert text.encode() not in path.read_bytes() and base64.b64decode(text) not in path.read_bytes()
