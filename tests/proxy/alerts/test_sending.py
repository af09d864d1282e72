"""What apprise really sends, to a real webhook and a real mail server, and that it keeps its mouth shut."""

from __future__ import annotations

import logging
import socket
import threading

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
