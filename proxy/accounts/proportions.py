"""Splitting an amount in proportion, so that the parts add up to it to the last digit. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Context, Decimal, localcontext
from typing import Final

_EXACT: Final = Context(prec=60)
_MONEY_STEP: Final = Decimal("1e-12")


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


def signed_split(amount: Decimal, weights: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """``amount`` in proportion to weights of both signs, whose sum is not zero; what rounding leaves is the last's."""
    with localcontext(_EXACT):
        total = sum(weights.values(), Decimal(0))
        step = finest(amount, _MONEY_STEP)
        parts = {name: (amount * weights[name] / total).quantize(step) for name in sorted(weights)}
        parts[max(parts)] += amount - sum(parts.values(), Decimal(0))
        return {name: trimmed(part) for name, part in parts.items()}


def finest(*amounts: Decimal) -> Decimal:
    """The last digit of the most exact of these numbers, at most 1."""
    return Decimal(1).scaleb(min(0, *(_exponent(amount) for amount in amounts)))


def _exponent(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int), amount  # noqa: S101 - the venue's numbers are finite; the parser saw to that
    return exponent


def trimmed(number: Decimal) -> Decimal:
    """Without the zeros that rounding to a fixed digit leaves behind."""
    plain = number.normalize()
    return plain.quantize(Decimal(1)) if _exponent(plain) > 0 else plain
