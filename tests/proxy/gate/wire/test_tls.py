"""TLS to the venue: names and authorities are checked, sessions taken up again, and one write is still one write."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.gate.upstream import FenceClosed, NotSent, OutcomeUnknown
from proxy.gate.wire.client import WireUpstream
from proxy.gate.wire.tls import trusted
from proxy.tls.authority import KeyPair, new_authority, new_certificate
from proxy.tls.names import Names, names_of
from tests.support.venue_of_bytes import OK, Venue, a_venue, an_order, answering

NAMES = names_of("guard.example")
OTHERS = Names(dns=("fapi.guard.example",), addresses=())
HOST = "localhost"


@pytest.fixture(scope="module")
def authority() -> KeyPair:
    return new_authority(NAMES, datetime.now(UTC))


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    return ssl.TLSVersion(request.param)


def a_side(authority: KeyPair, names: Names, version: ssl.TLSVersion, path: Path) -> ssl.SSLContext:
    pair = new_certificate(authority, names, datetime.now(UTC))
    path.write_bytes(pair.key + pair.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.minimum_version = context.maximum_version = version
    return context


@pytest.fixture
def serving(version: ssl.TLSVersion, authority: KeyPair, tmp_path: Path) -> ssl.SSLContext:
    """The venue's side, in one version of TLS."""
    return a_side(authority, NAMES, version, tmp_path / "pair.pem")


@pytest.fixture
def impostor(version: ssl.TLSVersion, authority: KeyPair, tmp_path: Path) -> ssl.SSLContext:
    """Somebody the authority knows, under another name."""
    return a_side(authority, OTHERS, version, tmp_path / "impostor.pem")


@pytest.fixture
async def client(authority: KeyPair) -> AsyncIterator[WireUpstream]:
    """One that trusts the authority of the tests."""
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    client = WireUpstream(tls=context)
    yield client
    await client.aclose()


async def test_orders_go_and_replies_come(client: WireUpstream, serving: ssl.SSLContext) -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000
    async with a_venue(answering(large), serving, HOST) as venue:
        for _ in range(3):
            assert len((await client.send(an_order(venue), None)).body) == 200_000
        assert (venue.connections, venue.received.count(b"signature=s3cr3t")) == (1, 3)


async def test_nothing_is_sent_to_who_shows_a_stranger_s_certificate(
    upstream: WireUpstream, serving: ssl.SSLContext
) -> None:
    async with a_venue(answering(OK), serving, HOST) as venue:
        with pytest.raises(NotSent, match="SSLCertVerificationError"):
            await upstream.send(an_order(venue), None)
        assert venue.received == b""


async def test_nothing_is_sent_to_who_has_another_name(client: WireUpstream, impostor: ssl.SSLContext) -> None:
    async with a_venue(answering(OK), impostor, HOST) as venue:
        with pytest.raises(NotSent, match="SSLCertVerificationError"):
            await client.send(an_order(venue), None)
        assert venue.received == b""


async def test_nothing_is_sent_to_who_speaks_no_tls(client: WireUpstream) -> None:
    async def greet(venue: Venue, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await reader.read()

    async with a_venue(greet) as venue:
        venue.url = venue.url.replace("http", "https")
        with pytest.raises(NotSent, match="SSLError"):
            await client.send(an_order(venue), None)


async def test_a_later_connection_takes_up_the_session_of_an_earlier(
    client: WireUpstream, serving: ssl.SSLContext
) -> None:
    """A handshake with one round trip less to verify."""
    taken_up = []

    async def once(venue: Venue, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken_up.append(writer.get_extra_info("ssl_object").session_reused)
        await venue.request(reader)
        writer.write(OK.replace(b"X-Mbx", b"Connection: close\r\nX-Mbx"))
        await writer.drain()

    async with a_venue(once, serving, HOST) as venue:
        for _ in range(4):
            await client.send(an_order(venue), None)
    assert taken_up == [False, True, True, True]


async def test_a_closed_fence_lets_nothing_out(client: WireUpstream, serving: ssl.SSLContext) -> None:
    def closed() -> None:
        raise FenceClosed("killed")

    async with a_venue(answering(OK), serving, HOST) as venue:
        await client.send(an_order(venue), None)
        before = venue.received
        with pytest.raises(FenceClosed):
            await client.send(an_order(venue), closed)  # type: ignore[arg-type]
        await asyncio.sleep(0.02)
        assert venue.received == before
        assert (await client.send(an_order(venue), None)).status == 200
        assert venue.connections == 1


@pytest.mark.parametrize("cut", [10, len(OK) - 1], ids=["in the head", "in the body"])
async def test_half_an_answer_is_no_answer(client: WireUpstream, serving: ssl.SSLContext, cut: int) -> None:
    async def half(venue: Venue, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await venue.request(reader)
        writer.write(OK[:cut])
        await writer.drain()

    async with a_venue(half, serving, HOST) as venue:
        with pytest.raises(OutcomeUnknown):
            await client.send(an_order(venue), None)
        assert venue.connections == 1


async def test_a_connection_the_venue_closed_meanwhile_costs_no_order(
    client: WireUpstream, serving: ssl.SSLContext
) -> None:
    async with a_venue(answering(OK, times=1), serving, HOST) as venue:
        for _ in range(3):
            assert (await client.send(an_order(venue), None)).status == 200
            await asyncio.sleep(0.05)
        assert venue.connections == 3


def test_whom_to_trust_is_certifi_s_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As httpx does it; a file of the environment adds nobody."""
    (tmp_path / "none.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    trusted.cache_clear()
    context = trusted()
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
    assert len(context.get_ca_certs()) > 50
