"""What apprise really sends, to a real webhook and a real mail server, and that it keeps its mouth shut."""

from __future__ import annotations

import json
import logging
import socket
import threading
from email import message_from_string
from types import SimpleNamespace

import pytest

from proxy.alerts import sending
from proxy.alerts.alert import Severity
from proxy.alerts.sending import ChannelFailed, Sender, usable
from proxy.alerts.wording import Message
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
