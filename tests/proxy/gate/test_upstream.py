"""One request out, one reply back, and honesty about what is not known: the law of both clients, on loopback."""

from __future__ import annotations

import asyncio

import pytest

from proxy import under_way
from proxy.gate import upstream as module
from proxy.gate.upstream import FenceClosed, HttpxUpstream, NotSent, OutboundRequest, OutcomeUnknown
from proxy.gate.wire.client import WireUpstream
from tests.support.venue_of_bytes import OK, a_venue, an_order, answering


@pytest.fixture(params=[HttpxUpstream, WireUpstream], ids=["httpx", "wire"])
def client_of_its_kind(request):
    return request.param


@pytest.fixture
async def upstream(client_of_its_kind):
    client = client_of_its_kind()
    yield client
    await client.aclose()


async def test_a_reply_comes_back_whole(upstream):
    async with a_venue(answering(OK)) as venue:
        reply = await upstream.send(an_order(venue), None)
    assert (reply.status, reply.body, reply.headers["x-mbx-used-weight-1m"]) == (200, b"{}", "7")


async def test_what_goes_out_is_ours_alone(upstream):
    async with a_venue(answering(OK)) as venue:
        await upstream.send(an_order(venue), None)
    head, _, body = venue.received.partition(b"\r\n\r\n")
    names = {line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
    assert head.startswith(b"POST /fapi/v1/order HTTP/1.1\r\n")
    assert names == {
        b"host",
        b"accept",
        b"accept-encoding",
        b"user-agent",
        b"connection",
        b"content-length",
        b"content-type",
        b"x-mbx-apikey",
    }
    assert body == b"symbol=BTCUSDT&signature=s3cr3t"


async def test_a_closed_fence_lets_not_one_byte_out(upstream):
    def closed():
        raise FenceClosed("killed")

    async with a_venue(answering(OK)) as venue:
        with pytest.raises(FenceClosed):
            await upstream.send(an_order(venue), closed)
        await asyncio.sleep(0.05)
        assert venue.received == b""
        assert (await upstream.send(an_order(venue), None)).status == 200


async def test_a_fence_closes_a_warm_connection_too(upstream):
    def closed():
        raise FenceClosed("killed")

    async with a_venue(answering(OK)) as venue:
        await upstream.send(an_order(venue), None)
        before = venue.received
        with pytest.raises(FenceClosed):
            await upstream.send(an_order(venue), closed)
        await asyncio.sleep(0.05)
        assert venue.received == before


async def test_the_fence_is_asked_once_the_connection_stands(upstream):
    """Connecting takes time in which a kill may come: the question is asked after it."""
    seen = []

    def open_then_gone():
        seen.append(venue.received)
        return lambda: None

    async with a_venue(answering(OK)) as venue:
        await upstream.send(an_order(venue), open_then_gone)
    assert seen == [b""]


async def test_who_went_through_the_fence_is_counted_out_when_its_last_byte_has_left(upstream):
    counted = []

    def enter():
        counted.append("in")
        return lambda: counted.append("out")

    async with a_venue(answering(OK)) as venue:
        await upstream.send(an_order(venue), enter)
    assert counted[:2] == ["in", "out"]


async def test_who_went_through_the_fence_and_never_got_to_its_last_byte_is_counted_out_too(monkeypatch):
    upstream, counted = HttpxUpstream(), []

    def enter():
        counted.append("in")
        return lambda: counted.append("out")

    async def breaks(*_: object, **__: object) -> None:
        raise OSError("the connection broke")

    monkeypatch.setattr("httpcore._async.http11.AsyncHTTP11Connection._send_request_body", breaks)
    async with a_venue(answering(OK)) as venue:
        with pytest.raises(OutcomeUnknown):
            await upstream.send(an_order(venue), enter)
    await upstream.aclose()
    assert set(counted) == {"in", "out"} and counted[0] == "in"


async def test_a_thousand_closed_fences_leave_the_pool_usable(upstream, monkeypatch):
    def closed():
        raise FenceClosed("killed")

    async with a_venue(answering(OK)) as venue:
        for _ in range(module.CONNECTIONS_MAX + 20):
            with pytest.raises(FenceClosed):
                await upstream.send(an_order(venue), closed)
        assert (await upstream.send(an_order(venue), None)).status == 200


async def test_a_refused_connection_was_not_sent(upstream):
    async with a_venue(answering(OK)) as venue:
        pass
    with pytest.raises(NotSent, match="ConnectError"):
        await upstream.send(an_order(venue), None)


async def test_a_name_nobody_knows_was_not_sent(upstream):
    request = OutboundRequest(method="POST", url="http://venue.invalid/x", body="", api_key=None)
    with pytest.raises(NotSent):
        await upstream.send(request, None)


async def cut_before_answering(venue, reader, writer):
    await venue.request(reader)


async def cut_in_the_head(venue, reader, writer):
    await venue.request(reader)
    writer.write(OK[:20])
    await writer.drain()


async def cut_in_the_body(venue, reader, writer):
    await venue.request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}")
    await writer.drain()


