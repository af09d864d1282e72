"""What follows when a bot does not renew its lease, and when. Pure."""

from __future__ import annotations

from enum import IntEnum

from rules.kill.settings import Lease


class Step(IntEnum):
    """The steps in their order."""

    REDUCE = 1
    CANCEL = 2
    FLATTEN = 3


def due_steps(settings: Lease, overdue_s: float, taken: int) -> tuple[Step, ...]:
    """The steps that are due now, ``taken`` being the last that was. A step that is not set is passed over.

    They are taken in their order: one that is set to come before an earlier one waits for it.
    """
    after_s = {
        Step.REDUCE: settings.reduce_after_s,
        Step.CANCEL: settings.cancel_after_s,
        Step.FLATTEN: settings.flatten_after_s,
    }
    due = []
    for step in (each for each in Step if each > taken and after_s[each] > 0):
        if overdue_s < after_s[step]:
            break
        due.append(step)
    return tuple(due)
