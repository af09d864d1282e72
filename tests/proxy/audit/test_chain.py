from hypothesis import given
from hypothesis import strategies as st

from proxy.audit.chain import DESK, Head, genesis, link, root

bodies = st.lists(st.binary(max_size=40), min_size=1, max_size=12)


def head_of(chain: list[bytes], archive_id: str = "a", name: str = DESK) -> Head:
    head = genesis(archive_id, name)
    for seq, body in enumerate(chain, start=1):
        head = link(head, seq, body)
    return head


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
def test_the_same_records_hash_differently_in_another_archive_and_in_another_chain(chain):
    assert head_of(chain, "a") != head_of(chain, "b")
    assert head_of(chain, name="main") != head_of(chain, name="other")


def test_a_record_hashes_differently_at_another_sequence():
    head = genesis("a", DESK)
    assert link(head, 1, b"x") != link(head, 2, b"x")


def test_the_root_covers_archive_sequence_names_places_and_hashes():
    heads = {"main": Head(2, b"h" * 32), DESK: Head(1, b"g" * 32)}
    others = [
        root("b", 3, heads),
        root("a", 4, heads),
        root("a", 3, heads | {"main": Head(3, b"h" * 32)}),
        root("a", 3, heads | {"main": Head(2, b"i" * 32)}),
        root("a", 3, {"Main": heads["main"], DESK: heads[DESK]}),
        root("a", 3, {"main": heads["main"]}),
    ]
    assert len({root("a", 3, heads), *others}) == 7
    assert root("a", 3, dict(reversed(heads.items()))) == root("a", 3, heads)