async def babble(venue, reader, writer):
    await venue.request(reader)
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    await writer.drain()


async def silence(venue, reader, writer):
    await venue.request(reader)
    await asyncio.sleep(3)


@pytest.mark.parametrize("behaviour", [cut_before_answering, cut_in_the_head, cut_in_the_body, babble])
async def test_half_an_answer_is_no_answer(upstream, behaviour):
    async with a_venue(behaviour) as venue:
        with pytest.raises(OutcomeUnknown):
            await upstream.send(an_order(venue), None)
    assert venue.connections == 1, "placing is never retried"


async def test_silence_is_an_unknown_outcome(monkeypatch, client_of_its_kind):
    monkeypatch.setattr(under_way, "REPLY_TIMEOUT_S", 0.1)
    upstream = client_of_its_kind()
    async with a_venue(silence) as venue:
        with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
            await upstream.send(an_order(venue), None)
    await upstream.aclose()


async def test_a_pool_without_room_was_not_sent(monkeypatch, client_of_its_kind):
    monkeypatch.setattr(module, "CONNECTIONS_MAX", 1)
    monkeypatch.setattr(under_way, "POOL_TIMEOUT_S", 0.1)
    monkeypatch.setattr(under_way, "REPLY_TIMEOUT_S", 1.0)
    upstream = client_of_its_kind()
    async with a_venue(silence) as venue:
        first = asyncio.create_task(upstream.send(an_order(venue), None))
        await asyncio.sleep(0.05)
        with pytest.raises(NotSent, match="PoolTimeout"):
            await upstream.send(an_order(venue), None)
        with pytest.raises(OutcomeUnknown):
            await first
    await upstream.aclose()


async def test_an_answer_beyond_any_size_is_no_answer(upstream, monkeypatch):
    monkeypatch.setattr(module, "REPLY_BYTES_MAX", 1000)
    fits = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
    async with a_venue(answering(fits)) as venue:
        assert len((await upstream.send(an_order(venue), None)).body) == 1000
    too_large = b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001
    async with a_venue(answering(too_large)) as venue:
        with pytest.raises(OutcomeUnknown):
            await upstream.send(an_order(venue), None)


async def test_a_redirect_is_an_answer_and_leads_nowhere(upstream):
    async with a_venue(answering(OK)) as elsewhere:
        reply = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {elsewhere.url}/\r\nContent-Length: 0\r\n\r\n"
        async with a_venue(answering(reply.encode())) as venue:
            assert (await upstream.send(an_order(venue), None)).status == 307
        assert elsewhere.connections == 0


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"])
async def test_the_environment_s_proxy_sees_nothing(monkeypatch, client_of_its_kind, name):
    async with a_venue(answering(OK)) as proxy, a_venue(answering(OK)) as venue:
        monkeypatch.setenv(name, proxy.url)
        upstream = client_of_its_kind()
        await upstream.send(an_order(venue), None)
        await upstream.aclose()
        assert (proxy.connections, venue.connections) == (0, 1)


async def test_the_environment_s_netrc_adds_no_credentials(upstream, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("default login me password pw\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with a_venue(answering(OK)) as venue:
        await upstream.send(an_order(venue), None)
    assert b"authorization" not in venue.received.lower()


async def test_cookies_of_the_venue_are_not_sent_back(upstream):
    reply = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n{}"
    async with a_venue(answering(reply)) as venue:
        for _ in range(2):
            await upstream.send(an_order(venue), None)
    assert b"cookie" not in venue.received.lower()


async def test_a_warm_connection_is_used_again(upstream):
    async with a_venue(answering(OK)) as venue:
        for _ in range(3):
            await upstream.send(an_order(venue), None)
        assert venue.connections == 1


async def test_a_connection_the_venue_closed_meanwhile_costs_no_order(upstream):
    async with a_venue(answering(OK, times=1)) as venue:
        await upstream.send(an_order(venue), None)
        await asyncio.sleep(0.05)
        assert (await upstream.send(an_order(venue), None)).status == 200
        assert venue.connections == 2


async def test_a_cancelled_sender_leaves_the_pool_usable(upstream):
    async with a_venue(silence) as venue:
        task = asyncio.create_task(upstream.send(an_order(venue), None))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with a_venue(answering(OK)) as venue:
        assert (await upstream.send(an_order(venue), None)).status == 200


def test_a_request_shows_neither_key_nor_signature():
    request = OutboundRequest(method="GET", url="https://h/p?signature=s3cr3t", body="sig=s3cr3t", api_key="realkey")
    assert repr(request) == "OutboundRequest(method='GET', url='https://h/p')"
