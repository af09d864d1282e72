"""What goes out is what redis-py would send, and nothing is turned to text by guess."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis._parsers import Encoder
from redis.connection import PythonRespSerializer

from proxy.store.lean.commands import by_digest, by_text, encode
from tests.proxy.store.lean.fake_store import SCRIPT

PARTS = st.lists(st.text() | st.binary() | st.integers(), min_size=1)


@given(PARTS)
def test_a_command_is_spelled_as_redis_py_spells_it(parts):
    packed = PythonRespSerializer(6000, Encoder("utf-8", "strict", False).encode).pack("X", *parts)
    assert encode("X", *parts) == b"".join(packed)


@pytest.mark.parametrize("part", [True, 1.5, Decimal("1"), None, ["a"], bytearray(b"a")], ids=repr)
def test_what_has_no_one_spelling_is_refused(part):
    with pytest.raises(TypeError, match="a command has no"):
        encode("X", part)


def test_a_script_is_asked_for_by_digest_and_then_by_text():
    asked = encode("EVALSHA", SCRIPT.sha, 2, "k", "l", "a", 7)
    assert by_digest(SCRIPT, ["k", "l"], ["a", 7]) == asked
    assert by_text(SCRIPT, ["k", "l"], ["a", 7]) == encode("EVAL", SCRIPT.text, 2, "k", "l", "a", 7)
