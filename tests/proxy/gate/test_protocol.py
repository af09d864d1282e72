"""The bots' door on a real socket: what two servers could frame differently reaches nobody."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from proxy.gate import protocol
from proxy.gate.framing import BODY_BYTES_MAX, HEADER_BYTES_MAX, HEADERS_MAX
from proxy.gate.protocol import StrictHttpProtocol

HOST = b"Host: guard\r\n"


class Door:
    """A server with the strict protocol whose application remembers each request that was whole."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes, bytes]] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            self._answer,
            http=StrictHttpProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            proxy_headers=False,
            log_config=None,
            timeout_keep_alive=30,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._listening]))

    async def _answer(self, scope, receive, send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.seen.append((scope["method"], scope["raw_path"], body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    def connect(self) -> socket.socket:
        return socket.create_connection(self._listening.getsockname(), timeout=5)

    def say(self, *parts: bytes) -> bytes:
        """Send ``parts`` one after another, and read until the server closes or has nothing more to say."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
                time.sleep(0.02 if len(parts) > 1 else 0)
            return until_quiet(connection)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listening.close()


def until_quiet(connection: socket.socket, quiet_s: float = 0.15) -> bytes:
    answer = b""
    connection.settimeout(quiet_s)
    try:
        while part := connection.recv(65536):
            answer += part
    except (TimeoutError, ConnectionResetError):
        pass
    return answer


@pytest.fixture(scope="module")
def running():
    door = Door()
    yield door
    door.stop()


@pytest.fixture
def door(running):
    running.seen.clear()
    return running


def a_get(*headers: bytes, target: bytes = b"/x", version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET " + target + b" " + version + b"\r\n" + HOST + b"".join(line + b"\r\n" for line in headers) + b"\r\n"


def a_post(body: bytes, *headers: bytes) -> bytes:
    lines = (b"Content-Length: " + str(len(body)).encode(), *headers)
    return b"POST /x HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def test_a_plain_request_is_answered(door):
    assert door.say(a_post(b"a=1")).startswith(b"HTTP/1.1 200")
    assert door.seen == [("POST", b"/x", b"a=1")]


CHUNKED = b"Transfer-Encoding: chunked\r\n"
HOSTILE = {
    "length and chunked": b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "chunked and length": b"POST /x HTTP/1.1\r\n" + HOST + CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n",
    "chunked": b"POST /x HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n3\r\na=1\r\n0\r\n\r\n",
    "identity": b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: identity\r\n\r\n",
    "chunked, spelled oddly": b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n",
    "two lengths": b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\na=1x",
    "the same length twice": b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\na=1",
    "a list of lengths": b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 3, 3\r\n\r\na=1",
    "a signed length": b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\na=1",
    "a negative length": b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: -3\r\n\r\na=1",
    "a hexadecimal length": b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 0x3\r\n\r\na=1",
    "an endless length": b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\na=1",
    "no Host": b"GET /x HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "the same Host twice": b"GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "two API keys": a_get(b"X-MBX-APIKEY: a", b"X-MBX-APIKEY: b"),
    "a folded header": a_get(b"X-A: 1\r\n 2"),
    "a folded header with a tab": a_get(b"X-A: 1\r\n\t2"),
    "a space before the colon": a_get(b"Content-Length : 3"),
    "a header without a name": a_get(b": 1"),
    "a header without a colon": a_get(b"nothing"),
    "a null byte in a header": a_get(b"X-A: \x001"),
    "a bare carriage return": a_get(b"X-A: 1\rX-B: 2"),
    "bare line feeds": b"GET /x HTTP/1.1\nHost: guard\n\n",
    "an absolute target": a_get(target=b"http://elsewhere/x"),
    "a fragment": a_get(target=b"/x#y"),
    "a fragment behind a query": a_get(target=b"/x?a=1#&b=2"),
    "an asterisk": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel": b"CONNECT guard:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "version 0.9": a_get(version=b"HTTP/0.9"),
    "version 1.2": a_get(version=b"HTTP/1.2"),
    "version 2.0": a_get(version=b"HTTP/2.0"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a method nobody knows": b"HACK /x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in lower case": b"get /x HTTP/1.1\r\n" + HOST + b"\r\n",
    "an expectation nobody knows": a_post(b"a=1", b"Expect: the-unexpected"),
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a header too many": a_get(*(b"X-%d: 1" % n for n in range(HEADERS_MAX))),
    "headers too large": a_get(b"X-A: " + b"a" * HEADER_BYTES_MAX),
    "a target too large": a_get(target=b"/" + b"a" * HEADER_BYTES_MAX),
    "a body too large": a_post(b"a" * (BODY_BYTES_MAX + 1)),
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_ambiguous_request_reaches_nobody_and_is_told_so(door, payload):
    answer = door.say(payload)
    assert door.seen == []
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'{"code":-1130,"msg":"GUARD malformed HTTP: ' in answer
    assert answer.count(b"Bad Request") == 1


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_behind_an_ambiguous_request_is_served(door, payload):
    door.say(payload + a_get(target=b"/smuggled"), a_get(target=b"/later"))
    assert door.seen == []


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_stands_before_it_is_served(door, payload):
    door.say(a_get(target=b"/before"), payload)
    assert [path for _, path, _ in door.seen] == [b"/before"]


def test_the_bounds_themselves_are_allowed(door):
    headers = [b"X-%d: 1" % n for n in range(HEADERS_MAX - 1)]
    assert door.say(a_get(*headers)).startswith(b"HTTP/1.1 200")
    assert door.say(a_post(b"a" * BODY_BYTES_MAX)).startswith(b"HTTP/1.1 200")


def test_two_good_requests_on_one_line_are_answered_in_order(door):
    answer = door.say(a_get(target=b"/one") + a_post(b"a=1") + a_get(target=b"/three"))
    assert answer.count(b"HTTP/1.1 200") == 3
    assert [path for _, path, _ in door.seen] == [b"/one", b"/x", b"/three"]


def test_a_request_in_single_bytes_is_one_request(door):
    with door.connect() as connection:
        for byte in a_post(b"a=1"):
            connection.sendall(bytes([byte]))
        until_quiet(connection)
    assert door.seen == [("POST", b"/x", b"a=1")]


def test_http_1_0_is_answered_and_closed(door):
    with door.connect() as connection:
        connection.sendall(a_get(version=b"HTTP/1.0"))
        connection.settimeout(2)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert b" 200 " in answer
    assert len(door.seen) == 1


def test_a_client_that_waits_for_100_continue_gets_it(door):
    with door.connect() as connection:
        connection.sendall(b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert until_quiet(connection).startswith(b"HTTP/1.1 100")
        connection.sendall(b"a=1")
        assert until_quiet(connection).startswith(b"HTTP/1.1 200")


def test_half_a_request_is_not_acted_upon(door):
    with door.connect() as connection:
        connection.sendall(a_post(b"a=1")[:-1])
        connection.shutdown(socket.SHUT_WR)
        until_quiet(connection)
    assert door.seen == []


@pytest.fixture
def short_deadline(monkeypatch):
    monkeypatch.setattr(protocol, "REQUEST_DEADLINE_S", 0.2)


def closed_after(connection: socket.socket) -> float:
    started = time.monotonic()
    connection.settimeout(3)
    while connection.recv(65536):
        pass
    return time.monotonic() - started


@pytest.mark.parametrize(
    "half",
    [b"", b"GET /x HT", a_get()[:-2], a_post(b"a=1")[:-1]],
    ids=["a connection that says nothing", "half a line", "half the headers", "half a body"],
)
@pytest.mark.usefixtures("short_deadline")
def test_what_is_not_whole_in_time_is_closed(door, half):
    with door.connect() as connection:
        connection.sendall(half)
        assert closed_after(connection) < 2
    assert door.seen == []


@pytest.mark.usefixtures("short_deadline")
def test_a_byte_now_and_then_buys_no_time(door):
    started = time.monotonic()
    with door.connect() as connection, pytest.raises(OSError):
        for byte in a_post(b"a" * 1000):
            connection.sendall(bytes([byte]))
            time.sleep(0.02)
    assert time.monotonic() - started < 2
    assert door.seen == []


@pytest.mark.usefixtures("short_deadline")
def test_half_a_second_request_behind_a_whole_one_is_closed_in_time(door):
    with door.connect() as connection:
        connection.sendall(a_get() + a_get()[:-2])
        assert closed_after(connection) < 2
    assert len(door.seen) == 1


@pytest.mark.usefixtures("short_deadline")
def test_a_connection_between_two_requests_may_rest(door):
    with door.connect() as connection:
        connection.sendall(a_get())
        until_quiet(connection)
        time.sleep(0.4)
        connection.sendall(a_get())
        assert until_quiet(connection).startswith(b"HTTP/1.1 200")


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """A door with room for eight connections."""
    monkeypatch.setattr("proxy.gate.connections.CONNECTIONS_MAX", 8)
    door = Door()
    yield door
    door.stop()


def test_a_crowd_that_never_finishes_a_request_keeps_nobody_out(narrow: Door) -> None:
    request = b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n"
    with narrow.connect() as known:
        known.sendall(request)
        assert b"200" in until_quiet(known)
        crowd = [narrow.connect() for _ in range(20)]
        try:
            for newcomer in range(2):
                assert narrow.say(request).startswith(b"HTTP/1.1 200"), newcomer
            known.sendall(request)
            assert b"200" in until_quiet(known), "whoever has been served is served again"
            assert [is_closed(each) for each in crowd[:10]] == [True] * 10, "the oldest strangers go"
            assert not is_closed(crowd[-1])
        finally:
            for each in crowd:
                each.close()


def test_a_crowd_that_was_served_once_keeps_nobody_out_either(narrow: Door) -> None:
    request = b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n"
    crowd = []
    try:
        for _ in range(12):
            crowd.append(narrow.connect())
            crowd[-1].sendall(request)
            assert b"200" in until_quiet(crowd[-1])
        assert narrow.say(request).startswith(b"HTTP/1.1 200")
        assert [is_closed(each) for each in crowd[:4]] == [True] * 4, "whoever has been idle longest goes"
        assert not is_closed(crowd[-1])
    finally:
        for each in crowd:
            each.close()


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


async def test_who_asks_and_does_not_read_is_not_answered_on() -> None:
    """What waits unread stays within the bound, whatever else is asked, and goes on once it is read."""
    answer = b"x" * (4 * protocol.WRITE_BYTES_MAX)
    served = 0

    async def large(scope, receive, send) -> None:
        nonlocal served
        await receive()
        served += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": answer})

    config = uvicorn.Config(
        large, http=StrictHttpProtocol, ws="none", lifespan="off", interface="asgi3", log_config=None
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        async with asyncio.timeout(30):
            while not server.started:
                await asyncio.sleep(0.01)
            reader, writer = await asyncio.open_connection(*listening.getsockname(), limit=1024)
            for _ in range(12):
                writer.write(b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0.02)
            (connection,) = server.server_state.connections
            assert served < 12
            assert connection.transport.get_write_buffer_size() <= 2 * len(answer)
            unread = served
            while served < 12:
                assert await reader.read(65_536)
            assert served > unread
            writer.close()
            server.should_exit = True
            await serving
