"""A reply is read the same however it is cut, and what two readers could read differently is none."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.gate.upstream import UpstreamReply
from proxy.gate.wire.reply import HEAD_BYTES_MAX, HEADERS_MAX, NotAReply, ReplyReader
from tests.properties.strategies import examples

SIZE_MAX = 1000
SIMPLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def read(*parts: bytes) -> UpstreamReply | None:
    """What the last part completes."""
    reader = ReplyReader(SIZE_MAX)
    reply = None
    for part in parts:
        assert reply is None, "it was whole before"
        reply = reader.feed(part)
    return reply


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def test_names_are_lower_case_and_what_is_repeated_is_joined() -> None:
    reply = read(head("X-MBX-USED-WEIGHT-1M: 7", "Via: a", "VIA: b", "Content-Length: 0"))
    assert reply is not None
    assert reply.headers == {"x-mbx-used-weight-1m": "7", "via": "a, b", "content-length": "0"}


def test_chunks_are_one_body() -> None:
    reply = read(head("Transfer-Encoding: chunked") + b"3\r\n[1,\r\n2;ext=1\r\n2]\r\n0\r\n\r\n")
    assert reply is not None and reply.body == b"[1,2]"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_some_answers_have_no_body(status: str) -> None:
    reply = read(head("X: y", status=status))
    assert reply is not None and (reply.status, reply.body) == (int(status[:3]), b"")


AMBIGUOUS = {
    "two lengths": head("Content-Length: 2", "Content-Length: 2") + b"{}",
    "two lengths in one": head("Content-Length: 2, 2") + b"{}",
    "a length and chunks": head("Content-Length: 2", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
    "chunks and a length": head("Transfer-Encoding: chunked", "Content-Length: 2") + b"2\r\n{}\r\n0\r\n\r\n",
    "chunks twice": head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
    "compressed chunks": head("Transfer-Encoding: gzip, chunked") + b"2\r\n{}\r\n0\r\n\r\n",
    "not quite chunks": head("Transfer-Encoding: xchunked") + b"2\r\n{}\r\n0\r\n\r\n",
    "no length": head("Content-Type: text/plain") + b"{}",
    "a signed length": head("Content-Length: +2") + b"{}",
    "a negative length": head("Content-Length: -2") + b"{}",
    "a length in hex": head("Content-Length: 0x2") + b"{}",
    "an empty length": head("Content-Length:") + b"{}",
    "a length beyond all numbers": head("Content-Length: 99999999999999999999999") + b"{}",
    "a length beyond any answer": head(f"Content-Length: {SIZE_MAX + 1}"),
    "more than its length": SIMPLE + b"x",
    "a second reply": SIMPLE + SIMPLE,
    "a body where there is none": head("Content-Length: 2", status="204 No Content") + b"{}",
    "bytes behind the last of the connection": head("Content-Length: 2", "Connection: close") + b"{}x",
    "an answer in between": head(status="100 Continue") + SIMPLE,
    "an early hint": head("Link: </x>", status="103 Early Hints") + SIMPLE,
    "another protocol": head("Connection: upgrade", "Upgrade: websocket", status="101 Switching Protocols"),
    "a coding": head("Content-Length: 2", "Content-Encoding: gzip") + b"{}",
    "a coding that is hidden": head("Content-Length: 2", "Content-Encoding: identity", "Content-Encoding: br") + b"{}",
    "an old version": SIMPLE.replace(b"1.1", b"1.0"),
    "a new version": SIMPLE.replace(b"1.1", b"2.0"),
    "no version": SIMPLE.replace(b"HTTP/1.1", b"HTTP/x.y"),
    "lines of Unix": SIMPLE.replace(b"\r\n", b"\n"),
    "a bare CR": SIMPLE.replace(b"\r\n\r\n", b"\r\r\n"),
    "a folded line": head("Content-Length: 2", "X: y", " z") + b"{}",
    "a space before the colon": head("Content-Length : 2") + b"{}",
    "a NUL": head("Content-Length: 2", "X: \0") + b"{}",
    "a name with a space": head("Content Length: 2") + b"{}",
    "a status of two digits": SIMPLE.replace(b"200", b"20"),
    "a status of letters": SIMPLE.replace(b"200", b"2OO"),
    "a trailer": head("Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n",
    "a chunk without an end": head("Transfer-Encoding: chunked") + b"2\r\n{}xx0\r\n\r\n",
    "a chunk of a size that is none": head("Transfer-Encoding: chunked") + b"+2\r\n{}\r\n0\r\n\r\n",
    "chunks beyond any answer": head("Transfer-Encoding: chunked") + b"%x\r\n" % (SIZE_MAX + 1) + b"x" * (SIZE_MAX + 1),
    "headers beyond number": head(*(f"X-{number}: y" for number in range(HEADERS_MAX + 1)), "Content-Length: 0"),
    "a header beyond size": head("X: " + "y" * HEAD_BYTES_MAX, "Content-Length: 0"),
    "a greeting": b"220 mail.example ESMTP\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x50",
    "a request": b"POST /fapi/v1/order HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("sent", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
@pytest.mark.parametrize("size", [1_000_000, 7, 1], ids=["whole", "in sevens", "byte by byte"])
def test_what_could_be_read_differently_is_no_reply(sent: bytes, size: int) -> None:
    """Cut small, an answer that is whole is given before what follows it; then it is not taken for another's."""
    reader = ReplyReader(SIZE_MAX)
    with pytest.raises(NotAReply) as trouble:
        for place in range(0, len(sent), size):
            reader.feed(sent[place : place + size])
    assert re.fullmatch("[A-Za-z0-9 /.]+", str(trouble.value)), "nothing of what came is repeated"


