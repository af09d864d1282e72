"""What a head says, and that llhttp, which half the world's servers read with, reads the same in whatever we accept."""

from __future__ import annotations

from contextlib import suppress

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.gate.framing import BadFraming, Head, asks_for_websocket, expect_head, read_head

ORDER = (
    b"POST /binanceusdm/fapi/v1/order?a=%20 HTTP/1.1\r\nHost: guard:8080\r\nUser-Agent: x\r\nX-MBX-APIKEY:\tk \r\n"
    b"content-LENGTH: 3\r\n\r\n"
)


def a_head(line: bytes = b"GET /x HTTP/1.1", *headers: bytes, host: bytes = b"Host: guard") -> bytes:
    return b"\r\n".join((line, host, *headers, b"", b""))


def test_a_head_says_what_it_says() -> None:
    assert read_head(ORDER) == Head(
        method=b"POST",
        path=b"/binanceusdm/fapi/v1/order",
        query=b"a=%20",
        fields={b"host": b"guard:8080", b"x-mbx-apikey": b"k", b"content-length": b"3"},
        body_length=3,
        persists=True,
        text=ORDER,
    )


@pytest.mark.parametrize(
    ("head", "persists"),
    [
        (a_head(), True),
        (a_head(b"GET /x HTTP/1.0"), False),
        (a_head(b"GET /x HTTP/1.0", b"Connection: keep-alive"), False),
        (a_head(b"GET /x HTTP/1.1", b"Connection: keep-alive, Close"), False),
        (a_head(b"GET /x HTTP/1.1", b"Connection: keep-alive"), True),
    ],
    ids=["1.1", "1.0", "1.0 that would stay", "close among others", "keep-alive"],
)
def test_who_wants_to_stay(head: bytes, persists: bool) -> None:
    assert read_head(head).persists is persists


# What llhttp lets pass, or servers differ on. The rest of what is refused is in test_protocol, on a socket.
REFUSED = {
    "two spaces before the target": a_head(b"GET  /x HTTP/1.1"),
    "two spaces before the version": a_head(b"GET /x  HTTP/1.1"),
    "a space behind the version": a_head(b"GET /x HTTP/1.1 "),
    "a tab in the line": a_head(b"GET\t/x HTTP/1.1"),
    "a blank line before it": b"\r\n" + a_head(),
    "version 1.9": a_head(b"GET /x HTTP/1.9"),
    "version 0.9": a_head(b"GET /x HTTP/0.9"),
    "version 1.10": a_head(b"GET /x HTTP/1.10"),
    "a version in lower case": a_head(b"GET /x http/1.1"),
    "no version": a_head(b"GET /x"),
    "a method in lower case": a_head(b"get /x HTTP/1.1"),
    "an absolute target": a_head(b"GET http://guard/x HTTP/1.1"),
    "a fragment": a_head(b"GET /x#y HTTP/1.1"),
    "a byte that is no ASCII in the target": a_head(b"GET /\xe9 HTTP/1.1"),
    "a HEAD with a body": a_head(b"HEAD /x HTTP/1.1", b"Content-Length: 3"),
    "OPTIONS": a_head(b"OPTIONS /x HTTP/1.1"),
    "TRACE": a_head(b"TRACE /x HTTP/1.1"),
    "an empty Host": a_head(host=b"Host:"),
    "a Host with a path": a_head(host=b"Host: guard/x"),
    "a Host with a user": a_head(host=b"Host: me@guard"),
    "a list of Hosts": a_head(host=b"Host: guard, other"),
    "two content types": a_head(b"POST /x HTTP/1.1", b"Content-Type: a/b", b"Content-Type: a/c"),
    "two Connections": a_head(b"GET /x HTTP/1.1", b"Connection: close", b"Connection: keep-alive"),
    "an empty length": a_head(b"POST /x HTTP/1.1", b"Content-Length:"),
    "a length with a zero before it": a_head(b"POST /x HTTP/1.1", b"Content-Length: 03"),
    "a length with a space in it": a_head(b"POST /x HTTP/1.1", b"Content-Length: 1 2"),
    "a length in other digits": a_head(b"POST /x HTTP/1.1", b"Content-Length: \xd9\xa3"),
    "a vertical tab in a value": a_head(b"GET /x HTTP/1.1", b"X-A: \x0b1"),
    "a delete character in a value": a_head(b"GET /x HTTP/1.1", b"X-A: \x7f"),
    "a line feed in a value": a_head(b"GET /x HTTP/1.1", b"X-A: 1\nContent-Length: 3"),
    "a carriage return at the end": a_head(b"GET /x HTTP/1.1", b"X-A: 1\r"),
    "a quoted name": a_head(b"GET /x HTTP/1.1", b'"X-A": 1'),
    "a space before a name": a_head(b"GET /x HTTP/1.1", b" X-A: 1"),
}


