"""A hundred requests that servers are known to read differently, each with a second order hidden in it.

The table of probes behind docs/decisions/0008 and what has been found since in real servers: both lengths at once,
folded and misspelled codings, lengths that are no numbers, chunks, line ends, Host, versions, targets, floods,
expectations, control characters. ``FLOODS`` are too large, ``CONTROLS`` look as odd and are to be taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Orders:
    """Two signed orders as form bodies, and where and for whom they are."""

    host: bytes
    key: bytes
    path: bytes
    outer: bytes
    inner: bytes

    def head(self, *lines: bytes, first: bytes = b"", host: bytes | None = None) -> bytes:
        """Request line, Host, key and content type, and then ``lines`` as they stand."""
        usual = b"Host: " + self.host if host is None else host
        more = (b"X-MBX-APIKEY: " + self.key, b"Content-Type: application/x-www-form-urlencoded", *lines)
        named = [line for line in (usual, *more) if line]
        return b"\r\n".join((first or self.line(), *named, b"", b""))

    def line(self, version: bytes = b"HTTP/1.1", method: bytes = b"POST", path: bytes | None = None) -> bytes:
        """A request line."""
        return b" ".join((method, self.path if path is None else path, version))

    def plain(self, body: bytes, *lines: bytes, first: bytes = b"", host: bytes | None = None) -> bytes:
        """A whole request with one right length."""
        return self.head(b"Content-Length: %d" % len(body), *lines, first=first, host=host) + body

    @property
    def hidden(self) -> bytes:
        """The second order, a whole request."""
        return self.plain(self.inner)

    def chunked(self, size: bytes | None = None, end: bytes = b"\r\n", last: bytes = b"0\r\n\r\n") -> bytes:
        """The first order's body in one chunk, and the second order behind the last."""
        return (size or b"%x" % len(self.outer)) + end + self.outer + end + last + self.hidden


Payload: TypeAlias = Callable[[Orders], bytes]


def coded(*coding: bytes, version: bytes = b"HTTP/1.1") -> Payload:
    """A length that covers all that follows, and a transfer coding by which the second order stands alone."""

    def build(orders: Orders) -> bytes:
        tail = b"0\r\n\r\n" + orders.hidden
        return orders.head(b"Content-Length: %d" % len(tail), *coding, first=orders.line(version)) + tail

    return build


def chunked_only(size: bytes | None = None, end: bytes = b"\r\n", last: bytes = b"0\r\n\r\n") -> Payload:
    """No length, and chunks of which something is odd."""
    return lambda orders: orders.head(b"Transfer-Encoding: chunked") + orders.chunked(size, end, last)


def measured(*lines: bytes) -> Payload:
    """Lengths as ``lines`` say, ``%d`` being the right one; the second order is behind the first."""

    def build(orders: Orders) -> bytes:
        length = b"%d" % len(orders.outer)
        return orders.head(*(line.replace(b"%d", length) for line in lines)) + orders.outer + orders.hidden

    return build


def with_line(*lines: bytes) -> Payload:
    """Right lengths, and more header lines as they stand."""
    return lambda orders: orders.plain(orders.outer, *lines) + orders.hidden


def with_host(host: bytes) -> Payload:
    """Right lengths and these Host lines; ``%s`` is the right one."""
    return lambda orders: (
        orders.plain(orders.outer, host=host.replace(b"%s", orders.host) or b"X-None: 1") + orders.hidden
    )


def with_first(template: bytes) -> Payload:
    """Right lengths and this request line; ``%s`` is the right path."""
    return lambda orders: orders.plain(orders.outer, first=template.replace(b"%s", orders.path)) + orders.hidden


def swapped(old: bytes, new: bytes, count: int = -1) -> Payload:
    """Two good requests, in whose bytes ``old`` is replaced."""
    return lambda orders: (orders.plain(orders.outer) + orders.hidden).replace(old, new, count)


CHUNKED: Final = b"Transfer-Encoding: chunked"

