from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from proxy.audit.chain import DESK, Head
from proxy.audit.checkpoint import Checkpoint, CheckpointDamaged, heads_in_hex, seal, unseal
from proxy.signatures.signing import trusted_key
from proxy.vault.signing_keys import new_signing_key
from tests.proxy.audit.conftest import KEY, KEYS

CHECKPOINT = Checkpoint(
    archive="a" * 32,
    seq=3,
    at="2026-11-24T09:00:00Z",
    heads=heads_in_hex({DESK: Head(1, b"g" * 32), "main": Head(2, b"h" * 32)}),
    kept=1,
    last="d" * 64,
)


def test_what_is_sealed_is_read_back_and_its_signature_fits():
    sealed = unseal(seal(CHECKPOINT, KEY).content)
    sealed.check_signature(KEYS)
    assert sealed.checkpoint == CHECKPOINT
    assert sealed.heads == {DESK: Head(1, b"g" * 32), "main": Head(2, b"h" * 32)}


def test_every_byte_that_is_changed_is_found():
    content = seal(CHECKPOINT, KEY).content
    for place in range(len(content)):
        for flip in (0x01, 0x20, 0x80):
            changed = content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :]
            with pytest.raises(CheckpointDamaged):
                unseal(changed).check_signature(KEYS)
        with pytest.raises(CheckpointDamaged):
            unseal(content[:place])


@pytest.mark.parametrize(
    "change",
    [
        {"archive": "b" * 32},
        {"seq": 4},
        {"at": "2026-11-24T09:00:01Z"},
        {"heads": heads_in_hex({DESK: Head(1, b"g" * 32)})},
        {"kept": 2},
        {"last": ""},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_signature_covers_every_field(change):
    genuine = seal(CHECKPOINT, KEY)
    forged = seal(msgspec.structs.replace(CHECKPOINT, **change), KEY)
    with pytest.raises(CheckpointDamaged, match="does not fit"):
        replace(forged, signature=genuine.signature).check_signature(KEYS)


def test_anybody_elses_key_is_not_trusted():
    other = new_signing_key(datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(CheckpointDamaged, match="not among those given"):
        seal(CHECKPOINT, other).check_signature(KEYS)
    seal(CHECKPOINT, other).check_signature([*KEYS, trusted_key(other.public_key.encode())])


@pytest.mark.parametrize(
    "change",
    [{"seq": -1}, {"kept": -1}, {"heads": heads_in_hex({DESK: Head(-1, b"g" * 32)})}],
    ids=lambda change: next(iter(change)),
)
def test_what_counts_below_nothing_is_no_checkpoint(change):
    with pytest.raises(CheckpointDamaged, match="no checkpoint"):
        unseal(seal(msgspec.structs.replace(CHECKPOINT, **change), KEY).content)


@pytest.mark.parametrize("spelling", ["spaces", "capitals", "another field", "no json"])
def test_another_spelling_of_the_same_is_refused(spelling):
    content = seal(CHECKPOINT, KEY).content
    changed = {
        "spaces": content.replace(b":", b": "),
        "capitals": content.replace(b"67" * 32, b"67" * 31 + b"6A"),
        "another field": content[:-1] + b',"more":1}',
        "no json": b"checkpoint",
    }[spelling]
    assert changed != content
    with pytest.raises(CheckpointDamaged):
        unseal(changed)
