"""Splitting an amount in proportion, so that the parts add up to it to the last digit. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal


def split(amount: Decimal, weights: Mapping[str, Decimal], step: Decimal) -> dict[str, Decimal]:
    """``amount`` in proportion to ``weights``, all positive, in whole multiples of ``step``.

    What rounding leaves goes, one step each, to the largest remainders; of equal ones, to the first name of the
    alphabet: two wardens that split the same thing split it the same way. ``amount`` is a multiple of ``step``.
    """
    total = sum(weights.values(), Decimal(0))
    exact = {name: amount * weight / total for name, weight in weights.items()}
    parts = {name: part.quantize(step, rounding=ROUND_DOWN) for name, part in exact.items()}
    left = amount - sum(parts.values(), Decimal(0))
    unit = step.copy_sign(amount)
    for name in sorted(parts, key=lambda name: (-abs(exact[name] - parts[name]), name)):
        if not left:
            break
        parts[name] += unit
        left -= unit
    return parts


def finest(*amounts: Decimal) -> Decimal:
    """The last digit of the most exact of these numbers, at most 1."""
    return Decimal(1).scaleb(min(0, *(_exponent(amount) for amount in amounts)))


def _exponent(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int), amount  # noqa: S101 - the venue's numbers are finite; the parser saw to that
    return exponent
