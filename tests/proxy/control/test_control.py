"""The warden's own plane, as the control door asks it: a page of refusals says where the search went on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.audit.place import ArchivePlace, archive_place
from proxy.control.control import Control
from proxy.refused import Refused
from tests.proxy.audit.conftest import Desk
from tests.proxy.audit.damaging import cut_records, no_database


class _Nobody:
    """Stands where a page of refusals asks nobody."""

    def __getattr__(self, name: str) -> _Nobody:
        return self


@pytest.fixture
def control(tmp_path: Path) -> Control:
    nobody: Any = _Nobody()
    return Control(
        data_dir=tmp_path,
        glance=nobody,
        policies=nobody,
        button=nobody,
        rearming=nobody,
        drills=nobody,
        signals=nobody,
        ledger=nobody,
        ahead=nobody,
        policy_shown=nobody,
        reasons=nobody,
        history=nobody,
        auditing=nobody,
        alerts=nobody,
        keys=nobody,
        overrides=nobody,
        now=nobody,
    )


@pytest.fixture
def archived(tmp_path: Path) -> None:
    """The oldest of three refusals is alpha's."""
    desk = Desk()
    desk.write(archive_place(tmp_path), [desk.decision(at, "3", bot) for at, bot in enumerate(("alpha", "b", "b"))])


async def asked(control: Control, before: str | None = None) -> tuple[list[str], str | None]:
    page = await control.blocked(bot="alpha", rule="max_order_value", account=None, limit=5, before=before)
    return [row.id for row in page.blocked], page.next


@pytest.mark.usefixtures("archived")
async def test_a_page_that_ended_early_is_gone_on_with(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.audit.judged.LOOKED_AT_MAX", 2)
    found, before = await asked(control)
    assert (found, before is None) == ([], False)
    assert await asked(control, before) == (["d-0"], None)


@pytest.mark.usefixtures("archived")
async def test_what_is_no_page_is_refused(control: Control) -> None:
    with pytest.raises(Refused, match="no such page"):
        await asked(control, "yesterday")


async def test_without_an_archive_nothing_was_refused(control: Control) -> None:
    assert await asked(control) == ([], None)


@pytest.mark.usefixtures("archived")
@pytest.mark.parametrize("damaged", [no_database, lambda place: cut_records(place, "decision")], ids=["file", "record"])
async def test_an_archive_that_cannot_be_read_is_not_an_empty_one(
    control: Control, tmp_path: Path, damaged: Callable[[ArchivePlace], None]
) -> None:
    damaged(archive_place(tmp_path))
    with pytest.raises(Refused, match="cannot be read; ask `perpguard audit verify`"):
        await asked(control)
    with pytest.raises(Refused, match="cannot be read; ask `perpguard audit verify`"):
        await control.decision("d-0")
