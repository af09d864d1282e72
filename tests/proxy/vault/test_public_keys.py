"""Guard keys of bots that sign with Ed25519: only the public half ever comes to the vault."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from proxy.vault.contents import Contents, decode, encode
from proxy.vault.errors import InvalidField, PublicKeyMissing
from proxy.vault.keys import KeyState, Secret, new_guard_key, stream_key
from proxy.vault.public_keys import checked_public_key
from proxy.vault.vault import Vault


def pem(private: Ed25519PrivateKey | rsa.RSAPrivateKey) -> str:
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


PRIVATE = Ed25519PrivateKey.generate()
PUBLIC = pem(PRIVATE)
PRIVATE_PEM = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize("given", [PUBLIC, PUBLIC.replace("\n", "\r\n"), f"\n{PUBLIC}\n"])
def test_a_public_key_is_kept_in_one_spelling(given: str):
    assert checked_public_key(given) == PUBLIC


@pytest.mark.parametrize(
    "given",
    [
        "",
        "x",
        PUBLIC[:-40],
        PUBLIC.replace("A", "é", 1),
        PUBLIC * 20,
        pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        PRIVATE_PEM,
    ],
    ids=["nothing", "a letter", "cut", "not ASCII", "too long", "RSA", "private"],
)
def test_anything_else_is_refused_and_not_quoted(given: str):
    with pytest.raises(InvalidField) as refusal:
        checked_public_key(given)
    assert "Ed25519" in str(refusal.value)
    assert not any(line in str(refusal.value) for line in given.splitlines() if len(line) > 1)


def test_a_private_key_is_called_one():
    with pytest.raises(InvalidField, match="belongs to the bot alone"):
        checked_public_key(PRIVATE_PEM)


def test_it_is_issued_and_read_back(vault: Vault, path: Path, passphrase: Secret, now: datetime):
    issued = vault.issue(bot="grid", account="main", label="x", now=now, public_key=PUBLIC)
    again = Vault.open(path, passphrase).guard_key(issued.key)
    assert again is not None
    assert (again.public_key, again.state, again) == (PUBLIC, KeyState.ACTIVE, issued)


def test_a_vault_from_before_ed25519_opens(now: datetime):
    key = new_guard_key(bot="b", account="a", label="l", now=now)
    written = msgspec.json.decode(encode(Contents(guard_keys={key.key: key})))
    del written["guard_keys"][key.key]["public_key"]
    old = decode(msgspec.json.encode(written))
    assert old is not None and old.guard_keys == {key.key: key}


def test_it_is_rotated_to_a_new_key_pair_only(vault: Vault, now: datetime):
    issued = vault.issue(bot="grid", account="main", label="x", now=now, public_key=PUBLIC)
    for public_key in (None, PUBLIC):
        with pytest.raises(PublicKeyMissing):
            vault.rotate(issued.key, now, public_key=public_key)
    new = pem(Ed25519PrivateKey.generate())
    successor = vault.rotate(issued.key, now, public_key=new)
    assert (successor.public_key, successor.bot, successor.key == issued.key) == (new, "grid", False)
    assert stream_key(successor) != stream_key(issued)


def test_an_hmac_key_may_be_rotated_to_ed25519(vault: Vault, now: datetime):
    issued = vault.issue(bot="grid", account="main", label="x", now=now)
    assert vault.rotate(issued.key, now, public_key=PUBLIC).public_key == PUBLIC
