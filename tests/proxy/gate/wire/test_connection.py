"""One write behind the fence, and a venue that does everything a venue must not."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable

import pytest

from proxy import under_way
from proxy.gate.upstream import FenceClosed, NotSent, OutboundRequest, OutcomeUnknown
from proxy.gate.wire.client import WireUpstream
from proxy.gate.wire.connection import Connection
from tests.support.venue_of_bytes import OK, Behaviour, Venue, a_venue, an_order, answering

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


class Alone:
    """A keeper of one connection, and of what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def idle(self, connection: Connection) -> None:
        self.told.append("idle")

    def gone(self, connection: Connection) -> None:
        self.told.append("gone")


class Peer:
    """The venue's end as a bare socket, read without the loop: what is there has left the gate."""

    def __init__(self) -> None:
        self.keeper = Alone()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    async def connected(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(self.keeper, None, 1000), *self._listening.getsockname()
        )
        await connection.ready
        self.socket, _ = self._listening.accept()
        self.socket.setblocking(False)
        return connection

    def read(self) -> bytes:
        try:
            return self.socket.recv(1 << 20)
        except BlockingIOError:
            return b""

    async def read_to_the_end(self) -> bytes:
        parts = []
        self.socket.setblocking(True)
        self.socket.settimeout(5)
        try:
            while part := await asyncio.to_thread(self.socket.recv, 1 << 20):
                parts.append(part)
        except ConnectionError:
            pass  # Cut off, which is an end as well.
        return b"".join(parts)

    def close(self) -> None:
        self.socket.close()
        self._listening.close()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


async def test_the_whole_request_has_left_before_the_fence_is_told_so(peer: Peer) -> None:
    """Without a turn of the loop: what a loop writes later, a kill may overtake."""
    connection, seen = await peer.connected(), []

    def fence() -> Callable[[], None]:
        seen.append(peer.read())
        return lambda: seen.append(peer.read())

    reply = connection.exchange(b"one request", fence, 5.0)
    assert seen == [b"", b"one request"]
    peer.socket.send(OK)
    assert (await reply).body == b"{}"
    assert peer.keeper.told == ["idle"]
    connection.drop("the test ends")


async def test_what_the_kernel_does_not_take_at_once_never_leaves(peer: Peer) -> None:
    """A venue that reads nothing: the fence is told that the last byte is out, and then none may follow."""
    connection, left = await peer.connected(), []
    request = b"x" * (64 << 20)
    reply = connection.exchange(request, lambda: lambda: left.append(connection.gone), 5.0)
    assert left == [True], "given up before the fence is told"
    with pytest.raises(OutcomeUnknown, match="WriteError"):
        await reply
    assert len(await peer.read_to_the_end()) < len(request)
    assert peer.keeper.told == ["gone"]


async def test_a_closed_fence_leaves_the_connection_as_it_was(peer: Peer) -> None:
    connection = await peer.connected()

    def closed() -> Callable[[], None]:
        raise FenceClosed("killed")

    with pytest.raises(FenceClosed):
        connection.exchange(b"an entry", closed, 5.0)
    assert connection.fit() and peer.read() == b""
    reply = connection.exchange(b"an exit", None, 5.0)
    assert peer.read() == b"an exit"
    connection.drop("the test ends")
    with pytest.raises(OutcomeUnknown):
        await reply


async def test_two_requests_are_never_on_one_connection(peer: Peer) -> None:
    connection = await peer.connected()
    reply = connection.exchange(b"one", None, 5.0)
    with pytest.raises(RuntimeError):
        connection.exchange(b"two", None, 5.0)
    assert peer.read() == b"one"
    connection.drop("the test ends")
    with pytest.raises(OutcomeUnknown):
        await reply


@pytest.mark.parametrize("sent", [b"x", OK, b""], ids=["a byte", "a reply", "the end"])
async def test_what_the_loop_has_not_read_yet_makes_a_connection_unfit(peer: Peer, sent: bytes) -> None:
    """Or it would be taken for the answer to the next order."""
    connection = await peer.connected()
    assert connection.fit()
    if sent:
        peer.socket.send(sent)
    else:
        peer.socket.shutdown(socket.SHUT_WR)
    assert not connection.fit()
    async with asyncio.timeout(5):
        while not connection.gone:
            await asyncio.sleep(0.001)
    assert peer.keeper.told == ["gone"]


