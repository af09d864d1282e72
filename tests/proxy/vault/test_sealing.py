"""Nobody changes a byte of the file unnoticed, and no header makes us work for an attacker."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proxy.vault.errors import VaultCorrupt, WrongPassphrase
from proxy.vault.keys import Secret
from proxy.vault.sealing import Sealer, parse
from proxy.vault.vault import Vault

SEALED = Sealer(Secret("correct horse battery staple"), salt=bytes(range(16)), work_factor=2**14).seal(b'{"a":"b"}')


def test_every_flipped_bit_of_the_file_is_detected(vault: Vault, path: Path, passphrase: Secret):
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            with pytest.raises(VaultCorrupt):
                Vault.open(path, passphrase)


def test_every_truncation_is_detected(vault: Vault, path: Path, passphrase: Secret):
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(VaultCorrupt):
            Vault.open(path, passphrase)


def _flip_first_byte(text: str) -> str:
    raw = base64.b64decode(text)
    return base64.b64encode(bytes([raw[0] ^ 1]) + raw[1:]).decode()


def _forged(whole: bytes, **header: object) -> bytes:
    """The file as an attacker would leave it: altered, in canonical form, with the right checksum."""
    document = json.loads(whole)
    document["header"] |= header
    authenticated = json.dumps(document["header"], separators=(",", ":")).encode()
    digest = hashlib.sha256(authenticated + base64.b64decode(document["ciphertext"])).digest()
    document["checksum"] = base64.b64encode(digest).decode()
    return json.dumps(document, separators=(",", ":")).encode()


def test_the_forgery_of_nothing_is_the_original():
    assert _forged(SEALED) == SEALED


@pytest.mark.parametrize("field", ["salt", "nonce", "n", "ciphertext"])
def test_a_forgery_with_a_matching_checksum_does_not_open(vault: Vault, path: Path, passphrase: Secret, field: str):
    whole = path.read_bytes()
    document = json.loads(whole)
    if field == "ciphertext":
        document["ciphertext"] = _flip_first_byte(document["ciphertext"])
        path.write_bytes(_forged(json.dumps(document).encode()))
    elif field == "n":
        path.write_bytes(_forged(whole, n=2**15))
    else:
        path.write_bytes(_forged(whole, **{field: _flip_first_byte(document["header"][field])}))
    with pytest.raises(WrongPassphrase):
        Vault.open(path, passphrase)


@pytest.mark.parametrize(
    "n", [-1, 0, 1, 2, 2**13, 2**14 - 1, 2**14 + 1, 2**21, 2**40, 2**70, 2.0**14, True, None, "16384"]
)
def test_a_header_cannot_ask_for_a_weak_or_enormous_derivation(n: object):
    with pytest.raises(VaultCorrupt):
        parse(_forged(SEALED, n=n))


@pytest.mark.parametrize(
    "header",
    [
        {"format": "other"},
        {"version": 2},
        {"kdf": "pbkdf2"},
        {"cipher": "none"},
        {"r": 1},
        {"p": 2**20},
        {"salt": ""},
        {"nonce": "AAAA"},
        {"extra": 1},
    ],
)
def test_a_header_of_another_shape_is_refused(header: dict[str, object]):
    with pytest.raises(VaultCorrupt):
        parse(_forged(SEALED, **header))


@pytest.mark.parametrize(
    "content",
    [
        SEALED + b"\n",
        b" " + SEALED,
        SEALED.replace(b'{"header"', b'{"checksum":"","header"', 1),
        SEALED.replace(b'"r":8', b'"r":8,"r":8', 1),
        b"\xff" + SEALED,
        b"[" * 100_000,
        b"null",
    ],
)
def test_only_the_canonical_spelling_is_read(content: bytes):
    with pytest.raises(VaultCorrupt):
        parse(content)


def test_an_oversized_file_is_not_read_into_memory(vault: Vault, path: Path, passphrase: Secret):
    with path.open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(VaultCorrupt, match="larger"):
        Vault.open(path, passphrase)


def test_the_format_can_be_opened_by_its_description_alone_and_the_header_is_authenticated():
    document = json.loads(SEALED)
    header, ciphertext = document["header"], base64.b64decode(document["ciphertext"])
    salt, nonce = base64.b64decode(header["salt"]), base64.b64decode(header["nonce"])
    key = hashlib.scrypt(b"correct horse battery staple", salt=salt, n=2**14, r=8, p=1, dklen=32)
    authenticated = json.dumps(header, separators=(",", ":")).encode()
    assert AESGCM(key).decrypt(nonce, ciphertext, authenticated) == b'{"a":"b"}'
    with pytest.raises(InvalidTag):
        AESGCM(key).decrypt(nonce, ciphertext, b"")
