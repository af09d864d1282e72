"""Settings of a kill that cannot work are refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rules.kill.settings import PROBATION_MAX_S, DeadMan, Rearm, Reserve, Triggers, Watchdog
from rules.loosening import DELAY_MAX_S, DELAY_MIN_S


@pytest.mark.parametrize("settings", [{"silent_s": 2}, {"lost_after_s": 2}])
def test_less_silence_than_a_few_looks_can_see_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 3"):
        Watchdog(**settings)
    Watchdog(silent_s=3, lost_after_s=3)


def test_a_countdown_too_short_to_be_set_anew_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 6"):
        DeadMan(countdown_s=5)
    DeadMan(countdown_s=6)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("delay_s", DELAY_MIN_S, DELAY_MAX_S), ("reduce_only_s", 1, PROBATION_MAX_S), ("ramp_s", 1, PROBATION_MAX_S)],
)
def test_how_long_coming_back_takes_has_bounds(name: str, least: int, most: int) -> None:
    Rearm(**{name: least})
    Rearm(**{name: most})
    for wrong in (least - 1, most + 1):
        with pytest.raises(ValueError, match=rf"^needs .*{name}.* from {least} to {most}$"):
            Rearm(**{name: wrong})


def test_limits_grow_back_from_more_than_nothing_and_no_more_than_the_whole() -> None:
    Rearm(ramp_start=Decimal(1))
    for wrong in ("0", "1.01"):
        with pytest.raises(ValueError, match=r"^needs ramp_start above 0 and up to 1$"):
            Rearm(ramp_start=Decimal(wrong))


@pytest.mark.parametrize(
    ("soft", "hard", "first", "last"),
    [
        ("daily_loss_reduce", "daily_loss_kill", "0.1", "0.2"),
        ("drawdown_reduce", "drawdown_kill", "0.1", "0.2"),
        ("liquidation_sigmas_reduce", "liquidation_sigmas_kill", "4", "2"),
        ("liquidation_probability_reduce", "liquidation_probability_kill", "0.1", "0.2"),
        ("unread_reduce_s", "unread_kill_s", "1", "2"),
    ],
)
def test_a_reduction_comes_before_its_kill_or_with_it(soft: str, hard: str, first: str, last: str) -> None:
    limits: Any = {soft: Decimal(first), hard: Decimal(last)}
    Triggers(**limits)
    Triggers(**{soft: limits[soft]})
    Triggers(**{hard: limits[hard]})
    Triggers(**{soft: limits[soft], hard: limits[soft]})
    with pytest.raises(ValueError, match=f"^{soft} must be reached before {hard}$"):
        Triggers(**{soft: limits[hard], hard: limits[soft]})


def test_a_reserve_may_have_one_size_and_no_margin() -> None:
    Reserve(share_min=Decimal("0.5"), share_max=Decimal("0.5"), margin=Decimal(1))
    with pytest.raises(ValueError, match=r"^share_min must be 0.2 or more, share_max no less than that and below 1$"):
        Reserve(share_max=Decimal(1))
    with pytest.raises(ValueError, match=r"^margin must be 1 or more$"):
        Reserve(margin=Decimal("0.99"))
