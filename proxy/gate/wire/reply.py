"""One reply at a time, read strictly, without I/O: llhttp underneath, and these checks on top.

What two readers could read differently is no reply: two lengths, a length that only the end of the connection tells,
an answer in between (1xx), another version, a coding nobody asked for, anything behind the end. Better an outcome that
is not known, which is asked for, than one that belongs to another order.
"""

from __future__ import annotations

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from proxy.gate.upstream import UpstreamReply

HEADERS_MAX: Final = 64
"""Binance's replies have about twenty-five."""

HEAD_BYTES_MAX: Final = 32 * 1024

_WITHOUT_BODY: Final = (204, 304)
"""RFC 9112 section 6.3: they end with their head, whatever it says."""


_TOO_LARGE: Final = "more than any answer of this venue"


class NotAReply(Exception):
    """What came is no whole, unambiguous answer to one request. Its text holds nothing of what came."""


class ReplyReader:
    """Reads the replies of one connection, one after the other. Made for every connection anew.

    ``keeps_alive`` says, after a whole reply, whether the venue will answer another request on this connection.
    """

    __slots__ = (
        "_begun",
        "_body",
        "_complete",
        "_head_bytes",
        "_head_is_done",
        "_headers",
        "_length",
        "_parser",
        "_seen",
        "_size_max",
        "keeps_alive",
    )

    def __init__(self, body_bytes_max: int) -> None:
        self._size_max = body_bytes_max
        self._parser = HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """The next byte belongs to the reply to a new request."""
        self._begun = False
        self._head_is_done = False
        self._complete = False
        self.keeps_alive = False
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._head_bytes = 0
        self._length = 0
        self._seen = 0

    def feed(self, received: bytes) -> UpstreamReply | None:
        """The reply, once it is whole and nothing else has come with it.

        Raises ``NotAReply``; the connection is of no use then.
        """
        # llhttp keeps half a header, and reads any number of chunks of one byte: what it has seen is bounded, too.
        if self._seen > (self._size_max if self._head_is_done else 0) + HEAD_BYTES_MAX:
            raise NotAReply(_TOO_LARGE)
        self._seen += len(received)
        try:
            self._parser.feed_data(received)
        except HttpParserError as error:
            trouble = error.__context__
            raise trouble if isinstance(trouble, NotAReply) else NotAReply("not HTTP/1.1") from None
        except HttpParserUpgrade:
            raise NotAReply("another protocol") from None
        if not self._complete:
            return None
        return UpstreamReply(status=self._parser.get_status_code(), headers=self._headers, body=b"".join(self._body))

    # What llhttp calls, in this order. An exception of these stops it.

    def on_message_begin(self) -> None:
        """The first byte of a reply."""
        if self._begun:
            raise NotAReply("something behind the reply")
        self._begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, whole; of a trailer, too."""
        if self._head_is_done:
            raise NotAReply("a trailer")
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES_MAX or len(self._headers) >= HEADERS_MAX:
            raise NotAReply(_TOO_LARGE)
        key, text = name.lower().decode("latin-1"), value.decode("latin-1")
        earlier = self._headers.get(key)
        self._headers[key] = text if earlier is None else f"{earlier}, {text}"

    def on_headers_complete(self) -> None:
        """The head is whole: what follows must say where it ends, and be readable as it is."""
        self._head_is_done = True
        status, headers = self._parser.get_status_code(), self._headers
        if status < 200:
            raise NotAReply("an answer in between")
        if self._parser.get_http_version() != "1.1":
            raise NotAReply("another version of HTTP")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise NotAReply("a coding nobody asked for")
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if coding is None and length is None:
            if status not in _WITHOUT_BODY:
                raise NotAReply("a reply without a length")
        elif coding is not None and (length is not None or coding.lower() != "chunked"):
            raise NotAReply("two lengths")
        elif length is not None and not (length.isdecimal() and int(length) <= self._size_max):
            raise NotAReply(_TOO_LARGE)

    def on_body(self, part: bytes) -> None:
        """A part of the body, without what chunks add."""
        self._length += len(part)
        if self._length > self._size_max:
            raise NotAReply(_TOO_LARGE)
        self._body.append(part)

    def on_message_complete(self) -> None:
        """The last byte of the reply."""
        self._complete = True
        self.keeps_alive = self._parser.should_keep_alive()  # Only now: llhttp forgets the head directly after this.