async def test_small_packets_are_not_held_back(peer: Peer) -> None:
    connection = await peer.connected()
    assert connection._transport is not None
    bare = socket.socket(fileno=socket.dup(connection._transport.get_extra_info("socket").fileno()))
    assert bare.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    bare.close()
    connection.drop("the test ends")


# A venue that misbehaves: nothing is sent twice, nothing is believed, and the next order is none the worse for it.


async def reset(venue: Venue, reader: Reader, writer: Writer) -> None:
    await venue.request(reader)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def half_closed(venue: Venue, reader: Reader, writer: Writer) -> None:
    await venue.request(reader)
    writer.write_eof()
    await asyncio.sleep(2)


async def until_the_end_of_the_connection(venue: Venue, reader: Reader, writer: Writer) -> None:
    await venue.request(reader)
    writer.write(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"orderId": 1}')
    await writer.drain()


async def for_ever_in_the_head(venue: Venue, reader: Reader, writer: Writer) -> None:
    await venue.request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Header: y\r\n" * 100)
        await writer.drain()


UNBELIEVABLE: dict[str, Behaviour] = {
    "reset": reset,
    "half closed": half_closed,
    "until the end of the connection": until_the_end_of_the_connection,
    "for ever in the head": for_ever_in_the_head,
    "two replies": answering(OK + OK),
    "a reply and a half": answering(OK + OK[:10]),
    "an answer in between": answering(b"HTTP/1.1 100 Continue\r\n\r\n" + OK),
    "compressed": answering(OK.replace(b"X-Mbx", b"Content-Encoding: gzip\r\nX-Mbx")),
    "two lengths": answering(OK.replace(b"X-Mbx", b"Transfer-Encoding: chunked\r\nX-Mbx")),
    "garbage": answering(bytes(range(256))),
}


@pytest.mark.parametrize("behaviour", UNBELIEVABLE.values(), ids=UNBELIEVABLE.keys())
async def test_what_cannot_be_believed_is_not_known(upstream: WireUpstream, behaviour: Behaviour) -> None:
    async with a_venue(behaviour) as venue:
        with pytest.raises(OutcomeUnknown):
            await upstream.send(an_order(venue), None)
        assert (venue.connections, venue.received.count(b"POST")) == (1, 1)


