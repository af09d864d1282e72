"""One verification at a time, believed for a while, and remembered."""

import asyncio
from datetime import timedelta

import pytest

from proxy.audit import verification as module
from proxy.audit.findings import Wrong
from proxy.audit.verification import Verification
from tests.proxy.audit.conftest import KEYS


@pytest.fixture
def clock(desk):
    return [desk.start]


@pytest.fixture
def verification(day, clock, tmp_path):
    anchors = [tmp_path / "not there yet"]
    return Verification(day, anchors=anchors, keys=lambda: KEYS, now=lambda: clock[0])


async def test_a_report_is_believed_until_it_is_too_old(verification, clock, monkeypatch):
    asked = []
    verify = module.verify
    monkeypatch.setattr(module, "verify", lambda *a, **k: asked.append(1) or verify(*a, **k))
    assert (await verification.report(timedelta(seconds=60))).ok
    clock[0] += timedelta(seconds=60)
    assert (await verification.report(timedelta(seconds=60))).ok
    assert len(asked) == 1
    clock[0] += timedelta(seconds=1)
    await verification.report(timedelta(seconds=60))
    assert len(asked) == 2
    assert verification.last.at == clock[0]


async def test_whoever_asks_meanwhile_waits_for_the_one_that_runs(verification, monkeypatch):
    asked, verify = [], module.verify

    def slow(*arguments, told, **options):
        asked.append(1)
        told(7, 24)
        return verify(*arguments, told=told, **options)

    monkeypatch.setattr(module, "verify", slow)
    assert verification.start()
    assert not verification.start()
    assert verification.running is not None
    reports = await asyncio.gather(*(verification.report(timedelta(seconds=60)) for _ in range(3)))
    assert [report.ok for report in reports] == [True, True, True]
    assert len(asked) == 1
    assert verification.running is None


async def test_progress_is_told(verification, monkeypatch):
    monkeypatch.setattr(module.asyncio, "to_thread", lambda function: asyncio.sleep(0.01))
    verification.start()
    verification._told(3, 24)
    running = verification.running
    assert (running.done, running.of) == (3, 24)
    verification._task.cancel()
    await asyncio.gather(verification._task, return_exceptions=True)


@pytest.mark.parametrize("trouble", ["a folder nobody may search", "a file in place of its folder"])
async def test_an_anchor_outside_that_the_disk_does_not_give_is_a_report(day, clock, tmp_path, monkeypatch, trouble):
    share = tmp_path / "share"
    anchor = share / "audit.anchor"
    if trouble == "a file in place of its folder":
        share.write_bytes(b"")
        why = "Not a directory"
    else:
        share.mkdir()
        anchor.write_bytes(day.anchor.read_bytes())
        why = "Permission denied"
        for name in ("stat", "open"):  # Root may search any folder.
            monkeypatch.setattr(module.Path, name, shut(anchor, getattr(module.Path, name)))
    verification = Verification(day, anchors=[anchor], keys=lambda: KEYS, now=lambda: clock[0])
    report = await verification.report(timedelta(seconds=60))
    assert (report.ok, report.wrong, report.problem) == (False, Wrong.UNREADABLE, f"{anchor} cannot be read: {why}")


def shut(path, function):
    """What a process may do that has no right to what is at ``path``."""

    def refused(self, *arguments, **options):
        if self == path:
            raise PermissionError(13, "Permission denied", str(path))
        return function(self, *arguments, **options)

    return refused


async def test_an_archive_that_is_not_there_is_a_report(verification, tmp_path, day, clock):
    from proxy.audit.place import ArchivePlace

    nowhere = ArchivePlace(directory=tmp_path / "nowhere")
    missing = Verification(nowhere, anchors=[], keys=lambda: KEYS, now=lambda: clock[0])
    report = await missing.report(timedelta(seconds=60))
    assert (report.ok, report.problem) == (False, f"there is no archive at {nowhere}")