HOSTILE: Final[dict[str, Payload]] = {
    "length and chunked": coded(CHUNKED),
    "chunked and length": lambda o: o.head(CHUNKED, b"Content-Length: %d" % len(o.chunked())) + o.chunked(),
    "chunked, and a length of its first line": measured(CHUNKED, b"Content-Length: 4"),
    "chunked on the next line": coded(b"Transfer-Encoding:\r\n chunked"),
    "chunked on the next line by a tab": coded(b"Transfer-Encoding:\r\n\tchunked"),
    "identity and chunked": coded(b"Transfer-Encoding: identity, chunked"),
    "chunked and identity": coded(b"Transfer-Encoding: chunked, identity"),
    "identity": coded(b"Transfer-Encoding: identity"),
    "xchunked": coded(b"Transfer-Encoding: xchunked"),
    "chunkedx": coded(b"Transfer-Encoding: chunkedx"),
    "gzip and chunked": coded(b"Transfer-Encoding: gzip, chunked"),
    "chunked twice": coded(CHUNKED, CHUNKED),
    "chunked, then identity": coded(CHUNKED, b"Transfer-Encoding: identity"),
    "chunked in capitals": coded(b"TRANSFER-ENCODING: CHUNKED"),
    "chunked with a parameter": coded(b"Transfer-Encoding: chunked;q=1"),
    "chunked in quotes": coded(b'Transfer-Encoding: "chunked"'),
    "chunked behind a space and a colon": coded(b"Transfer-Encoding : chunked"),
    "chunked behind a vertical tab": coded(b"Transfer-Encoding:\x0bchunked"),
    "chunked behind a null byte": coded(b"Transfer-Encoding: \x00chunked"),
    "a coding's name with a null byte": coded(b"Transfer-Encoding\x00: chunked"),
    "chunked behind a line feed": coded(b"X-A: 1\nTransfer-Encoding: chunked"),
    "chunked behind a carriage return": coded(b"X-A: 1\rTransfer-Encoding: chunked"),
    "chunked in a line that begins with a space": coded(b" Transfer-Encoding: chunked"),
    "no coding": coded(b"Transfer-Encoding:"),
    "chunked in HTTP/1.0": coded(CHUNKED, b"Connection: keep-alive", version=b"HTTP/1.0"),
    "chunks": chunked_only(),
    "a chunk in 0x": lambda o: o.head(CHUNKED) + o.chunked(b"0x%x" % len(o.outer)),
    "a chunk with a plus": lambda o: o.head(CHUNKED) + o.chunked(b"+%x" % len(o.outer)),
    "a chunk with a minus": lambda o: o.head(CHUNKED) + o.chunked(b"-%x" % len(o.outer)),
    "a chunk with an underscore": lambda o: o.head(CHUNKED) + o.chunked(b"0_%x" % len(o.outer)),
    "a chunk behind a space": lambda o: o.head(CHUNKED) + o.chunked(b" %x" % len(o.outer)),
    "a chunk with an extension": lambda o: o.head(CHUNKED) + o.chunked(b"%x;a=b" % len(o.outer)),
    "a chunk whose extension has a line feed": lambda o: o.head(CHUNKED) + o.chunked(b"%x;a\nb" % len(o.outer)),
    "a chunk beyond 64 bits": chunked_only(b"1000000000000000d"),
    "chunks that end with line feeds": chunked_only(end=b"\n", last=b"0\n\n"),
    "a last chunk of many zeros": chunked_only(last=b"0000\r\n\r\n"),
    "chunks with a trailer": chunked_only(last=b"0\r\nContent-Length: 3\r\n\r\n"),
    "chunks without a last line": chunked_only(last=b"0\r\n"),
    "two lengths": measured(b"Content-Length: %d", b"Content-Length: 0"),
    "two lengths, the right one behind": measured(b"Content-Length: 0", b"Content-Length: %d"),
    "the same length twice": measured(b"Content-Length: %d", b"Content-Length: %d"),
    "a list of lengths": measured(b"Content-Length: %d, %d"),
    "a list of two lengths": measured(b"Content-Length: 0, %d"),
    "a length with a plus": measured(b"Content-Length: +%d"),
    "a length with a minus": measured(b"Content-Length: -%d"),
    "a length with an underscore": measured(b"Content-Length: 0_%d"),
    "a length in 0x": measured(b"Content-Length: 0x%d"),
    "a length with a fraction": measured(b"Content-Length: %d.0"),
    "a length with an exponent": measured(b"Content-Length: %de0"),
    "a length in Arabic digits": measured("Content-Length: \u0664\u0662".encode()),
    "an empty length": measured(b"Content-Length:"),
    "a length beyond 64 bits": measured(b"Content-Length: 18446744073709551618"),
    "a length with a space in it": measured(b"Content-Length: %d 0"),
    "a length with a null byte": measured(b"Content-Length: %d\x00"),
    "a space before the length's colon": measured(b"Content-Length : %d"),
    "a length's name with a null byte": measured(b"Content-Length\x00: %d"),
    "a length on the next line": measured(b"Content-Length:\r\n %d"),
    "another length behind a line feed": measured(b"Content-Length: %d\nContent-Length: 0"),
    "another length behind a carriage return": measured(b"Content-Length: %d\rContent-Length: 0"),
    "a length behind a form feed": measured(b"Content-Length:\x0c%d"),
    "bare line feeds": swapped(b"\r\n", b"\n"),
    "bare carriage returns": swapped(b"\r\n", b"\r"),
    "one bare line feed": swapped(b"\r\n", b"\n", 1),
    "carriage returns twice": swapped(b"\r\n", b"\r\r\n"),
    "line feed before carriage return": swapped(b"\r\n", b"\n\r"),
    "no Host": with_host(b""),
    "two Hosts": with_host(b"Host: %s\r\nHost: evil.example"),
    "the same Host twice": with_host(b"Host: %s\r\nHost: %s"),
    "a Host on the next line": with_host(b"Host:\r\n %s"),
    "a space before Host's colon": with_host(b"Host : %s"),
    "a Host behind a null byte": with_host(b"Host: \x00%s"),
    "version 0.9": with_first(b"POST %s HTTP/0.9"),
    "version 1.2": with_first(b"POST %s HTTP/1.2"),
    "version 1.9": with_first(b"POST %s HTTP/1.9"),
    "version 2.0": with_first(b"POST %s HTTP/2.0"),
    "version 01.1": with_first(b"POST %s HTTP/01.1"),
    "version 1.10": with_first(b"POST %s HTTP/1.10"),
    "a version in lower case": with_first(b"POST %s http/1.1"),
    "another protocol": with_first(b"POST %s ICE/1.1"),
    "no version": with_first(b"POST %s"),
    "a word behind the version": with_first(b"POST %s HTTP/1.1 x"),
    "a tab for a space": with_first(b"POST\t%s\tHTTP/1.1"),
    "a line feed for a space": with_first(b"POST %s\nHTTP/1.1"),
    "an absolute target": with_first(b"POST http://evil.example%s HTTP/1.1"),
    "a target with a fragment": with_first(b"POST %s#x HTTP/1.1"),
    "an absolute target of TLS": with_first(b"POST HTTPS://evil.example%s HTTP/1.1"),
    "a target with somebody's name": with_first(b"POST http://a@127.0.0.1:9%s HTTP/1.1"),
    "an authority": with_first(b"CONNECT 127.0.0.1:9 HTTP/1.1"),
    "an asterisk": with_first(b"OPTIONS * HTTP/1.1"),
    "a target without its slash": with_first(b"POST fapi/v1/order HTTP/1.1"),
    "a target with a null byte": with_first(b"POST %s\x00 HTTP/1.1"),
    "a target in UTF-8": with_first("POST %s\u00e9 HTTP/1.1".encode()),
    "a target with a space": with_first(b"POST %s x HTTP/1.1"),
    "a method in lower case": with_first(b"post %s HTTP/1.1"),
    "a method nobody knows": with_first(b"BREW %s HTTP/1.1"),
    "a method with a null byte": with_first(b"PO\x00ST %s HTTP/1.1"),
    "no method": with_first(b" %s HTTP/1.1"),
    "the preface of HTTP/2": lambda o: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + o.hidden,
    "an expectation nobody knows": with_line(b"Expect: 200-ok"),
    "two expectations": with_line(b"Expect: 100-continue", b"Expect: 100-continue"),
    "a null byte in a header": with_line(b"X-A: 1\x00"),
    "a null byte in a name": with_line(b"X-\x00A: 1"),
    "a letter beyond ASCII in a name": with_line("X-\u00e9: 1".encode("latin-1")),
    "a bare carriage return in a header": with_line(b"X-A: 1\r2"),
    "a folded header": with_line(b"X-A: 1\r\n 2"),
    "a header without a colon": with_line(b"nothing"),
    "a header without a name": with_line(b": 1"),
    "a name with a space": with_line(b"X A: 1"),
    "two keys": lambda o: o.plain(o.outer, b"X-MBX-APIKEY: " + o.key) + o.hidden,
    "two content types": with_line(b"Content-Type: text/plain"),
    "a TLS greeting": lambda o: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + o.hidden,
}