async def test_a_drip_is_no_answer_however_long_it_goes_on(
    upstream: WireUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is for the whole reply, not for each byte of it."""
    monkeypatch.setattr(under_way, "REPLY_TIMEOUT_S", 0.3)

    async def drip(venue: Venue, reader: Reader, writer: Writer) -> None:
        await venue.request(reader)
        for number in range(len(OK)):
            writer.write(OK[number : number + 1])
            await asyncio.sleep(0.05)

    async with a_venue(drip) as venue:
        with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
            await upstream.send(an_order(venue), None)


async def test_who_hangs_up_at_once_is_not_asked_twice(upstream: WireUpstream) -> None:
    """Whether the order was read before is not known, unless it never left."""

    async def hang_up(venue: Venue, reader: Reader, writer: Writer) -> None:
        writer.transport.abort()

    async with a_venue(hang_up) as venue:
        for _ in range(5):
            with pytest.raises((OutcomeUnknown, NotSent)):
                await upstream.send(an_order(venue), None)
        assert venue.connections <= 5 and venue.received == b""


async def test_a_late_reply_meets_nobody(upstream: WireUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to the first order comes when the second is sent: it is not the second one's."""
    monkeypatch.setattr(under_way, "REPLY_TIMEOUT_S", 0.2)

    async def late(venue: Venue, reader: Reader, writer: Writer) -> None:
        await venue.request(reader)
        if venue.connections == 1:
            await asyncio.sleep(0.25)
        writer.write(OK.replace(b"{}", b"%d" % (10 + venue.connections)))
        await writer.drain()
        await asyncio.sleep(1)

    async with a_venue(late) as venue:
        with pytest.raises(OutcomeUnknown):
            await upstream.send(an_order(venue), None)
        assert (await upstream.send(an_order(venue), None)).body == b"12"


async def test_a_reply_nobody_asked_for_is_not_the_next_one_s(upstream: WireUpstream) -> None:
    async def once_more(venue: Venue, reader: Reader, writer: Writer) -> None:
        while True:
            await venue.request(reader)
            writer.write(OK)
            await asyncio.sleep(0.02)
            writer.write(OK.replace(b"{}", b"[]"))

    async with a_venue(once_more) as venue:
        for _ in range(3):
            assert (await upstream.send(an_order(venue), None)).body == b"{}"
            await asyncio.sleep(0.05)
        assert venue.connections == 3


async def test_an_answer_before_the_question_is_none(upstream: WireUpstream) -> None:
    """Written as soon as the connection stands: whichever comes first, nothing is believed and nothing is repeated."""

    async def eager(venue: Venue, reader: Reader, writer: Writer) -> None:
        writer.write(OK)
        await venue.request(reader)
        await asyncio.sleep(0.2)

    async with a_venue(answering(OK)) as honest, a_venue(eager) as venue:
        await upstream.send(an_order(honest), None)
        task = asyncio.create_task(upstream.keep_warm(venue.url))
        await asyncio.sleep(0.1)
        task.cancel()
        assert venue.connections >= 1 and venue.received == b""
        assert upstream._pools[venue.url].take() is None


async def test_a_cancelled_order_s_connection_is_not_used_again(upstream: WireUpstream) -> None:
    async def slow(venue: Venue, reader: Reader, writer: Writer) -> None:
        while True:
            await venue.request(reader)
            await asyncio.sleep(0.1)
            writer.write(OK)

    async with a_venue(slow) as venue:
        await upstream.send(an_order(venue), None)
        task = asyncio.create_task(upstream.send(an_order(venue), None))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await upstream.send(an_order(venue), None)
        assert venue.connections == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "/fapi/v1/order\r\nX-Evil: 1"},
        {"url": "/fapi/v1/order HTTP/1.1"},
        {"url": "/fapi/v1/\0"},
        {"url": "/fapi/v1/\u00e4"},
        {"api_key": "key\r\nX-Evil: 1"},
        {"api_key": "key\n"},
        {"api_key": ""},
        {"body": "symbol=\u00c4"},
        {"method": "POST /x HTTP/1.1\r\n"},
    ],
    ids=lambda changes: next(iter(changes)) + " " + ascii(next(iter(changes.values()))),
)
async def test_what_would_not_stay_in_its_line_is_not_sent_and_not_shown(
    upstream: WireUpstream, changes: dict[str, str]
) -> None:
    async with a_venue(answering(OK)) as venue:
        parts = {"method": "POST", "url": "/fapi/v1/order", "body": "a=b", "api_key": "key"} | changes
        request = OutboundRequest(
            method=parts["method"], url=venue.url + parts["url"], body=parts["body"], api_key=parts["api_key"]
        )
        with pytest.raises(NotSent) as trouble:
            await upstream.send(request, None)
        assert venue.connections == 0
    assert not any(len(each) > 3 and each in str(trouble.value) for each in changes.values())


@pytest.mark.parametrize(
    "url", ["ftp://h/x", "http://user:pw@h/x", "http:///x", "h/x", "http://h:port/x", "http://h h/x"]
)
async def test_what_is_no_venue_s_address_is_not_sent(upstream: WireUpstream, url: str) -> None:
    with pytest.raises(NotSent, match="UnsupportedProtocol"):
        await upstream.send(OutboundRequest(method="GET", url=url, body="", api_key=None), None)


async def test_requests_without_a_body_say_so_where_one_is_expected(upstream: WireUpstream) -> None:
    async with a_venue(answering(OK)) as venue:
        for method in ("POST", "PUT", "DELETE", "GET"):
            await upstream.send(OutboundRequest(method=method, url=f"{venue.url}/p?a=b", body="", api_key=None), None)
        heads = venue.received.decode().split("\r\n\r\n")[:-1]
    assert [head.split(" ")[0] for head in heads if "Content-Length: 0" in head] == ["POST", "PUT"]
    assert not any("Content-Type" in head for head in heads)
