"""Anchors outside: kept up to date, never waited for, and said when they fail."""

import asyncio
import shutil
from datetime import UTC, datetime
from functools import partial

import httpx
import pytest
from pydantic import SecretStr

from proxy.audit import outside
from proxy.audit.anchor import read_anchor, why_not_ours
from proxy.audit.archive import Archive
from proxy.audit.chain import DESK, Head
from proxy.audit.checkpoint import Checkpoint, heads_in_hex, seal, unseal
from proxy.audit.outside import AnchorPath, AnchorRefused, AnchorWebhook, OutsideAnchors
from proxy.audit.place import ArchivePlace
from tests.proxy.audit.conftest import KEY, KEYS, SIGNER, TRUSTED
from tests.proxy.audit.forging import made_up, with_a_key_of_their_own

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
URL = SecretStr("https://anchors.test/take?token=secret-token")


def sealed(seq):
    heads = heads_in_hex({DESK: Head(seq, bytes([seq]) * 32)})
    return seal(Checkpoint(archive="a", seq=seq, at="2026-11-24T09:00:00Z", heads=heads, kept=0, last=""), KEY)


def is_ours(there):
    """Whatever lies there may be replaced."""
    return ""


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
    desk = Desk(AnchorPath(path, is_ours))
    for seq in (1, 2):
        desk.newest = sealed(seq)
        await desk.until(lambda seq=seq: desk.anchors.states[0].seq == seq)
        assert read_anchor(path).checkpoint.seq == seq
    assert desk.events == []


async def test_a_path_that_fails_and_works_again_is_said_once_each(tmp_path):
    path = tmp_path / "away" / "audit.anchor"
    desk = Desk(AnchorPath(path, is_ours))
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
    hanging = AnchorPath(tmp_path / "hanging", is_ours)
    hanging._writing = asyncio.ensure_future(held.wait())
    desk = Desk(hanging, AnchorPath(tmp_path / "sound", is_ours))
    desk.newest = sealed(3)
    await desk.until(lambda: desk.anchors.states[1].seq == 3 and desk.anchors.states[0].failing != "")
    assert "not written within" in desk.anchors.states[0].failing
    held.set()
    await desk.until(lambda: desk.anchors.states[0].seq == 3)


class House:
    """An archive on this disk, and the anchor it keeps on another one."""

    def __init__(self, tmp_path, records):
        self.place = ArchivePlace(directory=tmp_path / "audit")
        self.elsewhere = tmp_path / "elsewhere.anchor"
        self.copy = tmp_path / "yesterday"
        self.records = records

    def write(self, count):
        """The first records, and the anchor elsewhere as a guard keeps it that runs meanwhile."""
        with Archive.open(self.place, SIGNER, keys=TRUSTED) as archive:
            archive.append([(f"1-{number}", record) for number, record in enumerate(self.records[:count])])
            return archive.anchor

    async def run(self, holds, newest):
        """A guard runs until ``holds`` of the state of the place."""
        desk = Desk(AnchorPath(self.elsewhere, partial(why_not_ours, self.place, TRUSTED)))
        desk.newest = newest
        await desk.until(lambda: holds(desk.anchors.states[0]))
        return desk

    def put_back_yesterdays(self):
        shutil.rmtree(self.place.directory)
        shutil.copytree(self.copy, self.place.directory)


@pytest.fixture
async def house(tmp_path, desk):
    house = House(tmp_path, desk.day())
    await house.run(lambda state: state.seq == 12, house.write(12))
    shutil.copytree(house.place.directory, house.copy)
    await house.run(lambda state: state.seq == 24, house.write(24))
    return house


def is_failing(state):
    return state.failing != ""


@pytest.mark.parametrize("records", [12, 13, 24])
async def test_evidence_of_an_older_copy_is_never_replaced(house, records, caplog):
    evidence = house.elsewhere.read_bytes()
    house.put_back_yesterdays()
    house.records = [*house.records[:12], *({**each, "desk": "another"} for each in house.records[12:])]
    desk = await house.run(is_failing, house.write(records))
    await desk.until(lambda: len(desk.events) > 0)
    assert house.elsewhere.read_bytes() == evidence
    ((what, detail),) = desk.events
    assert (what, detail["anchor"]) == ("audit.anchor_contradicts", str(house.elsewhere))
    wanted = "cut short or an older copy" if records < 24 else "is not the one that it saw"
    assert wanted in detail["why"]
    assert f"the audit's anchor in {house.elsewhere} is left as it is" in caplog.text
    assert "CRITICAL" in {each.levelname for each in caplog.records}


async def test_it_is_said_once_and_kept_again_when_a_person_has_moved_it_away(house):
    house.put_back_yesterdays()
    desk = await house.run(is_failing, house.write(12))
    for count in (13, 14):
        desk.newest = house.write(count)
        await desk.until(lambda count=count: f"ends at {count}" in desk.anchors.states[0].failing)
    house.elsewhere.rename(house.elsewhere.with_suffix(".evidence"))
    await desk.until(lambda: desk.anchors.states[0].seq == 14)
    assert [what for what, _ in desk.events] == ["audit.anchor_contradicts", "audit.anchor_kept"]
    assert read_anchor(house.elsewhere).checkpoint.seq == 14


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (b"{}\n", "damaged"),
        (b"", "damaged"),
        (lambda: made_up(sealed(3).checkpoint).content + b"\n", "signature does not fit"),
        (lambda: with_a_key_of_their_own(sealed(3).checkpoint).content + b"\n", "not among those given"),
        (lambda: sealed(3).content + b"\n", "belongs to another archive"),
    ],
    ids=["no anchor", "empty", "made up", "somebody else's", "another archive's"],
)
async def test_what_is_no_anchor_of_this_archive_is_never_replaced(house, there, why):
    content = there if isinstance(there, bytes) else there()
    house.elsewhere.write_bytes(content)
    desk = await house.run(is_failing, house.write(24))
    await desk.until(lambda: len(desk.events) > 0)
    assert [what for what, _ in desk.events] == ["audit.anchor_contradicts"]
    assert why in desk.events[0][1]["why"]
    assert house.elsewhere.read_bytes() == content


async def test_one_that_the_disk_does_not_give_is_left_and_is_no_contradiction(house, caplog):
    evidence = house.elsewhere.read_bytes()
    newest = house.write(24)
    kept = house.elsewhere.rename(house.elsewhere.with_suffix(".kept"))
    house.elsewhere.mkdir()
    desk = await house.run(is_failing, newest)
    assert "cannot be read: Is a directory; it is not replaced" in desk.anchors.states[0].failing
    assert "CRITICAL" not in {each.levelname for each in caplog.records}
    house.elsewhere.rmdir()
    kept.rename(house.elsewhere)
    assert house.elsewhere.read_bytes() == evidence
    await desk.until(lambda: desk.anchors.states[0].seq == 24)
    assert [what for what, _ in desk.events] == ["audit.anchor_failing", "audit.anchor_kept"]


async def test_one_that_cannot_be_compared_is_left_until_it_can(house, tmp_path):
    evidence = house.elsewhere.read_bytes()
    newest = house.write(24)
    house.place.database.rename(tmp_path / "away.db")
    desk = await house.run(is_failing, newest)
    assert "cannot be compared with the archive" in desk.anchors.states[0].failing
    assert house.elsewhere.read_bytes() == evidence
    (tmp_path / "away.db").rename(house.place.database)
    await desk.until(lambda: desk.anchors.states[0].seq == 24)
    assert [what for what, _ in desk.events] == ["audit.anchor_failing", "audit.anchor_kept"]


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
