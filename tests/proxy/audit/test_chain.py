from hypothesis import given
from hypothesis import strategies as st

from proxy.audit.chain import Checkpoint, genesis, link

bodies = st.lists(st.binary(max_size=40), min_size=1, max_size=12)


def head_of(chain: list[bytes], archive_id: str = "a") -> bytes:
    prev = genesis(archive_id)
    for seq, body in enumerate(chain, start=1):
        prev = link(prev, seq, body)
    return prev


@given(bodies, st.data())
def test_any_bit_flip_changes_the_head(chain, data):
    place = data.draw(st.integers(0, len(chain) - 1))
    body = bytearray(chain[place] or b"\0")
    body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = [*chain[:place], bytes(body), *chain[place + 1 :]]
    assert head_of(changed) != head_of(chain)


@given(bodies, st.data())
def test_deleting_duplicating_or_cutting_changes_the_head(chain, data):
    place = data.draw(st.integers(0, len(chain) - 1))
    head = head_of(chain)
    assert head_of(chain[:place] + chain[place + 1 :]) != head
    assert head_of([*chain[: place + 1], *chain[place:]]) != head
    assert head_of(chain[:place]) != head


@given(bodies, st.data())
def test_swapping_different_records_changes_the_head(chain, data):
    one, other = data.draw(st.integers(0, len(chain) - 1)), data.draw(st.integers(0, len(chain) - 1))
    swapped = list(chain)
    swapped[one], swapped[other] = chain[other], chain[one]
    assert (head_of(swapped) != head_of(chain)) is (swapped != chain)


@given(bodies)
def test_the_same_records_hash_differently_in_another_archive(chain):
    assert head_of(chain, "a") != head_of(chain, "b")


def test_a_checkpoints_digest_covers_every_field():
    fields = {"archive_id": "a", "seq": 1, "hash": b"h", "at": "t"}
    digests = {Checkpoint(**fields | change).digest for change in ({}, {"archive_id": "b"}, {"seq": 2}, {"at": "u"})}
    assert len(digests | {Checkpoint(**fields | {"hash": b"i"}).digest}) == 5
