"""Settings of a kill that cannot work are refused."""

from __future__ import annotations

import pytest

from rules.kill.settings import DeadMan, Watchdog


@pytest.mark.parametrize("settings", [{"silent_s": 2}, {"lost_after_s": 2}])
def test_less_silence_than_a_few_looks_can_see_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 3"):
        Watchdog(**settings)
    Watchdog(silent_s=3, lost_after_s=3)


def test_a_countdown_too_short_to_be_set_anew_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 6"):
        DeadMan(countdown_s=5)
    DeadMan(countdown_s=6)
