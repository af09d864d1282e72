"""The press, from the button to the job of every account."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from proxy.kill.job import kill
from proxy.kill.joins import Join
from proxy.kill.journal import Job
from proxy.kill.press import Press
from proxy.kill.report import account_report
from proxy.store.fence import DESK, Fence
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.virtual_time import in_virtual_time

AT = datetime(2026, 11, 30, tzinfo=UTC)
PRESS = Press(scope=DESK, by="ann", reason="stop", at=AT, whole=True, stopped_ms=0.5)


def test_a_job_and_a_join_say_who_pressed_and_why() -> None:
    assert PRESS.join(AT) == Join(scope="desk", by="ann", reason="stop", at=AT)
    assert PRESS.job("j1", "main", AT, blocked_ms=0.5, sources=("", "10.0.0.2")) == Job(
        job_id="j1",
        account="main",
        scope="desk",
        by="ann",
        reason="stop",
        started_at=AT,
        blocked_ms=0.5,
        sources=("", "10.0.0.2"),
    )


def test_a_press_that_goes_on_is_no_new_one_and_each_job_names_what_it_goes_on_with() -> None:
    on = PRESS.going_on([account_report(PRESS.job("j1", "main", AT, blocked_ms=0.5), [])])
    assert (on.anew, on.whole) == (False, False)
    assert (on.scope, on.by, on.reason, on.at, on.stopped_ms) == (DESK, "ann", "stop", AT, 0.5)
    continues = {account: on.job("j2", account, AT, blocked_ms=None).continues for account in ("main", "other")}
    assert continues == {"main": "j1", "other": None}


def test_what_goes_on_is_told_in_the_first_name_also_where_it_joins_the_job_of_another_press(tmp_path: Path) -> None:
    async def one() -> None:
        Fence.initialise(tmp_path)
        venue = SimulatedVenue(3, fault_share=0, quiet=True)
        first = account_report(PRESS.job("j1", "main", AT, blocked_ms=0.5), [])
        another = asyncio.create_task(kill(tmp_path, Press(scope=DESK, by="bob", reason="me too"), [venue]))
        await asyncio.sleep(0.5)
        ended: list[str] = []
        on = await kill(tmp_path, PRESS.going_on([first]), [venue], ended=lambda report: ended.append(report.by))
        (account,) = on.accounts
        assert account.joined and account.job_id == (await another).accounts[0].job_id
        assert (account.by, account.reason, account.started_at, ended) == ("ann", "stop", AT, ["ann"])

    in_virtual_time(one())
