"""Anchors outside: kept up to date, never waited for, and said when they fail."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest
from pydantic import SecretStr

from proxy.audit import outside
from proxy.audit.anchor import read_anchor
from proxy.audit.chain import DESK, Head
from proxy.audit.checkpoint import Checkpoint, heads_in_hex, seal, unseal
from proxy.audit.outside import AnchorPath, AnchorRefused, AnchorWebhook, OutsideAnchors
from tests.proxy.audit.conftest import KEY, KEYS

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
URL = SecretStr("https://anchors.test/take?token=secret-token")


def sealed(seq):
    heads = heads_in_hex({DESK: Head(seq, bytes([seq]) * 32)})
    return seal(Checkpoint(archive="a", seq=seq, at="2026-11-24T09:00:00Z", heads=heads, kept=0, last=""), KEY)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(outside, "EVERY_S", 0.01)
    monkeypatch.setattr(outside, "AGAIN_AFTER_S", 0.01)
    monkeypatch.setattr(outside, "wait_exponential", lambda **_: lambda _: 0.0)


class Desk:
    """What is newest, what was said, and the loop that tells."""

    def __init__(self, *places):
        self.newest = None
        self.events = []
        self.anchors = OutsideAnchors(places, lambda: NOW)

    async def event(self, what, by, detail):
        self.events.append((what, detail))

    async def until(self, holds):
        running = asyncio.create_task(self.anchors.run(lambda: self.newest, self.event))
        try:
            async with asyncio.timeout(20):
                while not holds():
                    await asyncio.sleep(0.005)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_a_second_path_has_the_newest_anchor(tmp_path):
    path = tmp_path / "audit.anchor"
    desk = Desk(AnchorPath(path))
    for seq in (1, 2):
        desk.newest = sealed(seq)
        await desk.until(lambda seq=seq: desk.anchors.states[0].seq == seq)
        assert read_anchor(path).checkpoint.seq == seq
    assert desk.events == []


async def test_a_path_that_fails_and_works_again_is_said_once_each(tmp_path):
    path = tmp_path / "away" / "audit.anchor"
    desk = Desk(AnchorPath(path))
    desk.newest = sealed(1)
    await desk.until(lambda: desk.anchors.states[0].failing != "")
    await asyncio.sleep(0.05)
    assert desk.events == [("audit.anchor_failing", {"anchor": str(path), "why": "No such file or directory"})]
    path.parent.mkdir()
    await desk.until(lambda: desk.anchors.states[0].seq == 1)
    assert [what for what, _ in desk.events] == ["audit.anchor_failing", "audit.anchor_kept"]


async def test_a_path_that_hangs_keeps_no_other_from_its_anchor(tmp_path, monkeypatch):
    monkeypatch.setattr(outside, "PATH_TIMEOUT_S", 0.05)
    held = asyncio.Event()
    hanging = AnchorPath(tmp_path / "hanging")
    hanging._writing = asyncio.ensure_future(held.wait())
    desk = Desk(hanging, AnchorPath(tmp_path / "sound"))
    desk.newest = sealed(3)
    await desk.until(lambda: desk.anchors.states[1].seq == 3 and desk.anchors.states[0].failing != "")
    assert "not written within" in desk.anchors.states[0].failing
    held.set()
    await desk.until(lambda: desk.anchors.states[0].seq == 3)


def a_webhook(*answers):
    """A webhook that gives these answers in turn, the last one for ever; what it was sent."""
    taken = []

    def answer(request):
        taken.append(request)
        found = answers[min(len(taken), len(answers)) - 1]
        if isinstance(found, Exception):
            raise found
        return httpx.Response(found)

    return AnchorWebhook(URL, transport=httpx.MockTransport(answer)), taken


async def test_a_webhook_is_posted_what_anybody_can_check():
    webhook, taken = a_webhook(204)
    await webhook.keep(sealed(5))
    assert taken[0].headers["content-type"] == "application/json"
    found = unseal(taken[0].content)
    found.check_signature(KEYS)
    assert found.checkpoint.seq == 5


@pytest.mark.parametrize(
    "answers", [(503, 429, 200), (httpx.ConnectError("secret-token"), 200)], ids=["busy", "not there at first"]
)
async def test_a_webhook_is_tried_three_times(answers):
    webhook, taken = a_webhook(*answers)
    await webhook.keep(sealed(1))
    assert len(taken) == len(answers)


@pytest.mark.parametrize(
    ("answers", "tries", "why"),
    [
        ((503,), 3, "answered 503"),
        ((403,), 1, "answered 403"),
        ((302,), 1, "answered 302"),
        ((httpx.ReadTimeout("https://anchors.test/take?token=secret-token"),), 3, "ReadTimeout"),
    ],
    ids=["busy", "refused", "elsewhere", "silent"],
)
async def test_a_webhook_that_does_not_take_it_says_why_without_its_address(answers, tries, why):
    webhook, taken = a_webhook(*answers)
    with pytest.raises(AnchorRefused) as refused:
        await webhook.keep(sealed(1))
    assert (len(taken), str(refused.value)) == (tries, why)
    assert "secret-token" not in f"{webhook.name}{refused.value!r}"
    assert webhook.name == "webhook at anchors.test"
