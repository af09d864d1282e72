"""How the store says that a scope has come back and not with all of its limits: a field beside its state.

Text, a fraction from 0 (reduce-only) to below 1. No field: all limits. What is no such fraction counts as 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from rules.ramp import WHOLE

_FIELD: Final = "ramp:"
_SHARE: Final = re.compile(r"0(\.[0-9]{1,2})?")


def ramp_field(scope: str) -> str:
    """The field of a scope, as it is written: ``desk``, ``account:NAME``, ..."""
    return _FIELD + scope


def ramping(fields: Iterable[str]) -> frozenset[str]:
    """The scopes that have such a field."""
    return frozenset(field.removeprefix(_FIELD) for field in fields if field.startswith(_FIELD))


def ramp_share(text: str | None) -> Decimal:
    """The fraction that a field says."""
    if text is None:
        return WHOLE
    return Decimal(text) if _SHARE.fullmatch(text) else Decimal(0)
