"""Which steps follow a lease that ran out, and in which order."""

from __future__ import annotations

import pytest

from rules.kill.lease import Step, due_steps
from rules.kill.settings import Lease


@pytest.mark.parametrize(
    ("overdue_s", "taken", "due"),
    [
        (-5.0, 0, ()),
        (0.9, 0, ()),
        (1.0, 0, (Step.REDUCE,)),
        (9.0, 1, ()),
        (10.0, 1, (Step.CANCEL,)),
        (10.0, 0, (Step.REDUCE, Step.CANCEL)),
        (1e9, 2, ()),
    ],
)
def test_the_default_reduces_then_cancels_and_never_flattens(
    overdue_s: float, taken: int, due: tuple[Step, ...]
) -> None:
    assert due_steps(Lease(), overdue_s, taken) == due


def test_a_step_that_is_not_set_is_passed_over() -> None:
    settings = Lease(reduce_after_s=0, cancel_after_s=0, flatten_after_s=20)
    assert due_steps(settings, 19, 0) == ()
    assert due_steps(settings, 20, 0) == (Step.FLATTEN,)


def test_a_later_step_waits_for_an_earlier_one() -> None:
    settings = Lease(reduce_after_s=1, cancel_after_s=30, flatten_after_s=20)
    assert due_steps(settings, 25, 1) == ()
    assert due_steps(settings, 30, 1) == (Step.CANCEL, Step.FLATTEN)
