"""A bot's own order ids survive the way to the venue and back, and never look like another bot's."""

from __future__ import annotations

import json
import re
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.venues.binance.client_ids import TagsClash, inward, outward, owner, restore, reworded, tag, tags, tags_of
from proxy.venues.binance.malformed import MalformedRequest
from tests.properties.strategies import examples

ADA = tag("main", "ada")
NAME = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
names = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", min_size=1, max_size=32)
own_ids = st.one_of(
    st.from_regex(r"[.A-Z:/a-z0-9_-]{1,32}", fullmatch=True).filter(lambda text: not text.lower().startswith("pgk-")),
    st.uuids().map(str),
)


@given(names, names, own_ids)
@examples(200)
def test_an_id_comes_back_as_it_was_and_fits_the_venue(account, bot, own_id):
    code = tag(account, bot)
    sent = outward(own_id, code)
    assert NAME.fullmatch(sent)
    assert inward(sent, code) == own_id
    assert owner(sent, tags(account, [bot])) == bot


@given(names, names, names, own_ids, own_ids)
@examples(200)
def test_bots_never_give_one_id(account, first, second, own_id, other_id):
    ours, theirs = tag(account, first), tag(account, second)
    assume(ours != theirs)
    assert outward(own_id, ours) != outward(other_id, theirs)
    assert inward(outward(own_id, ours), theirs) is None


@given(own_ids, own_ids)
@examples(200)
def test_a_bot_gives_two_ids_for_two(own_id, other_id):
    assume(own_id != other_id)
    assert outward(own_id, ADA) != outward(other_id, ADA)


def test_the_tag_stays_what_it_was():
    """Orders rest for weeks: an upgrade of the guard must know them again."""
    assert (tag("main", "ada"), tag("main", "bob"), tag("other", "ada")) == ("gDiJ", "g62d", "gupD")


@pytest.mark.parametrize("own_id", ["x" * 33, "x" * 36, "3F2504E0-4F89-11D3-9A0C-0305E82C3301", ""])
def test_an_id_that_does_not_fit_is_refused_as_the_venue_would(own_id):
    with pytest.raises(MalformedRequest, match="at most 32 characters, or a UUID") as caught:
        outward(own_id, ADA)
    assert caught.value.code == -4015


@pytest.mark.parametrize(
    "foreign",
    ["", ADA, "web_1", "pgk-1", "autoclose-1", f"u{ADA[1:]}tooShort", f"u{ADA[1:]}" + "z" * 22, f"x{ADA[1:]}abc"],
)
def test_what_is_not_of_the_bot_is_nobodys(foreign):
    assert inward(foreign, ADA) is None
    assert owner(foreign, tags("main", ["ada", "bob"])) == ""


def test_bots_that_would_look_alike_are_told_apart_before_they_trade():
    alike = next(name for name in (f"bot{n}" for n in range(10**6)) if tag("main", name).lower() == ADA.lower())
    with pytest.raises(TagsClash, match="rename one of them") as caught:
        tags("main", ["ada", alike])
    assert set(caught.value.bots) == {"ada", alike}


def test_the_tags_of_an_account_are_those_of_the_bots_that_trade_there():
    traders = [("ann", "main"), ("bob", "main"), ("ann", "side")]
    assert tags_of("main", traders) == tags("main", ("ann", "bob"))
    assert set(tags_of("side", traders)) == {tag("side", "ann")}


@pytest.mark.parametrize("own_id", ["mine", "x-cvBPrNm9/1:2.3", str(UUID(int=0)), str(UUID(int=2**128 - 1))])
@pytest.mark.parametrize(
    "name", ["clientOrderId", "origClientOrderId", "newClientOrderId", "clientAlgoId", "c", "caid"]
)
def test_replies_and_frames_name_the_bots_own_id(name, own_id):
    theirs = outward("mine", tag("main", "bob"))
    body = '[{"%s" : "%s","price":"1.50","msg":"%s"},{"%s":"%s"}]'
    sent = outward(own_id, ADA)
    assert restore((body % (name, sent, sent, name, theirs)).encode(), ADA).decode() == (
        body % (name, own_id, sent, name, theirs)
    )


def test_an_escaped_slash_is_still_the_bots_id():
    assert restore(b'{"clientOrderId":"%sa\\/b"}' % ADA.encode(), ADA) == b'{"clientOrderId":"a\\/b"}'


@pytest.mark.parametrize("name", ["clientOrderId", "clientAlgoId", "c"])
def test_a_close_the_guard_made_for_the_bot_keeps_its_tag(name):
    """It is the bot's, and what it is called is what it can be asked about by."""
    close = f"{ADA}pgk-0123abcd-1"
    body = json.dumps({name: close}).encode()
    assert restore(body, ADA) == body
    assert reworded(f"an order named {close} is open", ADA) == f"an order named {close} is open"
    assert owner(close, tags("main", ["ada", "bob"])) == "ada"


def test_text_inside_a_string_is_no_name():
    body = json.dumps({"msg": f'"clientOrderId":"{ADA}mine"'}).encode()
    assert restore(body, ADA) == body


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), own_ids)
@examples(200)
def test_bytes_that_name_no_order_stay_as_they_are(noise, own_id):
    assume(b'"' not in noise)
    assert restore(noise, ADA) == noise
    tail = b'{"x":"%s","clientOrderId":"%s"}' % (outward(own_id, ADA).encode(), outward(own_id, ADA).encode())
    assert restore(noise + tail, ADA).startswith(noise + tail[:10])


def test_the_guards_messages_name_the_bots_own_id():
    packed = str(UUID(int=7))
    text = f"orders named {outward('mine', ADA)} and {outward(packed, ADA)} are open; {tag('main', 'bob')}x is not"
    assert reworded(text, ADA) == f"orders named mine and {packed} are open; {tag('main', 'bob')}x is not"
