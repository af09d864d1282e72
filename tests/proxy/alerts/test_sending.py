"""What apprise really sends, to a real webhook and a real mail server, and that it keeps its mouth shut."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_string
from itertools import repeat
from types import SimpleNamespace

import pytest
import requests

from proxy.alerts import sending
from proxy.alerts.sending import ChannelFailed, Sender, usable
from proxy.alerts.wording import Message
from proxy.severity import Severity
from proxy.vault.keys import Secret
from tests.support.alert_sinks import a_mailbox, a_webhook

MESSAGE = Message(severity=Severity.KILL, title="[KILL LEVEL] desk is stopped", body="By <ann> & ben\nLook: /kill")


async def test_a_webhook_gets_title_and_text() -> None:
    with a_webhook() as hook:
        sender = Sender(Secret(hook.url))
        await sender.send(MESSAGE)
        await sender.send(MESSAGE)
    assert [(each.title, each.body) for each in hook.arrived] == [(MESSAGE.title, MESSAGE.body)] * 2


async def test_a_mail_server_gets_a_mail() -> None:
    with a_mailbox() as box:
        await Sender(Secret(box.url)).send(MESSAGE)
    (mail,) = box.mails
    assert "Subject: [KILL LEVEL] desk is stopped" in mail and "duty@perpguard.test" in mail


@pytest.mark.parametrize("status", [404, 500])
async def test_a_server_that_refuses_is_a_failure(status: int) -> None:
    with a_webhook() as hook:
        hook.status = status
        with pytest.raises(ChannelFailed, match="not reached, or it refused"):
            await Sender(Secret(hook.url)).send(MESSAGE)


@pytest.mark.parametrize("status", [301, 302, 303])
@pytest.mark.parametrize("wish", ["", "?redirect=yes"])
async def test_a_redirect_is_followed_nowhere_and_is_no_message_taken(status: int, wish: str) -> None:
    with a_webhook() as hook:
        hook.status = status
        with pytest.raises(ChannelFailed, match="not reached, or it refused"):
            await Sender(Secret(hook.url + wish)).send(MESSAGE)


async def test_no_proxy_variable_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with a_webhook() as hook:
        await Sender(Secret(hook.url)).send(MESSAGE)
    assert len(hook.arrived) == 1


def test_whoever_else_asks_by_requests_is_answered_as_ever() -> None:
    with a_webhook() as hook:
        body = {"title": "t", "message": "m"}
        answer = requests.post(hook.url.replace("json://", "http://"), json=body, timeout=10)
    assert answer.ok and answer.raw.headers["server"] == answer.headers["server"]


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"


@contextmanager
def an_endless_answer(head: bytes, piece: bytes, pause_s: float) -> Iterator[tuple[str, list[int]]]:
    """A webhook that never comes to the end of its answer: its URL, and the sizes of what it could send."""
    sent: list[int] = []
    over = threading.Event()

    def serve(caller: socket.socket) -> None:
        with caller, suppress(OSError):
            caller.recv(65_536)
            caller.sendall(head)
            for each in repeat(piece):
                if over.wait(pause_s):
                    return
                caller.sendall(each)
                sent.append(len(each))

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"json://127.0.0.1:{server.getsockname()[1]}/x", sent
        finally:
            over.set()


async def test_a_malformed_header_brings_no_address_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def answer() -> None:
        with suppress(OSError):
            while True:
                caller, _ = server.accept()
                with caller:
                    caller.recv(65_536)
                    caller.sendall(b"HTTP/1.1 200 OK\r\nno colon in this line\r\nContent-Length: 2\r\n\r\nok")

    caplog.set_level(logging.DEBUG)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, daemon=True).start()
        with suppress(ChannelFailed):
            await Sender(Secret(f"json://127.0.0.1:{server.getsockname()[1]}/T0KEN")).send(MESSAGE)
    assert "T0KEN" not in caplog.text


async def test_an_answer_without_end_fills_no_memory() -> None:
    with an_endless_answer(HEAD + b"\r\n", b"x" * 262_144, 0) as (url, sent):
        with pytest.raises(ChannelFailed, match="not reached, or it refused"):
            await Sender(Secret(url)).send(MESSAGE)
        time.sleep(0.1)
        assert sum(sent) < 32 * 1024 * 1024, "what the sockets hold on both sides, and no more"


@pytest.mark.parametrize("head", [HEAD + b"\r\n", HEAD + b"x-endless: "], ids=["the body", "a header"])
async def test_an_answer_that_drips_for_ever_holds_no_thread(monkeypatch: pytest.MonkeyPatch, head: bytes) -> None:
    monkeypatch.setattr(sending, "ATTEMPT_S", 0.4)
    with an_endless_answer(head, b"x", 0.02) as (url, sent):
        sender = Sender(Secret(url))
        with pytest.raises(ChannelFailed, match="no answer within"):
            await sender.send(MESSAGE)
        (thread,) = sender._threads
        thread.join(2)
        assert sent and not thread.is_alive()


async def test_a_server_that_hangs_is_given_up_in_time_and_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    hung = threading.Event()
    monkeypatch.setattr(sending, "ATTEMPT_S", 0.02)
    monkeypatch.setattr(sending, "_notify", lambda url, message: hung.wait(30))
    sender = Sender(Secret("json://127.0.0.1/x"))
    for _ in range(sending.STUCK_MAX):
        with pytest.raises(ChannelFailed, match="no answer within"):
            await sender.send(MESSAGE)
    with pytest.raises(ChannelFailed, match="answers nothing"):
        await sender.send(MESSAGE)
    hung.set()


async def test_no_thread_to_be_had_is_a_failure_of_the_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sender = Sender(Secret("json://127.0.0.1/x"))
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", start)
        for _ in range(sending.STUCK_MAX + 1):
            with pytest.raises(ChannelFailed, match="no more threads"):
                await sender.send(MESSAGE)
    with a_webhook() as hook:
        sender._url = Secret(hook.url)
        await sender.send(MESSAGE)
    assert len(hook.arrived) == 1, "none of them counts as stuck"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("equity <limit of 5000 and margin >80%", "equity &lt;limit of 5000 and margin &gt;80%"),
        ("<a href='http://evil.test'>look</a> & <b", "&lt;a href='http://evil.test'&gt;look&lt;/a&gt; &amp; &lt;b"),
    ],
    ids=["a comparison", "a link"],
)
async def test_telegram_shows_what_was_written_and_takes_no_markup_of_it(
    monkeypatch: pytest.MonkeyPatch, written: str, sent: str
) -> None:
    posted: list[str] = []

    def post(url: str, data: str, **_: object) -> SimpleNamespace:
        posted.append(json.loads(data)["text"])
        return SimpleNamespace(status_code=200, content=b'{"ok":true}')

    monkeypatch.setattr("requests.post", post)
    url = Secret("tgram://123456789:abcdefg_hijklmnopqrstuvwxyzABCDEFGHI/12345678/")
    await Sender(url).send(Message(severity=Severity.KILL, title="t", body=written))
    (text,) = posted
    assert text.splitlines()[-1] == sent


async def test_what_is_longer_than_the_service_takes_goes_out_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    posted: list[str] = []

    def post(url: str, data: str, **_: object) -> SimpleNamespace:
        text = json.loads(data)["text"]
        posted.append(text)
        if len(text) > 4096:
            return SimpleNamespace(status_code=400, content=b'{"description":"message is too long"}')
        return SimpleNamespace(status_code=200, content=b'{"ok":true}')

    monkeypatch.setattr("requests.post", post)
    lines = [
        f"23:{number:02}:00 CRITICAL Over: The stream of main is down: the connection broke" for number in range(60)
    ]
    url = Secret("tgram://123456789:abcdefg_hijklmnopqrstuvwxyzABCDEFGHI/12345678/?overflow=upstream")
    await Sender(url).send(Message(severity=Severity.CRITICAL, title="In quiet hours", body="\n".join(lines)))
    assert len(posted) > 1
    assert all(f"23:{number:02}:00" in "".join(posted) for number in range(60)), "nothing of it is left out"


async def test_a_mail_in_html_is_escaped_once() -> None:
    with a_mailbox() as box:
        await Sender(Secret(f"{box.url}&format=html")).send(
            Message(severity=Severity.KILL, title="t", body="equity <5000 & <a href='http://evil.test'>look</a>")
        )
    (mail,) = box.mails
    found = message_from_string(mail)
    parts = {part.get_content_type(): part.get_payload(decode=True) for part in found.walk() if not part.is_multipart()}
    html = parts["text/html"]
    assert isinstance(html, bytes)
    assert b"&lt;5000" in html and b"look&lt;/a&gt;" in html and b"<a" not in html


async def test_a_url_cannot_have_a_failure_taken_for_success_or_tried_again_by_apprise() -> None:
    with a_webhook() as hook:
        hook.status = 500
        with pytest.raises(ChannelFailed, match="not reached, or it refused"):
            await Sender(Secret(f"{hook.url}?optional=yes&retry=2&wait=0.1")).send(MESSAGE)
    assert len(hook.refused_at) == 1


async def test_nothing_of_the_url_is_logged_or_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    sender = Sender(Secret(f"json://user:hunter2-secret@127.0.0.1:{port}/path-secret"))
    with pytest.raises(ChannelFailed) as failure:
        await sender.send(MESSAGE)
    for text in (caplog.text, str(failure.value), repr(sender), repr(vars(sender))):
        assert "secret" not in text


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("json://127.0.0.1/x", True),
        ("tgram://123456789:abcdefghij_ABCDEFGHIJklmnopqrst/12345", True),
        ("mailto://guard:pw@example.com?to=duty@example.com", True),
        ("nonsense", False),
        ("nonsense://x", False),
        ("syslog://", False),
        ("dbus://", False),
    ],
    ids=["webhook", "telegram", "mail", "words", "unknown", "syslog", "screen"],
)
def test_a_url_is_checked_before_it_is_kept(url: str, known: bool) -> None:
    assert usable(Secret(url)) is known