@pytest.mark.parametrize("head", REFUSED.values(), ids=REFUSED.keys())
def test_what_can_be_read_in_two_ways_is_refused(head: bytes) -> None:
    with pytest.raises(BadFraming):
        read_head(head)


@pytest.mark.parametrize("minor", [b"0", b"1"], ids=["1.0", "1.1"])
def test_only_http_1_1_may_expect_to_be_asked_for_the_body(minor: bytes) -> None:
    head = read_head(a_head(b"POST /x HTTP/1." + minor, b"Expect: 100-Continue", b"Content-Length: 3"))
    assert (b"expect" in head.fields) is (minor == b"1")


def test_an_upgrade_is_one_by_both_headers() -> None:
    upgrade = (b"Connection: keep-alive, Upgrade", b"Upgrade: WebSocket")
    assert asks_for_websocket(read_head(a_head(b"GET /x HTTP/1.1", *upgrade)))
    assert not asks_for_websocket(read_head(a_head(b"GET /x HTTP/1.1", upgrade[0])))
    assert not asks_for_websocket(read_head(a_head(b"GET /x HTTP/1.1", upgrade[1])))
    assert not asks_for_websocket(read_head(a_head(b"GET /x HTTP/1.1", upgrade[0], b"Upgrade: h2c")))


class Llhttp:
    """What llhttp reads, by httptools."""

    def __init__(self, text: bytes) -> None:
        self.url, self.body = b"", b""
        self.headers: dict[bytes, bytes] = {}
        self.whole = 0
        self.method, self.persists = b"", False
        self.parser = httptools.HttpRequestParser(self)
        with suppress(httptools.HttpParserUpgrade):
            self.parser.feed_data(text)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value.strip(b" \t")

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole += 1
        # Asked here: once the message is over llhttp forgets what its headers said of the connection.
        self.method = self.parser.get_method()
        self.persists = self.parser.should_keep_alive() and self.parser.get_http_version() == "1.1"


lines = st.one_of(
    st.sampled_from(
        [b"Content-Length: 3", b"content-length:3 ", b"Content-Length: 0", b"Connection: close",
         b"Connection: Keep-Alive", b"Transfer-Encoding: chunked", b"X-MBX-APIKEY: k",
         b"Content-Type: application/x-www-form-urlencoded",
         b"Expect: 100-continue", b"Connection: Upgrade, close", b"X_MBX_APIKEY: other", b"X-A:", b"Host: other"]
    ),
    st.builds(lambda name, value: name + b": " + value, st.binary(max_size=4), st.binary(max_size=6)),
)  # fmt: skip
heads = st.builds(
    lambda method, gap, target, version, headers: a_head(method + gap + target + b" " + version, *headers),
    st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD", b"get"]),
    st.sampled_from([b" ", b" ", b" ", b"  ", b"\t"]),
    st.one_of(st.sampled_from([b"/", b"/x?y=1", b"//x", b"/x#y"]), st.binary(max_size=8).map(lambda tail: b"/" + tail)),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0"]),
    st.lists(lines, max_size=4),
)


@given(heads)
@example(a_head(b"GET /x HTTP/1.1", b"Connection: close"))
@example(a_head(b"GET /x HTTP/1.1", b"Connection: keep-alive"))
@example(a_head(b"POST /x HTTP/1.1", b"Connection: Upgrade, close", b"Content-Length: 3"))
def test_llhttp_reads_the_same_in_whatever_is_accepted(text: bytes) -> None:
    if text.index(b"\r\n\r\n") + 4 != len(text):
        return
    try:
        head = read_head(text)
    except BadFraming:
        return
    body = b"a=1"[: head.body_length]
    theirs = Llhttp(text + body)
    assert theirs.whole == 1
    target = head.path + (b"?" + head.query if b"?" in theirs.url else b"")
    assert (theirs.method, theirs.url, theirs.body) == (head.method, target, body)
    assert {name: theirs.headers[name] for name in head.fields} == head.fields
    if not asks_for_websocket(head):
        assert theirs.persists is head.persists


@given(heads, st.integers(min_value=0))
def test_what_is_refused_early_is_refused_in_the_end(text: bytes, cut: int) -> None:
    """Cut where it may be cut: the first part alone is never refused when the whole is not."""
    try:
        read_head(text)
    except BadFraming:
        return
    part = bytearray(text[: 1 + cut % (len(text) - 1)])
    if b"\r\n\r\n" not in part:
        expect_head(part, 0)
        expect_head(part, len(part) // 2)