def test_an_empty_line_behind_the_end_is_nothing() -> None:
    """llhttp reads over it, and no reply can begin with it. On an idle connection it is a byte nobody asked for."""
    reply = read(SIMPLE + b"\r\n")
    assert reply is not None and reply.body == b"{}"


def test_a_head_that_never_ends_is_given_up() -> None:
    reader = ReplyReader(SIZE_MAX)
    reader.feed(b"HTTP/1.1 200 OK\r\nX: ")
    with pytest.raises(NotAReply):
        for _ in range(HEAD_BYTES_MAX // 1000 + 2):
            reader.feed(b"y" * 1000)


def test_chunks_that_are_all_wrapping_are_given_up() -> None:
    reader = ReplyReader(SIZE_MAX)
    reader.feed(head("Transfer-Encoding: chunked") + b"1;")
    with pytest.raises(NotAReply):
        for _ in range((HEAD_BYTES_MAX + SIZE_MAX) // 1000 + 2):
            reader.feed(b"y" * 1000)


def test_replies_follow_one_another() -> None:
    reader = ReplyReader(SIZE_MAX)
    for number in range(3):
        reader.begin()
        reply = reader.feed(head("Content-Length: 1", f"X-{number}: y") + b"%d" % number)
        assert reply is not None and reply.body == b"%d" % number and f"x-{number}" in reply.headers
        assert len(reply.headers) == 2
        assert reader.keeps_alive


@pytest.mark.parametrize("value", ["close", "Close", "keep-alive, close"])
def test_who_closes_carries_nothing_more(value: str) -> None:
    reader = ReplyReader(SIZE_MAX)
    assert reader.feed(head(f"Connection: {value}", "Content-Length: 0")) is not None
    assert not reader.keeps_alive


_VALUES = st.text('az09 ,;:="', max_size=8)


@st.composite
def replies(draw: st.DrawFn) -> tuple[bytes, int, bytes]:
    """The bytes of a reply in one of its forms, its status and its body."""
    status = draw(st.sampled_from([200, 201, 400, 401, 403, 418, 429, 500, 503]))
    body = draw(st.binary(max_size=60))
    extra = [f"X-{number}: {value}" for number, value in enumerate(draw(st.lists(_VALUES, max_size=3)))]
    if draw(st.booleans()):
        return head(*extra, f"Content-Length: {len(body)}", status=f"{status} x") + body, status, body
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=3)))
    parts = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part)
    return head("Transfer-Encoding: chunked", *extra, status=f"{status} x") + chunks + b"0\r\n\r\n", status, body


@examples(100)
@given(replies(), st.data())
def test_a_reply_is_the_same_however_it_is_cut(reply: tuple[bytes, int, bytes], data: st.DataObject) -> None:
    sent, status, body = reply
    cuts = sorted(data.draw(st.sets(st.integers(1, len(sent) - 1), max_size=6)))
    parts = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    got = read(*parts)
    assert got is not None and (got.status, got.body) == (status, body)


@examples(100)
@given(replies(), st.data())
def test_no_part_of_a_reply_is_a_reply(reply: tuple[bytes, int, bytes], data: st.DataObject) -> None:
    sent = reply[0]
    assert read(sent[: data.draw(st.integers(1, len(sent) - 1))]) is None


@examples(100)
@given(replies(), st.data())
def test_whatever_is_changed_it_is_read_or_refused(reply: tuple[bytes, int, bytes], data: st.DataObject) -> None:
    """No other exception, and never a body longer than what came."""
    sent = bytearray(reply[0])
    for place in data.draw(st.lists(st.integers(0, len(sent) - 1), min_size=1, max_size=3)):
        sent[place] = data.draw(st.integers(0, 255))
    try:
        got = read(bytes(sent))
    except NotAReply:
        return
    assert got is None or len(got.body) <= len(sent)