FLOODS: Final[dict[str, Payload]] = {
    "a header of 20 KB": with_line(b"X-A: " + b"a" * 20_000),
    "a header of 100 KB": with_line(b"X-A: " + b"a" * 100_000),
    "a header of 1 MB": with_line(b"X-A: " + b"a" * 1_000_000),
    "a name of 20 KB": with_line(b"a" * 20_000 + b": 1"),
    "500 headers": with_line(*(b"X-%d: 1" % number for number in range(500))),
    "a target of 20 KB": with_first(b"POST %s?" + b"a" * 20_000 + b" HTTP/1.1"),
}
"""Nothing about them is ambiguous; they are larger than anybody should read."""

UPGRADE: Final = with_line(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
"""What a server may leave aside (RFC 9110, section 7.8) or refuse, and must not take up."""

# name -> (payload, whether the first order counts, whether the second does)
CONTROLS: Final[dict[str, tuple[Payload, bool, bool]]] = {
    "one after another": (with_line(), True, True),
    "a length behind a tab": (measured(b"Content-Length:\t%d"), True, True),
    "a length before spaces": (measured(b"Content-Length: %d  "), True, True),
    "names in capitals": (measured(b"CONTENT-LENGTH: %d"), True, True),
    "a coding's name with an underscore": (with_line(b"Transfer_Encoding: chunked"), True, True),
    "a length's name with an underscore": (with_line(b"Content_Length: 0"), True, True),
    "willing to read trailers": (with_line(b"TE: trailers"), True, True),
    "a letter beyond ASCII in a value": (with_line("X-A: \u00e9".encode("latin-1")), True, True),
    "an order in a header's value": (with_line(b"X-A: POST /binanceusdm/fapi/v1/order HTTP/1.1"), True, True),
    "another method by a header": (with_line(b"X-HTTP-Method-Override: DELETE"), True, True),
    "a good expectation": (with_line(b"Expect: 100-continue"), True, True),
    "closed behind the first": (with_line(b"Connection: close"), True, False),
    "HTTP/1.0 and so closed": (with_first(b"POST %s HTTP/1.0"), True, False),
    "the second is the first one's body": (lambda o: o.plain(o.hidden), False, False),
    "the second is the body of a read": (
        lambda o: o.plain(o.hidden, first=b"GET /binanceusdm/fapi/v1/time HTTP/1.1"),
        False,
        False,
    ),
    "a first one without a body": (lambda o: o.head() + o.hidden, False, True),
    "the second is cut short": (lambda o: o.plain(o.outer) + o.hidden[:-1], True, False),
}
