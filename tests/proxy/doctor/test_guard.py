"""What the doctor makes of what the running guard says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.doctor import guard
from proxy.doctor.finding import Level, ok
from proxy.doctor.guard import look_at_guard
from proxy.settings import Settings


def looked(monkeypatch: pytest.MonkeyPatch, survey_age_s: float | None, survey_every_s: float) -> dict[str, Level]:
    """What is not well, of a desk whose account was last surveyed so long ago."""
    account = {"name": "main", "venue": "binanceusdm", "feed": {"state": "LIVE", "why": ""}, "state": "ACTIVE"}
    account |= {"survey_age_s": survey_age_s, "clock_offset_ms": 3}

    def ask(*_: Any) -> dict[str, Any]:
        return {"desk": "desk", "store_ok": True, "accounts": [account]}

    monkeypatch.setattr(guard, "ask", ask)
    monkeypatch.setattr(guard, "_gate", lambda settings: ok("gate", "answers"))
    settings = Settings(survey_every_s=survey_every_s)
    return {each.check: each.level for each in look_at_guard(settings) if each.level is not Level.OK}


@pytest.mark.parametrize(
    ("age", "every", "well"),
    [(59, 15, True), (61, 15, False), (899, 300, True), (901, 300, False), (None, 15, False)],
)
def test_a_survey_is_old_by_how_often_there_is_one(
    monkeypatch: pytest.MonkeyPatch, age: float | None, every: float, well: bool
) -> None:
    assert looked(monkeypatch, age, every) == ({} if well else {"account main": Level.FAIL})
